import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from lbg.cli.admin_client import OTHER_SHAPE
from lbg.cli.top_frame import Answers, frame, silence
from tests.unit.cli.admin_listener import STATUS, status_of_config, status_with
from tests.unit.cli.top_answers import EVENT, NOW, UNKNOWN, stats_with, status_of

pytestmark = pytest.mark.usefixtures("utc")


def shown(status=STATUS, stats=None, events=(), width=140, height=None, trouble="", colours=False):
    """Return the lines of a frame."""
    console = Console(
        file=io.StringIO(),
        width=width,
        height=height or 1000,
        force_terminal=colours,
        color_system="standard" if colours else None,
        highlight=False,
        markup=False,
    )
    answers = Answers(status, stats or stats_with(), events, NOW)
    console.print(frame(answers, width, height, trouble))
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_frame_tells_of_lbg_of_all_requests_and_of_each_endpoint():
    assert shown(events=[EVENT]) == [
        "lbg 0.1.0, master 4700, generation 3 of lbg.toml, workers: 1 control, 2 proxy",
        "412 requests/s, 0.2 % errors, p95 12 ms, 7 in flight",
        "",
        "ENDPOINT  STATE  FOR    WEIGHT  BUSY  REQ/S  ERR%  P50  P95  P99  REQ/S, LAST 40 S      REASON",
        "api       1/1                      2    412   0.2  1.2   12  103                    ▁█  4 waiting",
        "  a:1     UP     3 min       1     2    412   0.2  1.2   12  103                    ▁█  "
        "status 200 in 3 ms",
        "",
        "10:00:00  DOWN      api  http://a:1  connect refused",
    ]


@pytest.mark.parametrize(
    ("state", "colour"),
    [("up", "1;32"), ("down", "1;31"), ("ejected", "1;33"), ("draining", "1;36"), ("maint", "1;35")],
)
def test_states_have_the_colours_of_the_status_command(state, colour):
    assert f"\x1b[{colour}m{state.upper()}" in shown(status_with(state=state), colours=True)[-1]


def test_a_configuration_that_was_not_taken_up_is_told_in_red():
    error = {"since": "2025-06-16T09:59:58Z", "mistakes": ["lbg.toml:3: wrong"]}
    status = status_of_config(error=error)
    assert shown(status)[1] == "lbg.toml was not taken up since 09:59:58: lbg.toml:3: wrong"
    assert shown(status, colours=True)[1].startswith("\x1b[1;31mlbg.toml was")
    status = status_of(40) | {"config": status["config"]}
    assert len(shown(status, events=[EVENT] * 9, height=24)) == 24


def test_errors_are_red():
    assert "\x1b[31m0.2 % errors" in shown(colours=True)[1]
    assert "\x1b[31m0" not in "".join(
        shown(stats=stats_with(*[UNKNOWN | {"error_rate": 0.0}] * 3), colours=True)
    )


def test_what_is_not_known_is_a_dash():
    lines = shown(status_with(for_seconds=None), stats_with(UNKNOWN, UNKNOWN, UNKNOWN))
    assert lines[1] == "- requests/s, - % errors, p95 - ms, 0 in flight"
    assert lines[-1].split() == ["a:1", "UP", *"-12-----", "status", "200", "in", "3", "ms"]


def test_an_endpoint_that_came_between_two_answers_has_no_numbers_yet():
    status = status_with(name="b:2")
    assert shown(status)[-1].split()[:6] == ["b:2", "UP", "3", "min", "1", "2"]
    status["pools"]["new"] = status["pools"].pop("api")
    assert shown(status)[-2].split() == ["new", "1/1", "2", "-", "-", "-", "-", "-", "4", "waiting"]


def test_trouble_stands_in_place_of_the_numbers_of_all():
    told = silence(NOW - 5, NOW)
    assert told == "no answer since 10:00:00, trying again"
    lines = shown(trouble=told)
    assert lines[1] == told
    assert lines[5].startswith("  a:1     UP")


@pytest.mark.parametrize("width", [40, 80, 99, 100, 119, 120, 200])
def test_no_line_is_longer_than_the_screen_or_wrapped(width):
    long = "x" * 300
    status = status_with(name=long, reason=long, state="draining", weight=1000, in_flight=12345)
    status["config"]["source"] = long
    lines = shown(status, events=[EVENT | {"text": long}], width=width)
    assert len(lines) == 8
    assert max(map(cell_len, lines)) <= width


def test_eighty_columns_show_what_matters():
    stats = stats_with()
    stats["endpoints"]["api/10.0.0.12:8000"] = stats["endpoints"]["api/a:1"]
    line = shown(status_with(state="draining", name="10.0.0.12:8000"), stats, width=80)[5]
    assert line == "  10.0.0.12:8000 DRAINING 3 min  1    2   412  0.2  12 status 200 in 3 ms"


def test_reasons_cannot_move_the_cursor():
    assert "REASON" in shown()[3]
    assert "\x1b" not in "".join(shown(status_with(reason="\x1b[2J", name="a\x1b[1A")))


@pytest.mark.parametrize("height", [10, 24, 50])
def test_a_frame_is_no_higher_than_the_screen(height):
    for number in (1, 3, height - 12, height - 9, height, 500):
        lines = shown(status_of(max(1, number)), events=[EVENT] * 5, height=height)
        assert len(lines) <= height


def test_it_says_how_many_endpoints_are_left_out():
    lines = shown(status_of(50), height=24)
    there = [line for line in lines if line.startswith("  a:")]
    assert lines[-1] == f"… and {50 - len(there)} more"
    assert len(lines) == 24


def test_without_a_limit_all_endpoints_are_there():
    assert len([line for line in shown(status_of(300)) if line.startswith("  a:")]) == 300


def test_only_the_last_events_are_shown():
    events = [EVENT | {"text": f"number {number}"} for number in range(9)]
    assert [line[-1] for line in shown(events=events)[-5:]] == ["4", "5", "6", "7", "8"]
    assert [line[-1] for line in shown(events=events, height=12)[-2:]] == ["7", "8"]


@pytest.mark.parametrize("document", [{}, [], {"pools": {}}, None, "x"])
def test_another_document_is_an_error_that_is_known(document):
    with pytest.raises(OTHER_SHAPE):
        shown(status=document)
