"""The access log's lines of JSON."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lbg.errors import Sent, UpstreamError
from lbg.telemetry.access_log_json import LONGEST, JsonLine
from lbg.telemetry.trace_context import TraceContext
from tests.unit.telemetry.entries import BEGAN, Request, Thing, Try, entry_of

PAGE = (Path(__file__).parents[3] / "docs" / "logging.md").read_text()
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def line_of(*arguments: Any, **options: Any) -> dict[str, Any]:
    line = JsonLine()(entry_of(*arguments, **options))
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    assert len(line.encode("ascii")) <= LONGEST
    document: dict[str, Any] = json.loads(line)
    return document


def test_a_line_has_all_fields_in_their_order() -> None:
    document = line_of(HTTP_USER_AGENT="curl", HTTP_REFERER="http://a/", HTTP_TRACEPARENT=PARENT)
    assert list(document.items()) == [
        ("ts", "2023-11-14T22:13:20.500Z"),
        ("request_id", "id1"),
        ("client_ip", "192.0.2.1"),
        ("peer_ip", "127.0.0.1"),
        ("method", "GET"),
        ("host", "shop.example"),
        ("path", "/things"),
        ("query", "x=1"),
        ("proto", "HTTP/1.1"),
        ("status", 200),
        ("reason", None),
        ("route", "shop"),
        ("pool", "api"),
        ("endpoint", "127.0.0.1:8001"),
        (
            "attempts",
            [
                {
                    "endpoint": "127.0.0.1:8001",
                    "status": 200,
                    "error": None,
                    "connect_ms": 0.5,
                    "ttfb_ms": 10.0,
                    "ms": 12.0,
                    "reused": False,
                }
            ],
        ),
        ("queue_ms", 0.0),
        ("ttfb_ms", 11.0),
        ("total_ms", 20.0),
        ("overhead_ms", 8.0),
        ("bytes_in", 5),
        ("bytes_out", 512),
        ("sticky", None),
        ("user_agent", "curl"),
        ("referer", "http://a/"),
        ("trace_id", "0af7651916cd43dd8448eb211c80319c"),
    ]


def test_each_field_is_documented() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|(.*)", PAGE, re.MULTILINE)
    document = line_of()
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row[0])] == list(document)
    (attempts,) = [told for names, told in rows if names == "`attempts`"]
    assert set(document["attempts"][0]) <= set(re.findall(r"`(\w+)`", attempts))


def test_what_is_not_known_is_null() -> None:
    record = Request("", route=None, pool=None, endpoint=None, attempts=())
    entry = entry_of(record, 400, "bad_request")
    entry.environ = {"REMOTE_ADDR": "127.0.0.1"}
    document = json.loads(JsonLine()(entry))
    assert document["attempts"] == []
    assert (document["status"], document["reason"]) == (400, "bad_request")
    unknown = (
        "request_id method host path query proto route pool endpoint ttfb_ms user_agent referer trace_id"
    )
    assert [document[name] for name in unknown.split()] == [None] * 13


def test_each_attempt_is_told_and_overhead_is_what_none_of_them_nor_the_queue_took() -> None:
    refused = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
    first = Try(Thing("a:1"), connect=0.0, ttfb=0.0, took=0.001, status=0, error=refused)
    second = Try(Thing("b:2"), began=BEGAN + 0.006, connect=0.0, ttfb=0.004, took=0.009, reused=True)
    document = line_of(Request(attempts=(first, second), queued=0.005, sticky=False))
    assert [(one["endpoint"], one["status"], one["error"]) for one in document["attempts"]] == [
        ("a:1", None, "connect_refused"),
        ("b:2", 200, None),
    ]
    assert [one["ttfb_ms"] for one in document["attempts"]] == [None, 4.0]
    assert [one["reused"] for one in document["attempts"]] == [False, True]
    assert (document["queue_ms"], document["ttfb_ms"], document["overhead_ms"]) == (5.0, 10.0, 5.0)
    assert document["sticky"] is False


def test_no_value_forges_a_line_or_reaches_a_terminal() -> None:
    evil = 'a"\n{"status":200}\r\x1b[31m\x9b2J\\\x85\u2028'
    record = Request(evil, route=Thing(evil), endpoint=Thing(evil))
    line = JsonLine()(
        entry_of(
            record,
            target=f"/{evil}?{evil}",
            REQUEST_METHOD=evil,
            HTTP_HOST=evil,
            HTTP_USER_AGENT=evil,
            HTTP_REFERER=evil,
            HTTP_TRACEPARENT=evil,
        )
    )
    assert re.fullmatch(r"[ -~]+\n", line)
    document = json.loads(line)
    told = [
        document[name] for name in ("request_id", "method", "host", "query", "user_agent", "referer", "route")
    ]
    assert told == [evil] * 7
    assert document["trace_id"] is None


def test_credentials_are_not_told() -> None:
    line = JsonLine()(entry_of(HTTP_AUTHORIZATION="Basic hunter2", HTTP_COOKIE="hunter2"))
    assert "hunter2" not in line


@pytest.mark.parametrize("character", ["x", "\x00", "ÿ"])
def test_a_line_stays_short_and_whole_whatever_the_client_sends(character: str) -> None:
    long = character * 20_000
    attempts = tuple(Try(Thing("/run/" + "é" * 100)) for _ in range(100))
    document = line_of(
        Request(long, attempts=attempts),
        target=f"/{long}?{long}",
        REQUEST_METHOD=long,
        HTTP_HOST=long,
        HTTP_USER_AGENT=long,
        HTTP_REFERER=long,
        SERVER_PROTOCOL="HTTP/1.1",
    )
    assert document["path"].endswith("…")
    assert document["path"].startswith("/" + character * 10)
    assert document["status"] == 200


def test_a_long_value_of_a_line_that_has_room_is_cut_late() -> None:
    document = line_of(target="/" + "x" * 5000)
    assert document["path"] == "/" + "x" * 1023 + "…"


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        PARENT + "x",
    ],
)
def test_a_malformed_trace_parent_names_no_trace(parent: str) -> None:
    assert line_of(HTTP_TRACEPARENT=parent)["trace_id"] is None


def test_the_trace_that_lbg_takes_part_in_is_named_in_place_of_the_clients() -> None:
    context = TraceContext("ab" * 16, "", "", sampled=False)
    assert line_of(Request(trace_context=context), HTTP_TRACEPARENT=PARENT)["trace_id"] == "ab" * 16


def test_what_filters_changed_is_told_as_it_came() -> None:
    came = entry_of(HTTP_USER_AGENT="curl", HTTP_REFERER="http://a/", HTTP_TRACEPARENT=PARENT).environ
    changed = {"RAW_URI": "/b?key=secret", "QUERY_STRING": "key=secret", "HTTP_HOST": "b"}
    fields = {"HTTP_USER_AGENT": "b", "HTTP_REFERER": "b", "HTTP_TRACEPARENT": "b", "REQUEST_METHOD": "PUT"}
    assert line_of(**changed, **fields, **{"lbg.received": came}) == line_of(**came)
