"""`/metrics`: sums over workers, formats, the token, and what never goes back."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from lbg.config.fields import MAX_WORKERS
from lbg.control.metrics import MetricsCollector, add_metrics
from lbg.control.metrics_text import encode
from lbg.server.roles import Role
from lbg.state.buckets import Buckets
from lbg.state.cells import Cells
from lbg.state.gcra import Rate
from lbg.state.layout import Field, Header, PoolField, counters, pool_row
from lbg.state.limiter import RateRule
from lbg.state.series import Labels, Region, Series
from lbg.telemetry.metrics_kinds import (
    BOUNDS,
    GAUGES,
    HISTOGRAM,
    REQUEST_VALUES,
    SECOND,
    UPSTREAM_VALUES,
    Kind,
    RequestValue,
    UpstreamValue,
)
from tests.unit.control.control_app import POOL_SLOTS, SLOTS, Answer, app, cells_of, published, set_health

NOW = 100 * SECOND
LOGIN = {"use": "rate_limit", "rate": "1/s", "name": "login"}
WEB = {"pool": "web", "endpoint": "a:1"}


class Scraped:
    """What a scrape gives; `workers` have a region each, and `numbers` are the samples by name and labels."""

    def __init__(self, directory: Path, cells: Cells | None = None) -> None:
        Series.create(directory)
        self.series = Series.open(directory)
        self.cells = cells or cells_of(Role.CONTROL, Role.PROXY, Role.PROXY)
        self.buckets = Buckets.private()
        self.collector = MetricsCollector(
            published(filters=[LOGIN]), self.cells, self.series, self.buckets, clock=lambda: NOW
        )
        self.regions: dict[int, Region] = {}

    def add(self, worker: int, kind: Kind, labels: Labels, size: int, **at: int) -> None:
        """Let a worker count; `at` are values by position, such as `v3=1`."""
        if worker not in self.regions:
            self.series.reserve(worker)
            self.regions[worker] = Region(self.series, worker, GAUGES.__contains__)
        index = self.regions[worker].find(kind, labels, size)
        assert index is not None
        for place, value in at.items():
            self.series.view[index + int(place[1:])] += value

    def numbers(self) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
        """Return all samples of one scrape."""
        found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
        text = encode(self.collector.collect(), openmetrics=False).decode()
        for metric in parse(text):
            for sample in metric.samples:
                key = tuple(sorted(sample.labels.items()))
                assert key not in found.setdefault(sample.name, {}), (sample.name, key)
                found[sample.name][key] = sample.value
        return found

    def number(self, name: str, **labels: str) -> float:
        """Return one sample."""
        return self.numbers()[name][tuple(sorted(labels.items()))]

    def ask(self, accept: str = "", token: str = "") -> Answer:
        """Return what the admin listener answers."""
        control = app(token=token)
        control.parts.append(lambda flask: add_metrics(flask, self.collector))
        return Answer(control, "/metrics", **({"HTTP_ACCEPT": accept} if accept else {}))


@pytest.fixture
def scraped(tmp_path: Path) -> Scraped:
    return Scraped(tmp_path)


REQUEST = {"route": "shop", "pool": "web", "method": "GET", "code": "200"}


def request(scraped: Scraped, worker: int, code: str = "200", **at: int) -> None:
    scraped.add(worker, Kind.REQUESTS, ("shop", "web", "GET", code), REQUEST_VALUES, **at)


def test_what_workers_counted_is_added_up(scraped: Scraped) -> None:
    request(scraped, 1, v0=2, v3=1)
    request(scraped, 2, v3=4)
    assert scraped.number("lbg_requests_total", **REQUEST) == 7
    request(scraped, 2, v3=1)
    assert scraped.number("lbg_requests_total", **REQUEST) == 8


def test_counters_of_a_dead_worker_stay_and_its_gauges_go(scraped: Scraped) -> None:
    for worker in (1, 2):
        request(scraped, worker, v0=5)
        scraped.add(worker, Kind.IN_FLIGHT, ("shop",), 1, v0=3)
        scraped.add(worker, Kind.TUNNELS, (), 1, v0=2)
        scraped.add(worker, Kind.LOOP_LAG, (), 1, v0=SECOND // 4)
    assert scraped.number("lbg_requests_in_flight", route="shop") == 6
    scraped.cells.forget(2, 4713)
    assert scraped.number("lbg_requests_total", **REQUEST) == 10
    assert scraped.number("lbg_requests_in_flight", route="shop") == 3
    assert scraped.number("lbg_tunnels_active") == 2
    assert scraped.numbers()["lbg_worker_loop_lag_seconds"] == {(("worker", "1"),): 0.25}


def test_without_a_master_the_only_worker_lives(tmp_path: Path) -> None:
    scraped = Scraped(tmp_path, Cells.private())
    scraped.add(0, Kind.IN_FLIGHT, ("shop",), 1, v0=3)
    assert scraped.number("lbg_requests_in_flight", route="shop") == 3
    assert scraped.number("lbg_workers", role="combined") == 1


def test_times_of_all_codes_are_one_histogram_with_cumulative_buckets(scraped: Scraped) -> None:
    request(scraped, 1, v0=1, v2=2, **{f"v{RequestValue.SUM}": SECOND})
    request(scraped, 1, "503", v2=3, **{f"v{len(BOUNDS)}": 4, f"v{RequestValue.SUM}": SECOND // 2})
    buckets = {
        dict(labels)["le"]: value
        for labels, value in scraped.numbers()["lbg_request_duration_seconds_bucket"].items()
    }
    assert buckets["0.001"] == 1
    assert buckets["0.0025"] == 1
    assert buckets["0.005"] == buckets["10.0"] == 6
    assert buckets["+Inf"] == 10
    assert scraped.number("lbg_request_duration_seconds_sum", route="shop", pool="web") == 1.5
    assert scraped.number("lbg_request_duration_seconds_count", route="shop", pool="web") == 10


def test_bytes_are_those_of_all_requests_of_a_route(scraped: Scraped) -> None:
    for code in ("200", "404"):
        request(scraped, 1, code, **{f"v{RequestValue.RECEIVED}": 7, f"v{RequestValue.SENT}": 100})
    assert scraped.number("lbg_request_bytes_total", route="shop") == 14
    assert scraped.number("lbg_response_bytes_total", route="shop") == 200


def test_tunnels_are_requests_without_a_time(scraped: Scraped) -> None:
    scraped.add(1, Kind.TUNNELED, ("shop", "web", "GET", "101"), 1, v0=3)
    assert scraped.number("lbg_requests_total", **REQUEST | {"code": "101"}) == 3
    assert "lbg_request_duration_seconds_count" not in scraped.numbers()


def test_opened_connections_are_those_that_took_time_to_connect(scraped: Scraped) -> None:
    duration = {f"v{UpstreamValue.DURATION + 1}": 9}
    scraped.add(1, Kind.UPSTREAM, ("web", "a:1"), UPSTREAM_VALUES, v0=2, v3=1, **duration)
    scraped.add(1, Kind.UPSTREAM_CONNECTIONS, ("reused",), 1, v0=6)
    events = {
        dict(key)["event"]: value
        for key, value in scraped.numbers()["lbg_upstream_connections_total"].items()
    }
    assert events == {"opened": 3, "reused": 6, "failed": 0}
    assert scraped.number("lbg_upstream_connect_seconds_count", **WEB) == 3
    assert scraped.number("lbg_upstream_duration_seconds_count", **WEB) == 9
    assert scraped.number("lbg_upstream_ttfb_seconds_count", **WEB) == 0


def test_retries_are_there_for_every_pool(scraped: Scraped) -> None:
    scraped.add(1, Kind.RETRIES, ("web", "answered"), 1, v0=2)
    scraped.add(1, Kind.RETRIES, ("gone", "failed"), 1, v0=1)
    scraped.cells.view[pool_row(1, POOL_SLOTS["api"]) + PoolField.RETRIES_DENIED] = 4
    assert scraped.numbers()["lbg_retries_total"] == {
        (("outcome", "answered"), ("pool", "web")): 2,
        (("outcome", "failed"), ("pool", "web")): 0,
        (("outcome", "denied"), ("pool", "web")): 0,
        (("outcome", "answered"), ("pool", "api")): 0,
        (("outcome", "failed"), ("pool", "api")): 0,
        (("outcome", "denied"), ("pool", "api")): 4,
        (("outcome", "failed"), ("pool", "gone")): 1,
    }


def test_what_found_no_room_or_no_endpoint_in_a_pool_is_told(scraped: Scraped) -> None:
    for worker in (1, 2):
        first = pool_row(worker, POOL_SLOTS["api"])
        scraped.cells.view[first + PoolField.QUEUE_FULL] = worker
        scraped.cells.view[first + PoolField.QUEUE_TIMEOUTS] = 2 * worker
        scraped.cells.view[first + PoolField.NO_HEALTHY] = 3 * worker
    assert scraped.number("lbg_queue_rejected_total", pool="api", reason="queue_full") == 3
    assert scraped.number("lbg_queue_rejected_total", pool="api", reason="queue_timeout") == 6
    assert scraped.number("lbg_no_healthy_total", pool="api") == 9
    assert scraped.number("lbg_no_healthy_total", pool="web") == 0


def test_waits_local_answers_and_errors_have_their_labels(scraped: Scraped) -> None:
    scraped.add(1, Kind.QUEUE_WAIT, ("web",), HISTOGRAM, v1=2)
    scraped.add(1, Kind.LOCAL, ("no_route", "404"), 1, v0=3)
    scraped.add(1, Kind.UPSTREAM_ERRORS, ("web", "a:1", "read_timeout"), 1, v0=4)
    assert scraped.number("lbg_queue_wait_seconds_count", pool="web") == 2
    assert scraped.number("lbg_local_responses_total", reason="no_route", code="404") == 3
    assert scraped.number("lbg_upstream_errors_total", reason="read_timeout", **WEB) == 4


def test_attempts_of_an_endpoint_are_told_by_class(scraped: Scraped) -> None:
    slot = SLOTS["web/a:1"]
    for worker, field, count in [
        (1, Field.RESPONSES_2XX, 5),
        (2, Field.RESPONSES_2XX, 6),
        (1, Field.RESPONSES_5XX, 2),
        (1, Field.FAILURES, 3),
        (2, Field.IN_FLIGHT, 4),
        (1, Field.RESCUES, 2),
        (2, Field.RESCUES, 1),
    ]:
        scraped.cells.view[counters(worker, slot) + field] = count
    codes = {"2xx": 11, "3xx": 0, "4xx": 0, "5xx": 2, "error": 3}
    for code, count in codes.items():
        assert scraped.number("lbg_upstream_requests_total", code=code, **WEB) == count
    assert scraped.number("lbg_upstream_in_flight", **WEB) == 4
    assert scraped.number("lbg_upstream_rescues_total", **WEB) == 3


def test_an_endpoint_is_in_one_state_with_its_weight_and_ejections(scraped: Scraped) -> None:
    slot = SLOTS["web/a:1"]
    set_health(scraped.cells, slot, health=2, checked=NOW - 2 * SECOND, check_took=SECOND // 8, weight=7)
    set_health(scraped.cells, slot, checks_passed=3, checks_failed=4, ejected_by_silence=5)
    states = [
        (dict(key)["state"], value)
        for key, value in scraped.numbers()["lbg_endpoint_state"].items()
        if WEB.items() <= dict(key).items()
    ]
    assert states == [("down", 1)]
    assert scraped.number("lbg_endpoint_up", **WEB) == 0
    assert scraped.number("lbg_endpoint_weight", **WEB) == 7
    assert scraped.number("lbg_endpoint_ejections_total", reason="silence", **WEB) == 5
    assert scraped.number("lbg_health_checks_total", result="passed", **WEB) == 3
    assert scraped.number("lbg_health_checks_total", result="failed", **WEB) == 4
    assert scraped.number("lbg_health_check_duration_seconds", **WEB) == 0.125
    assert scraped.number("lbg_health_check_age_seconds", **WEB) == 2


def test_slow_start_shows_in_the_weight(scraped: Scraped) -> None:
    set_health(scraped.cells, SLOTS["api/a:1"], ramp=NOW - 5 * SECOND)
    assert scraped.number("lbg_endpoint_weight", pool="api", endpoint="a:1") == pytest.approx(0.5, abs=0.1)


def test_an_endpoint_that_was_never_checked_has_no_age(scraped: Scraped) -> None:
    assert "lbg_health_check_age_seconds" not in scraped.numbers()


def test_rejections_of_a_rate_limit_are_told_by_its_name(scraped: Scraped) -> None:
    limiter = scraped.buckets.limiter(RateRule("login", Rate.of(1, SECOND, 0)))
    for _ in range(3):
        limiter.hit(b"a", NOW)
    assert scraped.number("lbg_rate_limited_total", limit="login") == 2
    assert scraped.number("lbg_bans_active") == 0


def test_the_configuration_and_the_processes_are_told(scraped: Scraped) -> None:
    scraped.series.note_load(loaded=True)
    before = scraped.number("lbg_config_last_reload_timestamp_seconds")
    assert before > 1e9
    scraped.series.note_load(loaded=False)
    assert scraped.number("lbg_config_last_reload_success") == 0
    assert scraped.number("lbg_config_last_reload_timestamp_seconds") == before
    assert scraped.number("lbg_config_info", hash=published(filters=[LOGIN]).snapshot.digest) == 1
    workers = {dict(key)["role"]: value for key, value in scraped.numbers()["lbg_workers"].items()}
    assert workers == {"control": 1, "proxy": 2, "combined": 0}
    assert scraped.numbers()["lbg_build_info"]


def test_what_code_of_the_user_mirrors_and_logs_counted_is_added_up(scraped: Scraped) -> None:
    fault, copy = ("filter", "shop:tag", "slow"), ("shop", "canary", "left_out")
    for worker in (1, 2):
        scraped.add(worker, Kind.HOOK_FAULTS, fault, 1, v0=worker)
        scraped.add(worker, Kind.MIRRORED, copy, 1, v0=2 * worker)
        scraped.add(worker, Kind.LOG_LOST, (), 1, v0=3 * worker)
        scraped.add(worker, Kind.SPANS_LOST, (), 1, v0=4 * worker)
    assert scraped.number("lbg_hook_faults_total", use="filter", hook="shop:tag", kind="slow") == 3
    assert scraped.number("lbg_mirror_requests_total", route="shop", pool="canary", outcome="left_out") == 6
    assert scraped.number("lbg_access_log_lost_total") == 9
    assert scraped.number("lbg_trace_spans_lost_total") == 12


def test_starts_of_workers_are_told_by_their_number_and_role(scraped: Scraped) -> None:
    scraped.add(1, Kind.STARTS, ("1", "proxy"), 1, v0=3)
    assert scraped.number("lbg_worker_starts_total", worker="1", role="proxy") == 3


def test_how_many_workers_and_connections_there_may_be_is_told(scraped: Scraped) -> None:
    server = scraped.collector._snapshot.config.server
    wanted = server.workers or min(os.cpu_count() or 1, MAX_WORKERS)
    assert scraped.number("lbg_workers_configured") == wanted
    assert scraped.number("lbg_connections_limit") == 2 * server.max_connections


def test_without_a_master_nobody_asks_for_workers(tmp_path: Path) -> None:
    assert "lbg_workers_configured" not in Scraped(tmp_path, Cells.private()).numbers()


def test_what_a_later_version_counted_is_left_alone(scraped: Scraped) -> None:
    scraped.add(1, Kind.STARTS, ("1", "proxy"), 1, v0=1)
    scraped.regions[1].find(max(Kind) + 1, ("new",), 1)
    assert scraped.number("lbg_worker_starts_total", worker="1", role="proxy") == 1


def test_what_found_no_room_is_told(scraped: Scraped) -> None:
    request(scraped, 1)
    scraped.regions[1].spare()
    assert scraped.number("lbg_metrics_lost_total") == 1


NASTY = 'a "quoted" \\ back\nline {x="y"} ä'


def families(answer: Answer) -> Iterator[Metric]:
    openmetrics = answer.headers["Content-Type"].startswith("application/openmetrics-text")
    return (parse_openmetrics if openmetrics else parse)(answer.body.decode())


@pytest.mark.parametrize("accept", ["", "text/plain", "application/openmetrics-text; version=1.0.0"])
def test_any_label_comes_through_as_it_is(scraped: Scraped, accept: str) -> None:
    scraped.add(1, Kind.REQUESTS, (NASTY, "web", "GET", "200"), REQUEST_VALUES, v0=1)
    (metric,) = (each for each in families(scraped.ask(accept)) if each.name == "lbg_requests")
    assert [sample.labels["route"] for sample in metric.samples] == [NASTY]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain",
            "application/openmetrics-text; version=1.0.0",
        ),
    ],
)
def test_the_format_is_what_the_client_asks_for(scraped: Scraped, accept: str, content_type: str) -> None:
    answer = scraped.ask(accept)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith(content_type)
    assert answer.body.endswith(b"# EOF\n") == ("openmetrics" in accept)


def test_with_a_token_strangers_see_nothing(scraped: Scraped) -> None:
    answer = scraped.ask(token="secret")
    assert answer.status == 401
    assert b"lbg_" not in answer.body


def test_every_metric_is_documented(scraped: Scraped) -> None:
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    documented = set(re.findall(r"^\| `(lbg_\w+)`", text, re.MULTILINE))
    assert documented == {each.name for each in scraped.collector.collect()}


def test_counters_are_none_before_anything_happened(scraped: Scraped) -> None:
    found: dict[str, Any] = scraped.numbers()
    assert "lbg_requests_total" not in found
    assert all(value == 0 for value in found["lbg_upstream_requests_total"].values())
    assert scraped.cells.view[Header.WORKERS] == 3
