"""What holds for every message that lbg sends, whatever it received (RFC 9110, RFC 9112)."""

from collections import Counter
from collections.abc import Iterator

from tests.support import message
from tests.support.backend_connection import ReceivedRequest
from tests.support.client import RawResponse
from tests.support.message import Fields

HOP_BY_HOP = ("keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization")
ONCE = ("host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-request-id")
"""Fields that each request to a backend carries exactly once."""


def broken_by_request(request: ReceivedRequest) -> list[str]:
    """Return the rules that a request to a backend breaks."""
    return [f"upstream request: {problem}" for problem in _in_request(request)]


def broken_by_answer(answer: RawResponse) -> list[str]:
    """Return the rules that an answer to a client breaks."""
    return [f"answer {answer.status}: {problem}" for problem in _in_answer(answer)]


def _in_request(request: ReceivedRequest) -> Iterator[str]:
    fields = request.headers
    yield from _in_any(fields, request.trailers)
    if request.version != "HTTP/1.1":
        yield f"version {request.version}"
    counted = Counter(name.lower().decode() for name, _ in fields)
    yield from (f"{counted[name]} fields {name}" for name in ONCE if counted[name] != 1)
    if counted["x-forwarded-host"] > 1:  # absent when a 1.0 client sent no Host
        yield "X-Forwarded-Host twice"
    if not any("lbg" in via for via in request.values("via")):
        yield f"Via without lbg: {request.values('via')}"
    if any(te != "trailers" for te in message.tokens(fields, "te")):
        yield f"TE: {request.values('te')}"
    if counted["proxy"]:
        yield "a field Proxy"
    if "h2c" in message.tokens(fields, "upgrade"):
        yield "Upgrade: h2c"


def _in_answer(answer: RawResponse) -> Iterator[str]:
    yield from _in_any(answer.headers, answer.trailers)
    if answer.version != "HTTP/1.1":
        yield f"version {answer.version}"
    if answer.status < 500 and len(answer.values("date")) != 1:
        yield f"{len(answer.values('date'))} fields Date (RFC 9110 6.6.1)"
    if answer.status == 405 and not answer.values("allow"):
        yield "405 without Allow (RFC 9110 15.5.6)"
    if answer.status == 204 and (answer.values("content-length") or answer.values("transfer-encoding")):
        yield "204 with a framing field (RFC 9110 8.6, RFC 9112 6.1)"


def _in_any(fields: Fields, trailers: Fields) -> Iterator[str]:
    for name, value in [*fields, *trailers]:
        if b"_" in name:
            yield f"the name {name!r}"
        if name.lower().decode() in HOP_BY_HOP:
            yield f"hop-by-hop {name!r}: {value!r} (RFC 9110 7.6.1)"
    options = set(message.tokens(fields, "connection")) - {"close", "keep-alive", "upgrade", "te"}
    if options:
        yield f"Connection names {options}"
    if message.values(fields, "content-length") and message.values(fields, "transfer-encoding"):
        yield "Content-Length and Transfer-Encoding"
    forbidden = {b"content-length", b"transfer-encoding", b"host", b"x-forwarded-for"}
    yield from (f"trailer {name!r} (RFC 9110 6.5.1)" for name, _ in trailers if name.lower() in forbidden)
