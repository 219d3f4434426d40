"""The request parser: queueing, faults, limits."""

from contextlib import suppress

import pytest

from lbg.errors import RequestError
from lbg.server.parser import MAX_FIELDS, RequestParser, framing_fields
from tests.unit.server.requests import CHUNKED, PLAIN, WITH_LENGTH, Fed, content
from tests.unit.upstream.responses import bytewise

LIMIT = 2048


def fault_of(*pieces: bytes, limit: int = LIMIT) -> RequestError:
    """Return the fault that these bytes are."""
    with pytest.raises(RequestError) as caught:
        Fed(limit).feed(*pieces)
    return caught.value


def verdict(*pieces: bytes) -> tuple[int, str]:
    fault = fault_of(*pieces)
    return fault.status, fault.reason.code


def test_nothing_is_given_before_a_head_is_whole() -> None:
    parser = RequestParser(LIMIT)
    assert (parser.next(), parser.begun) == (None, False)
    parser.feed(PLAIN.raw[:-1])
    assert (parser.next(), parser.begun) == (None, True)
    parser.feed(PLAIN.raw[-1:])
    assert not parser.begun
    assert parser.next() is not None
    assert parser.next() is None


def test_a_request_is_given_before_its_body_came() -> None:
    parser = RequestParser(LIMIT)
    parser.feed(WITH_LENGTH.raw[:-10])
    request = parser.next()
    assert request is not None
    assert (request.complete, request.received) == (False, 6)
    parser.feed(WITH_LENGTH.raw[-10:])
    assert (request.complete, b"".join(request.pieces)) == (True, WITH_LENGTH.body)


def test_pipelined_requests_queue_up_in_order() -> None:
    parser = RequestParser(LIMIT)
    parser.feed(PLAIN.raw + CHUNKED.raw + PLAIN.raw)
    assert len(parser.heads) == 3
    assert [request.method for request in parser.heads] == ["GET", "PUT", "GET"]


def test_a_fault_behind_whole_requests_waits_for_its_turn() -> None:
    parser = RequestParser(LIMIT)
    parser.feed(PLAIN.raw + CHUNKED.raw + b"GET / HTTP/1.1\nHost: a\n\n")
    assert [getattr(parser.next(), "method", None) for _ in range(2)] == ["GET", "PUT"]
    for _ in range(2):
        with pytest.raises(RequestError):
            parser.next()


def test_a_fault_in_the_body_is_that_requests_fault() -> None:
    parser = RequestParser(LIMIT)
    parser.feed(PLAIN.raw + b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert parser.next() is not None
    with pytest.raises(RequestError):
        parser.next()


def test_a_body_that_was_read_past_the_parser_is_complete() -> None:
    parser = RequestParser(LIMIT)
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    request = parser.next()
    assert request is not None
    request.length = 100
    parser.bypassed(request)
    assert (request.complete, request.received) == (True, 100)
    parser.feed(PLAIN.raw)
    following = parser.next()
    assert following is not None
    assert following.target == PLAIN.target


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            (400, "bad_request"),
        ),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
            (400, "bad_request"),
        ),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", (400, "bad_request")),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", (400, "bad_request")),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", (400, "bad_request")),
        (b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", (400, "bad_request")),
        (b"GET / HTTP/1.1\nHost: a\n\n", (400, "bad_request")),
        (b"GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n", (400, "bad_request")),
        (b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", (400, "bad_request")),
        (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", (400, "bad_request")),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", (400, "bad_request")),
        (b"GET /\r\n\r\n", (400, "bad_request")),
        (b"GET / RTSP/1.1\r\nHost: a\r\n\r\n", (400, "bad_request")),
        (b"SOURCE /x ICE/1.0\r\n\r\n", (400, "bad_request")),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", (501, "bad_request")),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", (501, "bad_request")),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", (505, "bad_request")),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", (400, "bad_request")),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", (400, "bad_request")),
    ],
)
@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_what_is_no_request_of_ours_is_refused_in_any_pieces(
    message: bytes, expected: tuple[int, str], cut: object
) -> None:
    assert callable(cut)
    assert verdict(*cut(message)) == expected


def head(*lines: bytes, target: bytes = b"/") -> bytes:
    return (
        b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n"
    )


LONG_LINE = b"X-A: " + b"a" * LIMIT


