"""The access log's lines for a person."""

import re

from lbg.telemetry.access_log_console import ConsoleLine
from tests.unit.telemetry.entries import Request, entry_of

TIME = r"\d\d:\d\d:\d\d"


def test_a_line_has_time_status_method_target_endpoint_milliseconds_and_id() -> None:
    line = ConsoleLine(colours=False)(entry_of())
    assert re.fullmatch(rf"{TIME} 200 GET /things\?x=1 127\.0\.0\.1:8001 20\.0 ms id1\n", line)


def test_the_status_is_coloured_on_a_terminal() -> None:
    lines = [ConsoleLine(colours=True)(entry_of(status=status)) for status in (200, 404, 503)]
    assert [line.split()[1] for line in lines] == [
        "\033[32m200\033[0m",
        "\033[33m404\033[0m",
        "\033[31m503\033[0m",
    ]


def test_the_id_is_dim_on_a_terminal() -> None:
    assert ConsoleLine(colours=True)(entry_of()).endswith(" 20.0 ms \033[2mid1\033[0m\n")


def test_an_answer_of_our_own_shows_its_reason_in_place_of_the_endpoint() -> None:
    line = ConsoleLine(colours=False)(entry_of(Request(endpoint=None), 503, "no_healthy"))
    assert "503 GET /things?x=1 no_healthy 20.0 ms" in line


def test_a_request_of_which_nothing_is_known_has_dashes() -> None:
    entry = entry_of(Request(endpoint=None), 400)
    entry.environ = {}
    assert ConsoleLine(colours=False)(entry).endswith(" 400 - - - 20.0 ms id1\n")


def test_no_value_forges_a_line_or_a_colour() -> None:
    evil = "\n12:00:00 200 \x1b[32m\x9b" + "x" * 1000
    request = Request(request_id=evil[:20])
    line = ConsoleLine(colours=False)(entry_of(request, target=f"/{evil}", REQUEST_METHOD=evil[:20]))
    assert re.fullmatch(r"[ -~]+\n", line)
    assert len(line) < 500


def test_what_filters_changed_is_told_as_it_came() -> None:
    came = entry_of().environ
    entry = entry_of(target="/b?key=secret", REQUEST_METHOD="PUT", **{"lbg.received": came})
    assert " GET /things?x=1 " in ConsoleLine(colours=False)(entry)
