"""Whether a connection can serve another request after a response."""

import pytest

from lbg.errors import UpstreamError
from tests.unit.net.scripted_stream import Scripted
from tests.unit.upstream.responses import Answered, answer, answer_to, connection_to

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def read(*script: Scripted, method: str = "GET") -> Answered:
    answered = answer(*script, method=method)
    answered.body()
    return answered


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (OK, "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "GET"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "GET"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HEAD"),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", "GET"),
    ],
)
def test_a_response_read_to_its_end_leaves_the_connection_usable(response: bytes, method: str) -> None:
    assert read(response, method=method).reusable


@pytest.mark.parametrize(
    ("response", "method"),
    [
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", "GET"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "GET"),
        (b"HTTP/1.1 200 OK\r\n\r\nok", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + OK, "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nx", "GET"),
        (b"HTTP/1.1 204 No Content\r\n\r\nx", "GET"),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nunchanged", "GET"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HEAD"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", "GET"),
    ],
)
def test_an_end_of_the_connection_or_a_byte_too_many_spoils_it(response: bytes, method: str) -> None:
    assert not read(response, method=method).reusable


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ],
)
def test_a_response_nobody_asked_for_changes_nothing_of_the_one_before(response: bytes) -> None:
    alone = read(response)
    followed = read(response + b"HTTP/1.1 404 Not Found\r\nX-Evil: 1\r\nContent-Length: 1\r\n\r\n!")
    assert followed.exchange.status_line == alone.exchange.status_line
    assert followed.exchange.headers == alone.exchange.headers
    assert followed.trailers == []
    assert not followed.reusable


def test_bytes_too_many_in_a_later_piece_spoil_it_too() -> None:
    answered = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", b"dyX")
    assert answered.body() == b"body"
    assert not answered.reusable


def test_one_connection_serves_responses_of_every_framing_in_turn() -> None:
    connection = connection_to(
        OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK,
    )
    seen = []
    for method in ("GET", "HEAD", "GET", "GET", "GET", "HEAD", "GET"):
        answered = answer_to(method, connection)
        seen.append((answered.exchange.status, answered.body(), answered.trailers))
        assert answered.reusable
    assert seen == [
        (200, b"ok", []),
        (200, b"", []),
        (200, b"abc", [(b"X-T", b"1")]),
        (204, b"", []),
        (304, b"", []),
        (200, b"", []),
        (200, b"ok", []),
    ]


def test_a_response_given_up_halfway_spoils_the_connection() -> None:
    answered = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", b"dy")
    answered.exchange.close()
    assert answered.lease.ends == [None]
    assert answered.connection.spoiled


def test_a_complete_body_nobody_read_spoils_the_connection_or_is_dropped_whole() -> None:
    answered = answer(OK)
    answered.exchange.close()
    assert answered.lease.ends == [None]
    assert answered.connection.spoiled or not answered.connection.pieces


def test_closing_twice_ends_the_lease_once() -> None:
    answered = read(OK)
    answered.exchange.close()
    answered.exchange.close()
    assert answered.lease.ends == [None]


def test_a_failed_response_ends_the_lease_once_with_its_failure() -> None:
    answered = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", b"")
    with pytest.raises(UpstreamError):
        answered.body()
    answered.exchange.close()
    assert [failure is not None and failure.reason.code for failure in answered.lease.ends] == [
        "upstream_cut_body"
    ]


@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        (b"timeout=5", 5),
        (b"timeout=5, max=100", 5),
        (b"max=100, Timeout=7", 7),
        (b"timeout=", 0),
        (b"timeout=abc", 0),
        (b"timeout=-5", 0),
        (b"max=5", 0),
        (b"", 0),
    ],
)
def test_the_announced_keep_alive_time_is_learned(field: bytes, seconds: int) -> None:
    answered = read(b"HTTP/1.1 204 No Content\r\nKeep-Alive: " + field + b"\r\n\r\n")
    assert answered.connection.keep_alive == seconds
    assert answered.exchange.headers == []


@pytest.mark.parametrize("digits", [400, 5000])
def test_an_announced_keep_alive_time_beyond_all_measure_is_not_believed(digits: int) -> None:
    answered = read(b"HTTP/1.1 204 No Content\r\nKeep-Alive: timeout=" + b"9" * digits + b"\r\n\r\n")
    assert answered.connection.keep_alive == 0
