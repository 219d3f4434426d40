"""One backend of the demo, asked directly."""

import json
import socket
import threading
from collections.abc import Iterator

import pytest

from lbg.demo.backend import BackendServer
from tests.support.address import Address, local_address
from tests.support.client import RawClient, fetch


@pytest.fixture
def address() -> Iterator[Address]:
    """Run a backend in a thread."""
    server = BackendServer("backend-1", socket.create_server(("127.0.0.1", 0)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield local_address(server.socket)
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_small_page_names_the_backend(address: Address) -> None:
    response = fetch(address, "/?a=b")
    assert (response.status, response.body) == (200, b"Hello from backend-1.\n")


def test_a_connection_carries_any_number_of_requests(address: Address) -> None:
    with RawClient(address) as client:
        assert client.request("HEAD", "/").get("Content-Length") == "22"
        assert client.request("POST", "/", body=b"not asked for").status == 200
        assert client.request("GET", "/absent").status == 404
        assert client.request("GET", "/").body == b"Hello from backend-1.\n"
        assert client.unread == b""


def test_the_slow_page_waits_as_long_as_asked(address: Address) -> None:
    assert fetch(address, "/slow?seconds=0.01").body == b"Hello from backend-1 after 0.01 s.\n"
    assert fetch(address, "/slow?seconds=soon").status == 400


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_echo_tells_what_came(address: Address, method: str) -> None:
    headers = [("Host", "a"), ("X-One", "1"), ("X-Two", "2"), ("x-two", "3")]
    response = fetch(address, "/echo?x=1", method=method, headers=headers, body="h\u00e9".encode())
    document = json.loads(response.body)
    headers_seen = {name.lower(): value for name, value in document.pop("headers").items()}
    assert document == {"backend": "backend-1", "method": method, "target": "/echo?x=1", "body": "h\u00e9"}
    assert headers_seen == {"host": "a", "x-one": "1", "x-two": "2, 3", "content-length": "3"}


def test_echo_reads_a_chunked_body(address: Address) -> None:
    with RawClient(address) as client:
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
        assert json.loads(client.read_response().body)["body"] == "hello"


@pytest.mark.parametrize(("length", "status"), [("2000000", 413), ("-1", 400)])
def test_a_body_that_cannot_be_read_ends_the_connection(address: Address, length: str, status: int) -> None:
    with RawClient(address) as client:
        client.send(f"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n".encode())
        response = client.read_response("POST")
        assert (response.status, response.get("Connection")) == (status, "close")
        assert client.closed_by_peer()


@pytest.mark.parametrize(
    ("version", "framing", "first"),
    [
        ("1.1", b"Transfer-Encoding: chunked", b"24\r\nid: 1\ndata: event 1 from backend-1\n\n\r\n"),
        ("1.0", b"Connection: close", b"id: 1\ndata: event 1 from backend-1\n\n"),
    ],
)
def test_the_first_event_is_sent_at_once(
    address: Address, version: str, framing: bytes, first: bytes
) -> None:
    with RawClient(address) as client:
        client.send(f"GET /events HTTP/{version}\r\nHost: a\r\n\r\n".encode())
        received = b""
        while not received.endswith(b"\n\n\r\n" if version == "1.1" else b"\n\n"):
            received += client.socket.recv(1000)
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"Content-Type: text/event-stream" in head
    assert framing in head
    assert body == first


def test_a_client_that_leaves_is_no_error(address: Address, capfd: pytest.CaptureFixture[str]) -> None:
    with RawClient(address) as client:
        client.send(b"GET /slow?seconds=0.05 HTTP/1.1\r\nHost: a\r\n\r\n" * 3)
        client.reset()
    assert fetch(address, "/slow?seconds=0.2").status == 200
    assert capfd.readouterr().err == ""
