"""A request as a document: what is told, and how it is kept short."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.errors import LocalReply, Sent, UpstreamError
from lbg.state.trace_layout import LONGEST
from lbg.telemetry.trace_document import Ended, encoded, trace_document
from lbg.upstream.candidates import Candidate
from tests.unit.telemetry.entries import Thing, Try, environ_of
from tests.unit.telemetry.traced import Traced, config_of, failure, refusal, route_of

ENDED = Ended("failed", 502, 5, 0.25, 1700000000.5)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def document_of(record: Traced, ended: Ended = ENDED, **environ: Any) -> dict[str, Any]:
    return trace_document(environ_of(**environ), record, config_of(), ended)


def test_all_that_is_known_is_told() -> None:
    record = refusal(
        "connect_refused",
        route=route_of({"use": "compress"}),
        attempts=(failure("a:1"),),
        gave_up="no other endpoint is usable",
        candidates=(Candidate("a:1", usable=False, why="tried before"),),
        queued=0.0015,
    )
    assert document_of(record) == {
        "id": "id1",
        "at": 1700000000.5,
        "kind": "failed",
        "method": "GET",
        "host": "shop.example",
        "path": "/things",
        "status": 502,
        "reason": "connect_refused",
        "detail": "",
        "cut": False,
        "route": "shop",
        "pool": "api",
        "endpoint": None,
        "took_ms": 250.0,
        "queue_ms": 1.5,
        "sent": 5,
        "filters": ["compress"],
        "attempts": [
            {
                "endpoint": "a:1",
                "status": None,
                "error": "connect_refused",
                "text": "connect refused",
                "connect_ms": 0.0,
                "ttfb_ms": None,
                "ms": 250.0,
                "reused": False,
            }
        ],
        "gave_up": "no other endpoint is usable",
        "failed_open": False,
        "setting": None,
        "trace_id": None,
        "candidates": [{"endpoint": "a:1", "usable": False, "why": "tried before"}],
    }


def test_the_id_is_what_a_document_begins_with() -> None:
    assert encoded(document_of(Traced(request_id='a"b'))).startswith(b'{"id":"a\\"b",')


def test_the_query_is_not_kept() -> None:
    assert b"x=1" not in encoded(document_of(Traced()))


def test_the_trace_that_the_client_tells_is_kept() -> None:
    assert document_of(Traced(), HTTP_TRACEPARENT=PARENT)["trace_id"] == "0af7651916cd43dd8448eb211c80319c"


def test_what_the_server_answered_or_cut_is_the_detail() -> None:
    fault = document_of(Traced(detail="other"), **{"lbg.fault": LocalReply("internal", "Failed.")})
    assert (fault["detail"], fault["cut"]) == ("Failed.", False)
    cut = UpstreamError("upstream_cut_body", "closed", sent=Sent.ANSWERED)
    told = document_of(Traced(), **{"lbg.cut": cut})
    assert (told["detail"], told["cut"]) == ("closed", True)


def test_a_fault_of_ours_is_told_by_its_exception() -> None:
    fault = LocalReply("internal", "Failed.")
    fault.__cause__ = KeyError("x")
    assert document_of(Traced(), **{"lbg.fault": fault})["detail"] == "KeyError: 'x'"
    assert document_of(Traced(), **{"lbg.cut": KeyError("x")})["detail"] == "KeyError: 'x'"


@pytest.mark.parametrize(("status", "sent", "cut"), [(200, 0, True), (503, 0, False), (503, 1, True)])
def test_an_answer_is_cut_when_its_head_was_sent(status: int, sent: int, cut: bool) -> None:
    ended = Ended("failed", status, sent, 0.25, 1700000000.5)
    assert document_of(refusal("shutdown"), ended, **{"lbg.cut": ValueError()})["cut"] is cut


def test_endpoints_are_looked_at_for_a_sample() -> None:
    sampled = Ended("sampled", 200, 5, 0.25, 1700000000.5)
    assert document_of(Traced(), sampled)["candidates"] == [{"endpoint": "a:1", "usable": True, "why": ""}]


def test_a_long_document_is_shortened_where_it_can_be_spared() -> None:
    record = refusal(
        "connect_refused",
        request_id="i" * 128,
        attempts=tuple(failure(f"{number}.example:80") for number in range(40)),
        candidates=tuple(Candidate("e" * 60, usable=False, why="w" * 100) for _ in range(20)),
    )
    told = json.loads(encoded(document_of(record, target="/" + "x" * 9000)))
    assert told["id"] == "i" * 128
    assert told["path"].endswith("…")
    assert told["attempts"][-1]["endpoint"] == "39.example:80"
    assert 0 < len(told["candidates"]) < 20


@given(
    st.text(max_size=3000),
    st.text(max_size=3000),
    st.text(max_size=500),
    st.integers(0, 60),
    st.integers(0, 20),
)
def test_every_document_fits_and_can_be_read(
    target: str, host: str, text: str, tries: int, candidates: int
) -> None:
    attempts = tuple(Try(Thing(text[:255]), error=failure("", text=text).error) for _ in range(tries))
    skipped = tuple(Candidate(text[:255], usable=False, why=text) for _ in range(candidates))
    record = refusal(
        "bad_response", request_id="~" * 128, attempts=attempts, candidates=skipped, gave_up=text, detail=text
    )
    document = encoded(document_of(record, target=target, HTTP_HOST=host))
    assert len(document) <= LONGEST
    assert document.isascii()
    assert set(json.loads(document)) == set(document_of(record))
    assert json.loads(document)["id"] == "~" * 128


def test_even_what_is_all_escapes_keeps_its_id() -> None:
    long = "é" * 900
    record = refusal("bad_response", request_id="i" * 128, gave_up=long, detail=long)
    document = encoded(document_of(record, target=f"/{long}", HTTP_HOST=long, REQUEST_METHOD=long))
    assert json.loads(document)["id"] == "i" * 128
    assert len(json.loads(document)["path"]) <= 81


def test_what_filters_changed_is_told_as_it_came() -> None:
    environ = environ_of("/b", HTTP_HOST="b.example", **{"lbg.received": environ_of("/a?b=c")})
    document = trace_document(environ, Traced(), config_of(), ENDED)
    assert (document["host"], document["path"]) == ("shop.example", "/a")