@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_a_head_over_the_limit_is_refused(cut: object) -> None:
    assert callable(cut)
    assert verdict(*cut(head(LONG_LINE))) == (431, "headers_too_large")
    assert verdict(*cut(head(*[b"X-A: 1234567"] * 200))) == (431, "headers_too_large")


@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_a_target_over_the_limit_is_refused_as_such(cut: object) -> None:
    assert callable(cut)
    assert verdict(*cut(head(target=b"/" + b"a" * LIMIT))) == (414, "uri_too_long")


@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_a_head_below_the_limit_passes(cut: object) -> None:
    assert callable(cut)
    message = head(b"X-A: " + b"a" * (LIMIT - 100))
    assert len(Fed(LIMIT).feed(*cut(message)).requests) == 1


def test_a_head_without_end_is_refused_without_waiting_for_it() -> None:
    assert verdict(b"GET / HTTP/1.1\r\n" + LONG_LINE) == (431, "headers_too_large")
    assert verdict(b"GET /" + b"a" * LIMIT) == (414, "uri_too_long")


def test_more_fields_than_allowed_are_refused() -> None:
    many = [b"a: b"] * (MAX_FIELDS - 1)
    assert len(Fed(LIMIT).feed(head(*many)).requests) == 1
    assert verdict(head(*many, b"a: b")) == (431, "headers_too_large")


@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_trailers_over_the_limit_are_refused(cut: object) -> None:
    assert callable(cut)
    message = (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        + b"".join(b"X-T: 1234567\r\n" for _ in range(200))
        + b"\r\n"
    )
    fed = Fed(LIMIT)
    with suppress(RequestError):
        fed.feed(*cut(message))
    assert fed.parser.fault is not None
    assert fed.parser.fault.reason.code == "headers_too_large"


@pytest.mark.parametrize("endless", [b"0\r\nX-T: ", b"1;"], ids=["trailer", "chunk extension"])
def test_framing_without_end_is_refused_without_waiting_for_it(endless: bytes) -> None:
    fed = Fed(LIMIT)
    fed.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(LIMIT // 100 + 2):
        fed.parser.feed(endless)
        endless = b"x" * 100
    assert fed.parser.fault is not None
    assert fed.parser.fault.reason.code == "headers_too_large"


def test_a_body_may_be_larger_than_a_head() -> None:
    message = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000\r\n\r\n" + b"x" * 9000
    for pieces in ([message], bytewise(message)):
        assert Fed(LIMIT).feed(*pieces).samples()[0].body == b"x" * 9000


def test_a_long_body_does_not_count_for_the_head_behind_it() -> None:
    message = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000 + PLAIN.raw
    assert Fed(LIMIT).feed(message).samples()[1:] == content(PLAIN)
    assert Fed(LIMIT).feed(*bytewise(message)).samples()[1:] == content(PLAIN)


@pytest.mark.parametrize(
    ("request_line", "connection", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\n", b"", True),
        (b"GET / HTTP/1.1\r\n", b"Connection: close\r\n", False),
        (b"GET / HTTP/1.1\r\n", b"Connection: x, CLOSE\r\n", False),
        (b"GET / HTTP/1.0\r\n", b"", False),
        (b"GET / HTTP/1.0\r\n", b"Connection: Keep-Alive\r\n", True),
    ],
)
def test_the_client_says_whether_the_connection_stays(
    request_line: bytes,
    connection: bytes,
    keep_alive: bool,
) -> None:
    parser = RequestParser(LIMIT)
    parser.feed(request_line + b"Host: a\r\n" + connection + b"\r\n")
    request = parser.next()
    assert request is not None
    assert request.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("field", "frames"),
    [
        ((b"Content-Length", b"5"), True),
        ((b"content-length", b"005"), True),
        ((b"Content-Length", b"0"), False),
        ((b"Content-Length", b"00 "), False),
        ((b"TRANSFER-encoding", b"chunked"), True),
        ((b"Content-Type", b"5"), False),
    ],
)
def test_which_fields_announce_a_body(field: tuple[bytes, bytes], frames: bool) -> None:
    assert framing_fields([(b"Host", b"a"), field]) == ([field] if frames else [])


def test_the_repr_tells_line_and_progress() -> None:
    fed = Fed().feed(PLAIN.raw)
    assert repr(fed.requests[0]) == "<Request GET b'/a?b' 1.1 fields=1 received=0 complete=True>"
