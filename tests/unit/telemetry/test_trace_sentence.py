"""The sentence, the advice and the steps for each reason."""

from typing import Any

import pytest

from lbg.errors import REASONS
from lbg.telemetry.trace_advice import ADVICE, advice
from lbg.telemetry.trace_document import Ended, trace_document
from lbg.telemetry.trace_sentence import SENTENCES, sentence
from lbg.telemetry.trace_steps import steps
from lbg.upstream.candidates import Candidate
from tests.unit.telemetry.entries import Thing, Try, environ_of
from tests.unit.telemetry.traced import Traced, config_of, failure, refusal, route_of

A, B = "10.0.0.1:80", "10.0.0.2:80"
OUTAGE = f"the only endpoint of pool api is down: {A} down since 12:01:03: connect refused"
LIMIT = {"use": "rate_limit", "rate": "5/m", "ban_after": 9}


def document_of(
    record: Traced, status: int = 0, took: float = 2.35, kind: str = "failed", sent: int = 5, **environ: Any
) -> dict[str, Any]:
    status = status or (record.reason.status if record.reason is not None else 200)
    ended = Ended(kind, status, sent, took, 1700000000.0)
    return trace_document(environ_of(**environ), record, config_of(), ended)


def cut(record: Traced) -> dict[str, Any]:
    return document_of(record, 200, **{"lbg.cut": ValueError("x")})


def said(reason: str, **more: Any) -> str:
    return sentence(document_of(refusal(reason, **more)))


def tried(reason: str, text: str, **more: Any) -> str:
    return said(reason, attempts=(failure(A, reason, text),), **more)


def filtered(reason: str, section: dict[str, Any]) -> str:
    return said(reason, route=route_of(section), detail="Told so.")


