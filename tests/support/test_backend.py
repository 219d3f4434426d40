"""The test backend does what its name says, so that a failing test means the proxy."""

import hashlib
import json
import threading
import time
from pathlib import Path

import pytest

from tests.support import handlers
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import NoResponseError, RawClient, fetch
from tests.support.waiting import eventually


def test_a_request_is_recorded_as_it_came() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        client.send(
            b"PUT /a%2Fb?c HTTP/1.1\r\nHost: x\r\nX-B: 1\r\n"
            b"x-a:  2\t\r\nX-B: \xff\r\nContent-Length: 5\r\n\r\nhello"
        )
        client.read_response()
    (request,) = backend.requests
    assert (request.method, request.target, request.version) == ("PUT", b"/a%2Fb?c", "HTTP/1.1")
    assert request.headers[1:4] == [(b"X-B", b"1"), (b"x-a", b"2"), (b"X-B", b"\xff")]
    assert request.raw_head.endswith(b"x-a:  2\t\r\nX-B: \xff\r\nContent-Length: 5")
    assert (request.body, request.body_length, request.complete) == (b"hello", 5, True)
    assert request.body_sha256 == hashlib.sha256(b"hello").hexdigest()


def test_a_chunked_body_and_its_trailers_are_read() -> None:
    with Backend(handlers.echo()) as backend, RawClient(backend.address) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"
        )
        told = json.loads(client.read_response().body)
    assert told["body"] == "hello"
    assert told["trailers"] == [["X-Sum", "1"]]
    assert ["Transfer-Encoding", "chunked"] in told["headers"]


def test_a_large_body_is_counted_and_not_kept() -> None:
    body = b"0123456789" * 300_000
    with Backend() as backend:
        fetch(backend.address, method="POST", body=body)
    (request,) = backend.requests
    assert (request.body_length, len(request.body)) == (3_000_000, 1 << 20)
    assert request.body_sha256 == hashlib.sha256(body).hexdigest()


def test_a_connection_serves_thousands_of_requests_quickly() -> None:
    started = time.monotonic()
    with Backend() as backend, RawClient(backend.address) as client:
        for _ in range(3000):
            assert client.request().status == 200
    assert (len(backend.requests), backend.connections) == (3000, 1)
    assert time.monotonic() - started < 10


def test_requests_sent_together_are_answered_in_order() -> None:
    with Backend(handlers.echo()) as backend, RawClient(backend.address) as client:
        client.send(b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert [json.loads(client.read_response().body)["target"] for _ in range(2)] == ["/1", "/2"]


def test_a_client_that_expects_100_gets_it_before_the_body_is_read() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        eventually(lambda: client.socket.recv(99) == b"HTTP/1.1 100 Continue\r\n\r\n")
        client.send(b"ok")
        assert client.read_response().status == 200


def test_stop_closes_listener_and_connections_and_start_takes_the_same_port() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        client.request()
        backend.stop()
        assert client.closed_by_peer()
        with pytest.raises(ConnectionRefusedError):
            fetch(backend.address)
        backend.start()
        assert fetch(backend.address).status == 200


def test_stop_ends_a_handler_that_stalls_or_sleeps() -> None:
    before = threading.active_count()
    with Backend(handlers.in_turn(handlers.stall_before_head(), handlers.slow(60))) as backend:
        with RawClient(backend.address) as one, RawClient(backend.address) as other:
            one.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: backend.requests)
            other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: backend.open_connections == 2)
            backend.stop()
    assert threading.active_count() == before


def test_it_listens_on_ipv6() -> None:
    with Backend(address=("::1", 0)) as backend:
        assert backend.url.startswith("http://[::1]:")
        assert fetch(backend.address).status == 200


def test_it_listens_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "backend.sock"
    with Backend(address=str(path)) as backend:
        assert backend.url == f"unix:{path}"
        assert fetch(backend.address).status == 200
        backend.stop()
        backend.start()
        assert fetch(backend.address).status == 200
    assert not path.exists()


def _broken(connection: BackendConnection) -> None:
    connection.read_request()
    raise LookupError("a bug in a handler")


def test_an_error_in_a_handler_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="a bug in a handler"):
        with Backend(_broken) as backend, pytest.raises(NoResponseError):
            fetch(backend.address)


def test_an_expected_error_is_only_recorded() -> None:
    with Backend(_broken, expect_errors=True) as backend, pytest.raises(NoResponseError):
        fetch(backend.address)
    assert isinstance(backend.errors[0], LookupError)


def test_a_malformed_request_is_an_error() -> None:
    with Backend(expect_errors=True) as backend, RawClient(backend.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
        assert client.closed_by_peer()
    assert "field line b'Host : x'" in str(backend.errors[0])


def test_a_body_that_the_client_cuts_is_recorded_as_incomplete() -> None:
    with Backend() as backend:
        with RawClient(backend.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhello")
        eventually(lambda: backend.requests)
    assert (backend.requests[0].body, backend.requests[0].complete) == (b"hello", False)


def test_health_probes_stay_out_of_sight_of_the_handler() -> None:
    probe = b"GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: lbg-health/0.1\r\n\r\n"
    with Backend(handlers.answer(500)) as backend, RawClient(backend.address) as client:
        client.send(probe)
        assert client.read_response().status == 200
        assert client.request().status == 500
        assert (len(backend.requests), len(backend.probes)) == (1, 1)
        backend.probe_status = 503
        client.send(probe)
        assert client.read_response().status == 503
        backend.answer_probes = False
        client.send(probe)
        assert client.read_response().status == 500


def test_a_health_probe_is_no_turn_of_a_handler() -> None:
    probe = b"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: lbg-health/0.1\r\n\r\n"
    with Backend(handlers.in_turn(handlers.answer(500), handlers.slow(60))) as backend:
        with RawClient(backend.address) as client:
            client.send(probe)
            assert client.read_response().status == 200
            assert client.request().status == 500
            client.send(probe)
            assert client.read_response().status == 200


def test_settled_is_false_while_a_request_is_under_way() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        eventually(backend.settled)
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
        eventually(lambda: not backend.settled())
        client.send(b"\r\n")
        assert client.read_response().status == 200
        eventually(backend.settled)


def test_a_handler_may_be_exchanged_on_an_open_connection() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        assert client.request().status == 200
        backend.handler = handlers.answer(503)
        assert client.request().status == 503
