import io

import pytest
from rich.console import Console

from lbg.cli.status_table import status_table
from tests.unit.cli.admin_listener import STATUS, status_of_config, status_with


def shown(status, width=120, colours=False):
    """Return the lines of the table."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
        markup=False,
    )
    console.print(status_table(status, width))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def row(**changes):
    return shown(status_with(**changes), width=160)[-1]


def test_the_table_says_what_runs_and_how_every_endpoint_is():
    assert shown(STATUS) == [
        "lbg 0.1.0, master 4700, generation 3 of lbg.toml, workers: 1 control, 2 proxy",
        "api: 1 of 1 usable, 4 waiting",
        "",
        "POOL  ENDPOINT    STATE  FOR         IN FLIGHT  REQUESTS  5XX  FAILED  LAST CHECK",
        "api   http://a:1  UP     3 min 12 s          2       103    3       4  "
        "status 200 in 3 ms, 1.5 s ago",
    ]


@pytest.mark.parametrize(
    "state", ["up", "down", "ejected", "trial", "draining", "maint", "stale", "unknown", "unchecked"]
)
def test_the_state_is_a_word_with_and_without_colours(state):
    for colours in (False, True):
        assert state.upper() in "\n".join(shown(status_with(state=state), colours=colours))


@pytest.mark.parametrize(
    ("state", "colour"),
    [
        ("up", "1;32"),
        ("down", "1;31"),
        ("ejected", "1;33"),
        ("trial", "1;33"),
        ("draining", "1;36"),
        ("maint", "1;35"),
        ("stale", "2"),
        ("unknown", "2"),
    ],
)
def test_the_word_is_coloured(state, colour):
    assert f"\x1b[{colour}m{state.upper()}" in "\n".join(shown(status_with(state=state), colours=True))


def test_what_is_not_known_is_a_dash():
    assert row(for_seconds=None, last_check=None).split() == [
        "api",
        "http://a:1",
        "UP",
        "-",
        "2",
        "103",
        "3",
        "4",
        "-",
    ]


def test_a_backup_is_marked():
    assert "http://a:1 (backup)" in row(backup=True)


def test_a_weight_of_run_time_is_shown():
    assert "http://a:1 (weight 5) " in row(weight=5)
    assert "http://a:1 (backup) (weight 5) " in row(weight=5, backup=True)
    assert "weight" not in row(weight=5, configured_weight=5)


def test_an_ejection_is_told_before_the_last_check(utc):
    said = row(state="ejected", reason="server errors", ejected_until="2025-06-16T10:00:13Z")
    assert said.endswith("server errors; until 10:00:13; status 200 in 3 ms, 1.5 s ago")
    said = row(state="trial", reason="server errors")
    assert said.endswith("server errors; status 200 in 3 ms, 1.5 s ago")


def test_a_pool_without_usable_endpoints_is_red():
    status = status_with(state="down")
    status["pools"]["api"]["usable"] = 0
    assert shown(status, colours=True)[1] == "api: \x1b[1;31m0 of 1 usable\x1b[0m, 4 waiting"


@pytest.mark.parametrize(("age", "silent"), [(None, False), (4.9, False), (12.0, True)])
def test_silent_health_checks_are_told(age, silent):
    status = status_with()
    status["control"]["heartbeat_age_seconds"] = age
    assert shown(status)[0].endswith(", HEALTH CHECKS SILENT for 12 s") is silent


def test_without_a_master_there_is_one_process():
    alone = STATUS | {"workers": [], "master": None}
    assert shown(alone)[0] == "lbg 0.1.0, generation 3 of lbg.toml, workers: one"


def test_what_was_added_and_removed_is_told():
    status = status_of_config(removed=["api/b:2"], added=["api/c:3", "web/d:4"])
    assert shown(status)[1] == (
        "configuration: lbg.toml, without api/b:2 (lbg remove), with api/c:3 and web/d:4 (lbg add)"
    )


def test_a_configuration_that_was_not_taken_up_is_told_in_red(utc, monkeypatch):
    monkeypatch.setattr("lbg.cli.status_table.time", lambda: 1_750_068_100.0)
    error = {"since": "2025-06-16T10:01:03Z", "mistakes": ["lbg.toml:1: x", "lbg.toml:2: y"]}
    line = "lbg.toml was not taken up since 10:01:03: 2 mistakes, see `lbg reload`"
    assert shown(status_of_config(error=error))[1] == line
    assert shown(status_of_config(error=error), colours=True)[1] == f"\x1b[1;31m{line}\x1b[0m"


@pytest.mark.parametrize("field", ["pool", "url", "state", "reason"])
def test_control_characters_do_not_reach_the_terminal(field):
    assert row(**{"state": "ejected", field: "a\x1b[2J\r\n\x9b\u202e"}).isprintable()
    assert row(last_check={"text": "\x1b[2J", "age_seconds": 1.0}).isprintable()


def test_on_a_screen_of_80_columns_words_wrap_and_nothing_is_lost():
    lines = shown(status_with(url="http://10.11.12.13:8080"), width=80)
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for word in ("http://10.11.12.13:8080", "UP", "3 min 12 s", "103", "status"):
        assert word in text


@pytest.mark.parametrize(
    "document",
    [
        [],
        "x",
        {},
        STATUS | {"pools": None},
        STATUS | {"pools": {"api": {}}},
        STATUS | {"control": 1},
        status_with(responses=None),
        status_with(url=None),
        status_with(in_flight="x"),
        status_with(weight="x"),
    ],
)
def test_another_document_is_told_from_a_status(document):
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        status_table(document, 120)
