"""The application under servers not ours: gunicorn's own gevent worker, and wsgiref with its validator."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from websocket import create_connection

from tests.support import address as addresses
from tests.support import toml
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.handlers import (
    Handler,
    answer,
    chunked,
    close_before_answer,
    echo,
    half_body,
    half_chunked,
    in_turn,
    sse,
)
from tests.support.lbg import ROOT, LbgProcess, one_pool
from tests.support.streamed import StreamedResponse
from tests.support.waiting import eventually
from tests.support.websocket_backend import echo_messages, websocket

PLAIN = [("Content-Type", "text/plain")]
"""The validator wants it in every answer with a body."""

LENIENT = {"outlier": {"connect_failures": 0, "server_errors": 0}, "health": {"fall": 100}}
"""Keeps both backends in service while the tests stop them."""

SCRIPT = """
import sys
from wsgiref.simple_server import make_server
from wsgiref.validate import validator
from lbg.wsgi import application
make_server("127.0.0.1", int(sys.argv[1]), validator(application)).serve_forever()
"""


@dataclass
class Served:
    """The application under some server, in front of two backends that share a handler."""

    address: Address
    first: Backend
    second: Backend

    def handle(self, handler: Handler) -> None:
        """Give both backends the handler."""
        self.first.handler = self.second.handler = handler

    @property
    def received(self) -> int:
        """How many requests both have received."""
        return len(self.first.requests) + len(self.second.requests)


@contextmanager
def _under_gevent(directory: Path, first: Backend, second: Backend) -> Iterator[Address]:
    config = one_pool(first.url, second.url, **LENIENT)
    # The worker logs a traceback when a body is cut.
    with LbgProcess(config, directory, workers=1, worker_class="gevent", allow_traceback=True) as process:
        yield process.address


@contextmanager
def _under_wsgiref(directory: Path, first: Backend, second: Backend) -> Iterator[Address]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
    file = directory / "lbg.toml"
    file.write_text(toml.dump(one_pool(first.url, second.url, **LENIENT)))
    environ = {**clean, "LBG_CONFIG": str(file), "PYTHONPATH": str(ROOT)}
    with addresses.bound_socket(("127.0.0.1", 0)) as reserved, (directory / "log").open("w+") as log:
        host, port = address = reserved.getsockname()
        command = [sys.executable, "-W", "error", "-c", SCRIPT, str(port)]
        process = subprocess.Popen(command, cwd=directory, env=environ, stderr=log, start_new_session=True)
        try:
            eventually(lambda: _accepts(address), timeout=10.0, what=f"a server on {host}:{port}")
            yield address
        finally:
            process.terminate()
            process.wait(10.0)
        log.seek(0)
        assert "Error" not in (said := log.read()), said


def _accepts(address: Address) -> bool:
    try:
        RawClient(address).close()
    except ConnectionRefusedError:
        return False
    return True


SERVERS = {"gevent": _under_gevent, "wsgiref": _under_wsgiref}


@pytest.fixture(scope="module", params=SERVERS.values(), ids=SERVERS.keys())
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Run each server once for all tests."""
    with Backend() as first, Backend() as second:
        with request.param(tmp_path_factory.mktemp("served"), first, second) as address:
            # Before the first check a single failure would be enough to take one out.
            eventually(lambda: first.probes and second.probes, timeout=10.0, what="the first checks")
            yield Served(address, first, second)


gevent_only = pytest.mark.parametrize("running", [_under_gevent], ids=["gevent"], indirect=True)
wsgiref_only = pytest.mark.parametrize("running", [_under_wsgiref], ids=["wsgiref"], indirect=True)


@pytest.fixture
def served(running: Served) -> Served:
    """Give the server with nothing left of the last test."""
    for backend in (running.first, running.second):
        backend.stop()
        backend.errors.clear()
        backend.requests.clear()
        backend.start()
    running.handle(answer(headers=PLAIN))
    return running


def test_get(served: Served) -> None:
    served.handle(answer(headers=[*PLAIN, ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], body=b"hello"))
    response = fetch(served.address, "/some/path?q=1")
    assert (response.status, response.body, response.complete) == (200, b"hello", True)
    assert response.values("set-cookie") == ["a=1", "b=2"]
    (request,) = [*served.first.requests, *served.second.requests]
    assert (request.method, request.target) == ("GET", b"/some/path?q=1")


def test_both_endpoints_are_used(served: Served) -> None:
    for _ in range(10):
        assert fetch(served.address).status == 200
    # Two workers under gevent, each of them off by one at most.
    assert all(3 <= len(backend.requests) <= 7 for backend in (served.first, served.second))
    assert served.received == 10


def test_a_post_with_a_body(served: Served) -> None:
    served.handle(echo())
    body = os.urandom(300_000)
    assert fetch(served.address, method="POST", body=body).status == 200
    (request,) = [*served.first.requests, *served.second.requests]
    assert request.body == body


def test_a_refused_connect_goes_elsewhere(served: Served) -> None:
    served.first.stop()
    answers = [fetch(served.address, method="POST", body=b"x") for _ in range(4)]
    assert [response.status for response in answers] == [200] * 4
    assert [request.body for request in served.second.requests] == [b"x"] * 4


def test_a_failed_put_is_sent_again_with_its_body(served: Served) -> None:
    served.handle(in_turn(close_before_answer(), answer(headers=PLAIN)))
    assert fetch(served.address, method="PUT", body=b"twice").status == 200
    requests = [*served.first.requests, *served.second.requests]
    assert [request.body for request in requests] == [b"twice", b"twice"]


def test_a_failed_post_is_not_sent_again(served: Served) -> None:
    served.handle(in_turn(close_before_answer(), answer(headers=PLAIN)))
    assert fetch(served.address, method="POST", body=b"once").status == 502
    assert served.received == 1


