"""Alerts and dashboard: right by their own tests, and about metrics that a running lbg has."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import dashboard
from tests.support.address import Address
from tests.support.lbg import ROOT, LbgProcess
from tests.support.metrics import busy, scrape
from tests.support.prometheus import ask, prometheus
from tests.support.promql import grouped, metrics, recorded
from tests.support.waiting import eventually

yaml = pytest.importorskip("yaml")
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"
TESTS = ROOT / "deploy" / "prometheus" / "rules_test.yml"
RUNBOOKS = ROOT / "docs" / "runbooks.md"
FROM_PROMETHEUS = {"job", "instance"}

# Nobody fires an alert, rejects for long or changes the configuration in these tests.
MAY_BE_EMPTY = {"Ejections", "Configuration read"}


def _rules(kind: str) -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if kind in rule]


def _expected() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield each question of the tests of the rules, with the labels of the alerts that fire."""
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for case in test.get("promql_expr_test", ()):
            fired = [
                dict(re.findall(r'(\w+)="([^"]*)"', each["labels"])) for each in case.get("exp_samples", ())
            ]
            yield case["expr"], fired


ALERTS = {rule["alert"]: rule for rule in _rules("alert")}


@pytest.mark.needs("promtool")
def test_the_rules_pass_their_tests() -> None:
    for command in (["check", "rules", RULES.name], ["test", "rules", TESTS.name]):
        told = subprocess.run(
            [shutil.which("promtool") or "promtool", *command],
            cwd=RULES.parent,
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_in_one_case_and_is_silent_in_another(name: str) -> None:
    asked = [
        {labels["alertname"] for labels in fired}
        for expression, fired in _expected()
        if name in expression or "alertname" not in expression
    ]
    assert any(name in fired for fired in asked)
    assert any(name not in fired for fired in asked)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    told = rule["annotations"]
    assert set(told) == {"summary", "description", "runbook_url"}
    assert told["description"].endswith(".")
    assert told["runbook_url"] == f"docs/runbooks.md#{name.lower()}"
    assert f"\n## {name}\n" in RUNBOOKS.read_text()


@pytest.mark.parametrize("name", ALERTS)
def test_the_words_of_an_alert_name_labels_that_it_has(name: str) -> None:
    fired = [labels for _, every in _expected() for labels in every if labels["alertname"] == name]
    words = set(re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"])))
    assert all(words <= set(labels) for labels in fired), words


def test_every_runbook_is_of_an_alert() -> None:
    assert set(re.findall(r"^## (Lbg\w+)$", RUNBOOKS.read_text(), re.MULTILINE)) == set(ALERTS)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LbgProcess]:
    """Run lbg that has had traffic of every kind."""
    with busy(tmp_path_factory.mktemp("busy")) as process:
        yield process


def test_rules_and_dashboard_name_metrics_and_labels_that_there_are(running: LbgProcess) -> None:
    there = scrape(running).labels()
    records = {rule["record"] for rule in _rules("record")}
    expressions = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in _rules("expr")]
    for title, expression in [*expressions, *dashboard.queries()]:
        assert recorded(expression) <= records, title
        named = metrics(expression)
        known = FROM_PROMETHEUS.union(*(there.get(name, set()) for name in named))
        if not recorded(expression):
            assert grouped(expression) <= known, title
        for name, labels in named.items():
            assert name in there, (title, name)
            assert labels <= there[name] | FROM_PROMETHEUS, (title, name, labels)


@pytest.mark.needs("prometheus")
@pytest.mark.timeout(120)
def test_prometheus_answers_every_query_of_the_dashboard(running: LbgProcess, tmp_path: Path) -> None:
    with prometheus(tmp_path / "prometheus", running.admin_address, [RULES]) as where:
        rates = "count(rate(lbg_requests_total[10s]))"
        eventually(lambda: ask(where, "query", query=rates)["result"], 30.0, "two scrapes")
        empty = {
            (title, expression)
            for title, expression in dashboard.queries()
            if not ask(where, "query", query=expression, time=f"{time.time():.3f}")["result"]
        }
        assert {each for each in empty if each[0] not in MAY_BE_EMPTY} == set()
        for name, selector, label in dashboard.variables():
            assert ask(where, f"label/{label}/values", **{"match[]": selector}), name
        eventually(lambda: _rules_that_are_not_well(where) == [], 20.0, "all rules to be evaluated")


def _rules_that_are_not_well(where: Address) -> list[Any]:
    groups = ask(where, "rules")["groups"]
    assert groups
    return [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]
