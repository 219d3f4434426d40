"""The raw client notices everything that is wrong with an answer."""

import pytest

from tests.support import handlers
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import NoResponseError, RawClient, RawResponse
from tests.support.handlers import End
from tests.support.message import MalformedMessageError


def reading(raw: bytes, end: End = "close", method: str = "GET") -> RawResponse:
    """Read one answer that consists of these bytes."""
    with Backend(handlers.raw_bytes(raw, end)) as backend, RawClient(backend.address) as client:
        return client.request(method)


def test_a_body_without_framing_ends_with_the_connection() -> None:
    response = reading(b"HTTP/1.1 200 OK\r\n\r\nhello")
    assert (response.framing, response.body, response.complete) == ("eof", b"hello", True)


def test_interim_answers_are_kept_apart() -> None:
    response = reading(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n"
    )
    assert [one.status for one in response.informational] == [100, 103]
    assert response.informational[1].get("link") == "x"
    assert (response.status, response.framing) == (204, "none")


def test_a_switch_of_protocols_is_final() -> None:
    assert reading(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").status == 101


@pytest.mark.parametrize(
    "body",
    [b"5\r\nhel", b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n", b"5\r\nhello\r\n0\r\nX-A: b\r\n", b""],
)
def test_a_chunked_body_without_its_end_is_incomplete(body: bytes) -> None:
    response = reading(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body)
    assert not response.complete


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x01\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n",
    ],
)
def test_a_malformed_answer_is_refused(raw: bytes) -> None:
    with pytest.raises(MalformedMessageError):
        reading(raw)


def test_bytes_after_an_answer_are_noticed() -> None:
    with Backend(handlers.lie_shorter("open")) as backend, RawClient(backend.address) as client:
        client.request()
        with pytest.raises(MalformedMessageError, match="left over"):
            client.closed_by_peer()


def test_an_open_connection_is_not_closed_by_the_peer() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        client.request()
        assert not client.closed_by_peer(timeout=0.01)
        assert client.request().status == 200


def _refuse_at_once(connection: BackendConnection) -> None:
    connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    connection.close()


def test_an_answer_is_read_although_a_reset_followed_it() -> None:
    with Backend(_refuse_at_once) as backend, RawClient(backend.address) as client:
        sent = client.send_pieces(b"x" * 1000 for _ in range(100_000))
        assert not sent
        assert client.read_response().status == 400
        assert client.closed_by_peer()


def test_no_answer_is_told_with_what_came_instead() -> None:
    with pytest.raises(NoResponseError, match=r"HTTP/1\.1 2"):
        reading(b"HTTP/1.1 2")