TOLD = {
    "no_route": (
        lambda: said("no_route"),
        '404: no route leads from host "shop.example" and path "/things" to a pool',
    ),
    "bad_request": (
        lambda: said("bad_request", detail="The request has no Host."),
        "400: the request breaks HTTP or leaves its route: The request has no Host",
    ),
    "headers_too_large": (
        lambda: said("headers_too_large", detail="The request head is larger than 5 bytes."),
        "431: the request head is larger than 5 bytes",
    ),
    "uri_too_long": (
        lambda: said("uri_too_long", detail="The request target is longer than 5 bytes."),
        "414: the request target is longer than 5 bytes",
    ),
    "body_too_large": (
        lambda: said("body_too_large", detail="The request body is larger than 5 bytes."),
        "413: the request body is larger than 5 bytes",
    ),
    "client_header_timeout": (
        lambda: said("client_header_timeout"),
        "408: the client did not send its request head within 10.0 s",
    ),
    "client_body_timeout": (
        lambda: said("client_body_timeout"),
        "408: the client sent nothing more of its body within 30.0 s",
    ),
    "client_gone": (
        lambda: said("client_gone", endpoint=Thing(A)),
        f"499: the client left after 2.35 s, while {A} had not answered yet",
    ),
    "denied": (
        lambda: filtered("denied", {"use": "access", "deny": ["10.0.0.0/8"]}),
        "403: the filter access of route shop refused the client: Told so",
    ),
    "unauthorized": (
        lambda: said("unauthorized", detail="Told so."),
        "401: a filter got no valid name and password: Told so",
    ),
    "rate_limited": (
        lambda: filtered("rate_limited", LIMIT),
        "429: the filter rate_limit of route shop limits the client: Told so",
    ),
    "banned": (
        lambda: filtered("banned", LIMIT),
        "429: the filter rate_limit of route shop has banned the client: Told so",
    ),
    "no_endpoints": (
        lambda: said("no_endpoints", candidates=(Candidate(A, usable=False, why="in maintenance"),)),
        f"503: no endpoint of pool api could take the request: {A}: in maintenance",
    ),
    "no_healthy": (lambda: said("no_healthy", gave_up=OUTAGE), f"503: {OUTAGE}"),
    "all_draining": (
        lambda: said("all_draining", gave_up="the only endpoint of pool api is draining"),
        "503: the only endpoint of pool api is draining",
    ),
    "queue_full": (
        lambda: said("queue_full"),
        "503: every endpoint of pool api is at its max_requests, and 7 requests wait already",
    ),
    "queue_timeout": (
        lambda: said("queue_timeout", queued=4.5),
        "503: every endpoint of pool api stayed at its max_requests for the 4.50 s it waited",
    ),
    "dns_failure": (
        lambda: tried("dns_failure", "api.local: Name or service not known"),
        f"502: the name of {A} could not be resolved: api.local: Name or service not known",
    ),
    "connect_refused": (
        lambda: tried("connect_refused", "connect refused", gave_up="no other endpoint is usable"),
        f"502: no connection to {A}: connect refused; not tried again: no other endpoint is usable",
    ),
    "connect_timeout": (
        lambda: tried("connect_timeout", "connect timeout after 1.5 s"),
        f"504: no connection to {A}: connect timeout after 1.5 s",
    ),
    "tls_error": (
        lambda: tried("tls_error", "certificate has expired"),
        f"502: no TLS connection to {A}: certificate has expired",
    ),
    "upstream_reset": (
        lambda: tried("upstream_reset", "connection closed before a response"),
        f"502: {A} gave no answer: connection closed before a response",
    ),
    "upstream_reset_reused": (
        lambda: tried(
            "upstream_reset_reused", "connection closed before a response", gave_up="POST is not idempotent"
        ),
        f"502: {A} gave no answer on a kept connection: connection closed before a response; "
        "not tried again: POST is not idempotent",
    ),
    "response_timeout": (
        lambda: tried("response_timeout", "no response in time"),
        f"504: {A} had the request for 250 ms and sent no response",
    ),
    "read_timeout": (
        lambda: sentence(cut(refusal("read_timeout", attempts=(Try(Thing(A)),)))),
        f"200, cut after 5 bytes: {A} sent nothing for 3.5 s in the middle of its response",
    ),
    "upstream_cut_body": (
        lambda: sentence(
            cut(refusal("upstream_cut_body", attempts=(failure(A, "upstream_cut_body", "closed"),)))
        ),
        f"200, cut after 5 bytes: {A} ended its response too early: closed",
    ),
    "bad_response": (
        lambda: tried("bad_response", "invalid response: status 099"),
        f"502: {A} sent no valid response: status 099",
    ),
    "loop": (
        lambda: said("loop"),
        '508: the request came back to this proxy: its Via field already has the name "lbg"',
    ),
    "filter_error": (
        lambda: said("filter_error", route=route_of(), detail="A filter failed."),
        "500: a filter of route shop failed: A filter failed",
    ),
    "shutdown": (
        lambda: said("shutdown", endpoint=Thing(A)),
        "503: lbg stopped or was reloaded, and its grace period (30.0 s, or 2 s after Ctrl+C) ended before "
        f"the request did; {A} had not answered",
    ),
    "internal": (
        lambda: said("internal", detail="The application failed."),
        "500: a fault inside lbg ended the request: The application failed",
    ),
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_reason_is_told_in_these_words(reason: str) -> None:
    tell, expected = TOLD[reason]
    assert tell() == expected


def test_no_reason_is_without_sentence_and_advice() -> None:
    assert set(SENTENCES) == set(ADVICE) == set(REASONS)


@pytest.mark.parametrize("reason", REASONS)
def test_what_is_hardly_known_of_a_request_breaks_no_sentence(reason: str) -> None:
    record = refusal(reason, pool=None)
    document = trace_document({}, record, config_of(), Ended("failed", 500, 0, 0.0, 0.0))
    assert sentence(document).startswith("500: ")
    assert "None" not in sentence(document).replace("pool None", "")
    assert steps(document)[0] == {"text": "a request whose head could not be read"}


def test_a_request_for_what_lbg_does_not_do_is_no_broken_one() -> None:
    document = document_of(refusal("bad_request", detail="TRACE is not allowed here."), 405)
    assert sentence(document) == "405: the request asks for what lbg does not do: TRACE is not allowed here"


@pytest.mark.parametrize("reason", ["headers_too_large", "uri_too_long", "body_too_large"])
def test_what_is_too_large_is_told_though_nobody_told_the_client(reason: str) -> None:
    assert sentence(document_of(refusal(reason))).endswith((" is too large", " is too long"))


def test_which_of_two_filters_refused_is_not_made_up() -> None:
    route = route_of(LIMIT, {"use": "rate_limit", "rate": "1/h", "name": "other"})
    text = said("rate_limited", route=route, detail="Told so.")
    assert text == "429: a filter of route shop limits the client: Told so"


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"detail": "A filter of this route failed."}, "the filter a.b:C of route shop failed"),
        (
            {"gave_up": "a filter chose the pool 'x', which there is not"},
            "the filter a.b:C of route shop chose the pool 'x', which there is not",
        ),
        ({"detail": "It raised KeyError."}, "the filter a.b:C of route shop failed: It raised KeyError"),
    ],
)
def test_the_filter_that_failed_is_named(told: dict[str, str], expected: str) -> None:
    assert said("filter_error", route=route_of({"use": "a.b:C"}), **told) == f"500: {expected}"


@pytest.mark.parametrize(
    ("size", "told"),
    [(0, "it has no queue"), (1, "1 request waits already"), (2, "2 requests wait already")],
)
def test_a_full_queue_is_told_with_its_size(size: int, told: str) -> None:
    document = document_of(refusal("queue_full")) | {"setting": f"pools.api.queue.size = {size}"}
    assert sentence(document) == f"503: every endpoint of pool api is at its max_requests, and {told}"


def test_a_name_that_is_not_resolved_is_told_once() -> None:
    attempts = (failure("api.local:80", "dns_failure", "api.local: Name or service not known"),)
    assert said("dns_failure", attempts=attempts) == (
        "502: the name of api.local:80 could not be resolved: Name or service not known"
    )