def test_a_chunked_response(served: Served) -> None:
    served.handle(chunked([b"one", b"two", b"three"], headers=PLAIN))
    response = fetch(served.address)
    assert (response.status, response.body, response.complete) == (200, b"onetwothree", True)


def test_a_large_response(served: Served) -> None:
    served.handle(answer(headers=PLAIN, body=bytes(5_000_000)))
    response = fetch(served.address)
    assert (len(response.body), response.complete) == (5_000_000, True)


def test_head_has_the_length_and_no_body(served: Served) -> None:
    served.handle(answer(headers=PLAIN, body=b"x" * 1000))
    with RawClient(served.address) as client:
        response = client.request("HEAD", "/", [("Connection", "close")])
        assert (response.status, response.get("content-length")) == (200, "1000")
        assert client.read_until_closed() == b""


def test_a_status_without_a_body(served: Served) -> None:
    served.handle(answer(204))
    response = fetch(served.address)
    assert (response.status, response.body) == (204, b"")


def test_all_down_is_told(served: Served) -> None:
    served.first.stop()
    served.second.stop()
    response = fetch(served.address, headers=[("Accept", "application/json")])
    assert response.status == 502
    assert 'details="connect_refused"' in (response.get("proxy-status") or "")
    assert b'"reason": "connect_refused"' in response.body


def test_the_host_passes_and_forwarding_fields_are_ours(served: Served) -> None:
    fields = [("Host", "shop.example:81"), ("X-Forwarded-For", "1.2.3.4"), ("Forwarded", "for=1.2.3.4")]
    assert fetch(served.address, headers=[*fields, ("Connection", "X-Hop"), ("X-Hop", "1")]).status == 200
    (request,) = [*served.first.requests, *served.second.requests]
    assert request.values("host") == ["shop.example:81"]
    assert request.values("x-forwarded-for") == ["127.0.0.1"]
    assert request.values("x-forwarded-host") == ["shop.example:81"]
    assert request.values("via") == ["1.1 lbg"]
    assert request.get("forwarded") is None
    assert request.get("x-hop") is None


@pytest.mark.parametrize(
    "fields", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a/b\r\n"], ids=["none", "two", "bad"]
)
def test_a_request_without_one_good_host_is_refused(served: Served, fields: bytes) -> None:
    with RawClient(served.address) as client:
        client.send(b"GET / HTTP/1.1\r\nConnection: close\r\n" + fields + b"\r\n")
        assert client.read_response().status == 400
    assert not served.received


@gevent_only
def test_a_name_with_an_underscore_does_not_pass(served: Served) -> None:
    fetch(served.address, headers=[("X_Real", "1"), ("X-Real", "2")])
    (request,) = [*served.first.requests, *served.second.requests]
    assert request.values("x-real") == ["2"]
    assert b"X_Real" not in request.raw_head


@gevent_only
@pytest.mark.parametrize("handler", [half_body(), half_chunked()], ids=["length", "chunked"])
def test_a_cut_body_ends_visibly_cut(served: Served, handler: Handler) -> None:
    served.handle(handler)
    response = fetch(served.address)
    assert (response.status, response.complete) == (200, False)


@gevent_only
def test_a_chunked_upload(served: Served) -> None:
    served.handle(echo())
    with RawClient(served.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"3\r\nabc\r\n")
        client.send(b"2\r\nde\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    (request,) = [*served.first.requests, *served.second.requests]
    assert request.body == b"abcde"


@gevent_only
def test_events_leave_one_by_one(served: Served) -> None:
    served.handle(sse(events=2, interval=1.0))
    with RawClient(served.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = StreamedResponse(client)
        begun = time.monotonic()
        for number in range(2):
            assert response.data(9, chunked=True) == b"data: %d\n\n" % number
        assert time.monotonic() - begun > 0.5  # the first did not wait for the second


@gevent_only
def test_a_kept_connection(served: Served) -> None:
    with RawClient(served.address) as client:
        assert [client.request().body for _ in range(3)] == [b"ok"] * 3


@gevent_only
def test_a_websocket(served: Served) -> None:
    served.handle(websocket(echo_messages))
    client = create_connection(f"ws://{addresses.authority(served.address)}/", timeout=10)
    try:
        client.send("hello")
        assert client.recv() == "hello"
        client.close()
    finally:
        client.shutdown()
    backends = (served.first, served.second)
    eventually(lambda: not any(backend.open_connections for backend in backends), what="the tunnel's end")


def test_the_admin_listener_stays_apart(tmp_path: Path) -> None:
    with Backend() as backend:
        config = one_pool(backend.url)
        with LbgProcess(config, tmp_path, workers=1, worker_class="gevent") as process:
            assert fetch(process.admin_address, "/health/live").status == 200
            assert fetch(process.address, "/health/live").body == b"ok"


@wsgiref_only
def test_a_switch_of_protocols_is_refused_where_it_cannot_be(served: Served) -> None:
    served.handle(websocket(echo_messages))
    fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", "x")]
    assert fetch(served.address, headers=fields).status >= 500


def test_a_server_with_threads_is_refused_in_words_rather_than_at_random(tmp_path: Path) -> None:
    with Backend() as backend:
        config = one_pool(backend.url)
        options = {"workers": 1, "worker_class": "gthread", "args": ["--threads", "4"]}
        with LbgProcess(config, tmp_path, **options, allow_traceback=True) as process:
            clients = [RawClient(process.address) for _ in range(4)]
            responses = [client.request() for client in clients]
            for client in clients:
                client.close()
    assert {response.status for response in responses} <= {200, 500}
    assert all(b"one thread" in each.body for each in responses if each.status == 500)
    assert "use gevent, or one thread" in process.log()
