"""Comparing what happened to a corpus case with what should have; every function returns the differences."""

import re
from collections.abc import Iterator, Sequence

from tests.support import message
from tests.support.backend_connection import ReceivedRequest
from tests.support.client import RawResponse
from tests.support.corpus import NO_ANSWER, Case, Expected, ExpectedAnswer, ExpectedRequest
from tests.support.message import Fields
from tests.support.message_rules import broken_by_answer, broken_by_request

REASON_STATUS = {
    "no_route": 404,
    "bad_request": 400,
    "headers_too_large": 431,
    "uri_too_long": 414,
    "body_too_large": 413,
    "no_healthy": 503,
    "connect_refused": 502,
    "upstream_reset": 502,
    "upstream_reset_reused": 502,
    "bad_response": 502,
    "loop": 508,
    "internal": 500,
}
"""The status that belongs to each reason code; a reason is only looked for in an answer with its status."""

Answer = RawResponse | None
"""None where the connection was closed without a byte."""


def answer_problems(case: Case, answers: Sequence[Answer]) -> list[str]:
    """Compare the answers that the client read, in turn, with the verdict."""
    return list(_answer_problems(case, answers))


def upstream_problems(
    case: Case, answers: Sequence[Answer], received: Sequence[ReceivedRequest]
) -> list[str]:
    """Compare the requests that the backend received with the verdict."""
    return list(_upstream_problems(case, answers, received))


def refused(case: Case, answers: Sequence[Answer]) -> bool:
    """Whether lbg refused what it might also have passed."""
    last, right = answers[-1] if answers else None, case.expect[-1]
    status = last.status if last else NO_ANSWER
    return (status == NO_ANSWER or status >= 400) and any(0 < one < 400 for one in right)


def _answer_problems(case: Case, answers: Sequence[Answer]) -> Iterator[str]:
    statuses = [answer.status if answer else NO_ANSWER for answer in answers]
    if len(statuses) != len(case.expect):
        yield f"answers {statuses}, expected {case.expect}"
    for status, right in zip(statuses, case.expect, strict=False):
        if status not in right:
            yield f"status {status or 'none'}, expected {' or '.join(str(one or 'none') for one in right)}"
    for answer in answers:
        if answer:
            yield from broken_by_answer(answer)
    last = answers[-1] if answers else None
    if last is None:
        return
    local = [reason for reason in case.reasons if REASON_STATUS[reason] == last.status]
    yield from _reason_problems(last, local)
    if not local and not refused(case, answers):
        yield from _last_answer_problems(case.answer, last)
    announced = "close" in message.tokens(last.headers, "connection") or last.framing == "eof"
    if b" HTTP/1.0\r\n" in case.raw or b"HTTP/1.0" in case.request_line:  # it expects nothing else
        announced = True
    if case.connection == "close" and last.complete and not announced:
        yield "closes without `Connection: close` (RFC 9112 9.6)"


def _reason_problems(answer: RawResponse, reasons: Sequence[str]) -> Iterator[str]:
    told = " ".join(answer.values("proxy-status"))
    if reasons and not any(re.search(rf"\b{reason}\b", told) for reason in reasons):
        yield f"Proxy-Status {told!r} has no {' or '.join(reasons)}"


def _last_answer_problems(expected: ExpectedAnswer, answer: RawResponse) -> Iterator[str]:
    if expected.framing and answer.framing not in expected.framing:
        yield f"framing {answer.framing}, expected {' or '.join(expected.framing)}"
    if expected.complete is not None and answer.complete != expected.complete:
        yield f"complete={answer.complete} {answer.defect}, expected {expected.complete}"
    seen = tuple(each.status for each in answer.informational)
    if expected.informational is not None and seen != expected.informational:
        yield f"1xx {seen}, expected {expected.informational}"
    if expected.body is not None:
        right = answer.body == expected.body if expected.complete else expected.body.startswith(answer.body)
        if not right:
            yield f"body {answer.body[:200]!r}, expected {expected.body[:200]!r}"
    yield from _field_problems("answer", expected, answer.headers, answer.trailers)


def _upstream_problems(
    case: Case, answers: Sequence[Answer], received: Sequence[ReceivedRequest]
) -> Iterator[str]:
    for request in received:
        yield from broken_by_request(request)
    complete = [request for request in received if request.complete]
    expected = case.upstream
    if expected == "any":
        return
    if refused(case, answers) and len(case.expect) == 1:
        expected = "cut"
    if expected == "none" and received:
        yield f"the backend received {[request.raw_head for request in received]}"
    if expected == "cut" and complete:
        yield f"the backend received a complete {[request.raw_head for request in complete]}"
    if isinstance(expected, str):
        return
    if len(received) != len(expected) or len(complete) != len(received):
        yield f"{len(received)} upstream requests, {len(complete)} complete, expected {len(expected)}"
    for request, one in zip(received, expected, strict=False):
        yield from _request_problems(one, request)


def _request_problems(expected: ExpectedRequest, request: ReceivedRequest) -> Iterator[str]:
    line = request.raw_head.split(b"\r\n")[0]
    if line not in expected.lines:
        yield f"the backend received {line!r}, expected {b' or '.join(expected.lines)!r}"
    if expected.body is not None and request.body != expected.body:
        yield f"the backend received the body {request.body[:200]!r}, expected {expected.body[:200]!r}"
    for text in expected.without:
        if text in request.raw_head or any(text in value for _, value in request.trailers):
            yield f"the backend received {text!r}"
    yield from _field_problems("upstream", expected, request.headers, request.trailers)


def _field_problems(where: str, expected: Expected, fields: Fields, trailers: Fields) -> Iterator[str]:
    left = list(fields)
    for line in expected.has:
        if line in left:
            left.remove(line)
        else:
            yield f"{where} has no {line[0]!r}: {line[1]!r} among {fields}"
    yield from (
        f"{where} has no trailer {line}: {trailers}" for line in expected.trailers if line not in trailers
    )
    names = {name.lower().decode() for name, _ in [*fields, *trailers]}
    yield from (f"{where} has {name}" for name in expected.lacks if name in names)
    listed = {name.lower() for name in expected.order}
    order = [name for name, _ in fields if name.lower() in listed]
    if order != expected.order:
        yield f"{where} has the names {order}, expected {expected.order}"