def test_the_time_for_the_whole_request_is_not_taken_for_a_pause() -> None:
    setting = {"setting": "pools.api.timeouts.total = 9.0"}
    head = document_of(refusal("response_timeout", attempts=(failure(A, "response_timeout", "no"),)))
    assert sentence(head | setting) == (
        f"504: {A} had the request for 250 ms and sent no response, "
        "when the 9.0 s for the whole request were over"
    )
    body = cut(refusal("read_timeout", attempts=(Try(Thing(A)),)))
    assert sentence(body | setting) == (
        f"200, cut after 5 bytes: {A} had not sent all of its response after 9.0 s for the whole request"
    )


def test_several_tries_are_told_by_what_they_met() -> None:
    attempts = (failure(A), failure(B), failure(A, text="connect timeout"))
    text = said("connect_refused", attempts=attempts, gave_up="3 attempts were made")
    assert text == (
        f"502: 3 tries failed: connect refused ({A}, {B}), connect timeout ({A}); "
        "not tried again: 3 attempts were made"
    )


def test_a_question_to_another_pool_that_failed_is_told() -> None:
    text = said("connect_refused", gave_up="forward_auth had no answer from pool auth: a:1: connect refused")
    assert text == "502: forward_auth had no answer from pool auth: a:1: connect refused"


def test_a_client_that_left_early_or_late_is_told() -> None:
    assert said("client_gone") == "499: the client left after 2.35 s, before it had an answer"
    assert "while it waited for an endpoint with room" in said("client_gone", queued=2.0)
    text = sentence(cut(refusal("client_gone")))
    assert text == (
        "200, cut after 5 bytes: the client left 2.35 s after its request, in the middle of the response"
    )


def test_a_reason_of_another_version_is_told() -> None:
    document = document_of(refusal("internal", detail="So it is.")) | {"reason": "new_one"}
    assert sentence(document) == "500 new_one: So it is."
    assert advice(document) == ""


def test_an_error_of_the_backend_is_told_as_its_own() -> None:
    record = Traced(attempts=(Try(Thing(A), status=500),), endpoint=Thing(A))
    document = document_of(record, 500)
    assert sentence(document) == f"500: {A} answered so itself, after 2.35 s"
    assert "X-Request-Id" in advice(document)


def test_an_answer_of_the_configuration_is_told_as_such() -> None:
    document = document_of(Traced(route=route_of(), pool=None), 503)
    assert sentence(document) == "503: the route shop answers so itself, after 2.35 s"
    assert "route" in advice(document)


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (Traced(attempts=(Try(ttfb=2.0, took=2.1),)), "until 127.0.0.1:8001 sent its response head"),
        (Traced(attempts=(Try(connect=1.5, ttfb=1.6, took=1.7),)), "to connect to 127.0.0.1:8001"),
        (Traced(attempts=(Try(took=2.3),)), "for the body of the response, 5 bytes"),
        (Traced(attempts=(Try(),), queued=2.0), "in the queue, for an endpoint with room"),
        (Traced(attempts=(Try(took=2.0), Try())), "on tries that failed before"),
        (Traced(attempts=(Try(),)), "in lbg, its filters, or for the body of the request"),
    ],
)
def test_a_slow_request_is_told_with_what_took_the_most(record: Traced, what: str) -> None:
    document = document_of(record, kind="slow")
    assert sentence(document).startswith("200 from 127.0.0.1:8001 after 2.35 s: ")
    assert sentence(document).endswith(f"of it {what}")


def test_a_sampled_request_is_told_in_short() -> None:
    document = document_of(Traced(attempts=(Try(),)), kind="sampled", took=0.012)
    assert sentence(document) == "200 from 127.0.0.1:8001 after 12 ms"
    assert advice(document) == ""


def test_the_way_of_a_request_is_told_in_steps() -> None:
    record = refusal(
        "connect_refused",
        route=route_of({"use": "compress"}),
        attempts=(Try(Thing(A), status=503, reused=True, connect=0.0), failure(B)),
        candidates=(Candidate(A, usable=False, why="tried before"), Candidate("c", usable=True, why="")),
        queued=0.002,
        gave_up="retry_budget",
    )
    assert [step["text"] for step in steps(document_of(record))] == [
        "GET /things for shop.example",
        "route shop",
        "filters: compress",
        "pool api, 1 of 2 endpoints left to try",
        "waited 2.0 ms for an endpoint with room",
        f"try 1: {A}, on a kept connection, response head after 10 ms, status 503, 12 ms in all",
        f"try 2: {B}, connect refused, 250 ms in all",
        "not tried again: retry_budget",
        "answered 502 connect_refused after 2.35 s",
    ]


def test_who_got_no_answer_is_not_said_to_have_one() -> None:
    assert steps(document_of(refusal("client_gone")))[-1] == {
        "text": "no answer, logged as 499 client_gone after 2.35 s"
    }


def test_a_cut_answer_is_told_with_its_bytes_and_time() -> None:
    assert steps(cut(refusal("read_timeout")))[-1] == {
        "text": "answered 200, cut after 5 bytes and 2.35 s: read_timeout"
    }
