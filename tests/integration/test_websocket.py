"""Switching protocols: a real WebSocket client, through lbg, to a real WebSocket server."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import websocket
from websocket import ABNF, WebSocketBadStatusException

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient, fetch
from tests.support.handlers import answer, head
from tests.support.lbg import LbgProcess, one_pool
from tests.support.streamed import StreamedResponse
from tests.support.waiting import eventually
from tests.support.websocket_backend import CLOSE, WebSocket, echo_messages, frame, switched
from tests.support.websocket_backend import websocket as serving

UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@dataclass
class Proxied:
    """lbg with one worker in front of one backend, whose handler each test chooses."""

    lbg: LbgProcess
    backend: Backend


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Start both once for all tests."""
    with Backend() as backend:
        config = one_pool(backend.url)
        with LbgProcess(config, tmp_path_factory.mktemp("websocket"), workers=1) as process:
            yield Proxied(process, backend)


@pytest.fixture
def proxied(running: Proxied) -> Proxied:
    """Give both with nothing left of the last test."""
    running.backend.stop()
    running.backend.handler = serving(echo_messages)
    running.backend.errors.clear()
    running.backend.requests.clear()
    running.backend.start()
    return running


@contextmanager
def _connected(process: LbgProcess, path: str = "/chat", **options: object) -> Iterator[websocket.WebSocket]:
    client = websocket.WebSocket()
    client.settimeout(10)
    try:
        client.connect(process.url.replace("http", "ws") + path, **options)
        yield client
        client.close()
    finally:
        client.shutdown()  # the library leaves the socket open after a close frame or a refusal


def _upstream_is_closed(backend: Backend) -> None:
    eventually(lambda: not backend.open_connections, what="the upstream connection to be closed")


def test_text_comes_back(proxied: Proxied) -> None:
    with _connected(proxied.lbg) as client:
        for number in range(20):
            client.send(f"message {number}")
            assert client.recv() == f"message {number}"


def test_a_megabyte_comes_back(proxied: Proxied) -> None:
    data = os.urandom(1 << 20)
    with _connected(proxied.lbg) as client:
        client.send_binary(data)
        assert client.recv() == data


def test_the_backend_sees_the_clients_handshake(proxied: Proxied) -> None:
    with _connected(proxied.lbg, subprotocols=["chat"], header=["X-Custom: yes"]) as client:
        assert client.getsubprotocol() == "chat"
        (request,) = proxied.backend.requests
    assert request.target == b"/chat"
    assert (request.get("upgrade"), request.get("connection")) == ("websocket", "Upgrade")
    assert request.get("x-custom") == "yes"
    assert request.get("x-forwarded-for") == "127.0.0.1"


def test_both_sides_talk_at_the_same_time(proxied: Proxied) -> None:
    count, received = 300, []

    def push_while_reading(peer: WebSocket) -> None:
        pusher = threading.Thread(target=lambda: [peer.send(b"push %d" % each) for each in range(count)])
        pusher.start()
        while (message := peer.receive())[0] != CLOSE:
            received.append(message[1])
        pusher.join()

    proxied.backend.handler = serving(push_while_reading)
    with _connected(proxied.lbg) as client:
        sender = threading.Thread(target=lambda: [client.send(f"pull {each}") for each in range(count)])
        sender.start()
        assert [client.recv() for _ in range(count)] == [f"push {each}" for each in range(count)]
        sender.join()
        eventually(lambda: len(received) == count, what="all messages at the backend")
    assert received == [b"pull %d" % each for each in range(count)]


def test_the_client_hears_nothing_of_a_long_silence(proxied: Proxied) -> None:
    with _connected(proxied.lbg) as client:
        time.sleep(0.6)  # several looks of lbg at clients that wait
        client.send("still there")
        assert client.recv() == "still there"


def test_a_close_by_the_server_reaches_the_client(proxied: Proxied) -> None:
    proxied.backend.handler = serving(lambda peer: peer.send((4000).to_bytes(2, "big") + b"enough", CLOSE))
    with _connected(proxied.lbg) as client:
        opcode, payload = client.recv_data()
    assert (opcode, payload) == (ABNF.OPCODE_CLOSE, b"\x0f\xa0enough")
    _upstream_is_closed(proxied.backend)


def test_a_close_by_the_client_reaches_the_server(proxied: Proxied) -> None:
    closes = []

    def note_close(peer: WebSocket) -> None:
        closes.append(peer.receive())

    proxied.backend.handler = serving(note_close)
    with _connected(proxied.lbg) as client:
        client.send_close(4001, b"bye")
        eventually(lambda: closes, what="the close frame at the backend")
    assert closes == [(CLOSE, b"\x0f\xa1bye")]
    _upstream_is_closed(proxied.backend)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_vanishes_ends_the_tunnel(proxied: Proxied, end: str) -> None:
    with RawClient(proxied.lbg.address) as client:
        client.send(UPGRADE)
        assert StreamedResponse(client).status == 101
        client.close() if end == "close" else client.reset()
        _upstream_is_closed(proxied.backend)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_server_that_vanishes_ends_the_tunnel(proxied: Proxied, end: str) -> None:
    def vanish(connection: BackendConnection) -> None:
        connection.send(switched(connection.read_head().get("sec-websocket-key") or "", []))
        connection.pause(0.1)
        connection.close() if end == "close" else connection.reset()

    proxied.backend.handler = vanish
    with RawClient(proxied.lbg.address) as client:
        client.send(UPGRADE)
        assert StreamedResponse(client).status == 101
        assert client.read_until_closed() == b""


def test_what_comes_with_the_handshakes_is_not_lost(proxied: Proxied) -> None:
    def eager(connection: BackendConnection) -> None:
        request = connection.read_head()
        connection.send(switched(request.get("sec-websocket-key") or "", []) + frame(b"welcome"))
        assert connection.receive() == b"first bytes"
        connection.send(frame(b"got it"))
        connection.close()

    proxied.backend.handler = eager
    with RawClient(proxied.lbg.address) as client:
        client.send(UPGRADE + b"first bytes")
        assert client.read_response().status == 101
        assert client.read_until_closed() == frame(b"welcome") + frame(b"got it")


def test_the_answer_names_the_protocol(proxied: Proxied) -> None:
    with RawClient(proxied.lbg.address) as client:
        client.send(UPGRADE)
        response = client.read_response()
    assert (response.status, response.reason) == (101, "Switching Protocols")
    assert (response.values("upgrade"), response.values("connection")) == (["websocket"], ["Upgrade"])
    assert response.values("sec-websocket-accept") == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="]
    assert response.get("content-length") is None
    assert response.get("transfer-encoding") is None


def test_an_idle_tunnel_ends_after_its_timeout(lbg: StartLbg) -> None:
    with Backend(serving(echo_messages)) as backend:
        process = lbg(one_pool(backend.url, timeouts={"tunnel": 0.5}))
        with RawClient(process.address) as client:
            client.send(UPGRADE)
            assert StreamedResponse(client).status == 101
            begun = time.monotonic()
            assert client.read_until_closed() == b""
            assert time.monotonic() - begun >= 0.4
        _upstream_is_closed(backend)


def test_a_tunnel_in_use_does_not_end(lbg: StartLbg) -> None:
    def tick(peer: WebSocket) -> None:
        for _ in range(12):
            time.sleep(0.15)  # 1.8 s in all, one way only
            peer.send(b"tick")

    with Backend(serving(tick)) as backend:
        process = lbg(one_pool(backend.url, timeouts={"tunnel": 1.0}))
        with _connected(process) as client:
            assert [client.recv() for _ in range(12)] == ["tick"] * 12


def test_a_refusal_passes_as_it_is(proxied: Proxied) -> None:
    proxied.backend.handler = answer(403, [("X-Why", "no seat")], b"go away")
    with pytest.raises(WebSocketBadStatusException) as refusal, _connected(proxied.lbg):
        pass
    assert refusal.value.status_code == 403
    assert refusal.value.resp_headers["x-why"] == "no seat"
    assert refusal.value.resp_body == b"go away"


def test_http_goes_on_after_a_refusal(proxied: Proxied) -> None:
    proxied.backend.handler = answer(403)
    with RawClient(proxied.lbg.address) as client:
        client.send(UPGRADE)
        assert client.read_response().status == 403
        proxied.backend.handler = answer()
        assert client.request().body == b"ok"


def test_a_switch_nobody_asked_for_is_a_bad_response(proxied: Proxied) -> None:
    def switch(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(101, [("Upgrade", "websocket"), ("Connection", "Upgrade")]))
        connection.wait_until_proxy_closes()

    proxied.backend.handler = switch
    response = fetch(proxied.lbg.address)
    assert response.status == 502
    assert "bad_response" in (response.get("proxy-status") or "")
    _upstream_is_closed(proxied.backend)


def test_a_switch_of_any_named_protocol_passes(proxied: Proxied) -> None:
    def upper(connection: BackendConnection) -> None:
        assert connection.read_head().get("upgrade") == "shouting/1"
        connection.send(head(101, [("Upgrade", "shouting/1"), ("Connection", "Upgrade")]))
        connection.send(connection.receive().upper())
        connection.close()

    proxied.backend.handler = upper
    with RawClient(proxied.lbg.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: shouting/1\r\n\r\n")
        assert StreamedResponse(client).status == 101
        client.send(b"hello")
        assert client.read_until_closed() == b"HELLO"


def test_a_refused_connect_sends_the_handshake_elsewhere(lbg: StartLbg) -> None:
    with Backend() as down, Backend(serving(echo_messages)) as up:
        process = lbg(one_pool(down.url, up.url), workers=1)
        down.stop()
        for _ in range(2):
            with _connected(process) as client:
                client.send("hello")
                assert client.recv() == "hello"


def test_a_client_that_does_not_read_holds_the_backend_back(proxied: Proxied) -> None:
    sent = 0

    def flood(peer: WebSocket) -> None:
        nonlocal sent
        while sent < 1000:
            peer.send(bytes(1 << 20))
            sent += 1

    proxied.backend.handler = serving(flood)
    samples: list[int] = []
    with RawClient(proxied.lbg.address) as client:
        client.send(UPGRADE)

        def stalled() -> bool:
            samples.append(sent)
            return len(samples) >= 10 and 0 < samples[-10] == samples[-1]

        eventually(stalled, timeout=10.0, what="the backend to be held back")
        assert sent < 64
    _upstream_is_closed(proxied.backend)


def test_a_tunnel_counts_as_in_flight_until_it_ends(lbg: StartLbg) -> None:
    with Backend(serving(echo_messages)) as backend:
        process = lbg(one_pool(backend.url))

        def in_flight() -> int:
            (endpoint,) = process.status()["pools"]["main"]["endpoints"]
            count: int = endpoint["in_flight"]
            return count

        with _connected(process) as client:
            client.send("hello")
            assert client.recv() == "hello"
            assert in_flight() == 1
        eventually(lambda: in_flight() == 0, what="no request in flight")


PASSING = """
def through_a_generator(app):
    def middleware(environ, start_response):
        for piece in app(environ, start_response):
            yield piece
    return middleware


def as_a_list(app):
    return lambda environ, start_response: list(app(environ, start_response))


class Appending:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        yield from self.app(environ, start_response)
        if "HTTP_UPGRADE" in environ:
            yield b"the end"


class Rewrapping:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        def start(status, headers, exc_info=None):
            return start_response(status, [*headers, ("X-Seen", "1")], exc_info)
        return self.app(environ, start)
"""


CHAINS = [
    ["through_a_generator"],
    ["as_a_list"],
    ["Appending"],
    ["Rewrapping"],
    ["through_a_generator", "through_a_generator"],
    ["as_a_list", "Rewrapping", "through_a_generator"],
    ["through_a_generator", "as_a_list"],
]


@pytest.mark.parametrize("worker_class", [None, "gevent"], ids=["lbg", "gevent"])
def test_middleware_that_goes_through_the_response_does_not_disturb_a_tunnel(
    lbg: StartLbg, tmp_path: Path, worker_class: str | None
) -> None:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "passing.py").write_text(PASSING)
    with Backend() as backend:
        config = one_pool(backend.url)
        config["routes"] = [
            {"path": f"/{number}", "pool": "main", "filters": [f"passing:{name}" for name in chain]}
            for number, chain in enumerate(CHAINS)
        ]
        process = lbg(config, workers=1, worker_class=worker_class, env={"PYTHONPATH": str(modules)})
        backend.handler = serving(echo_messages)
        for number in range(len(CHAINS)):
            with _connected(process, f"/{number}") as client:
                client.send("hello")
                assert client.recv() == "hello"
            _upstream_is_closed(backend)
        backend.handler = answer()
        assert {fetch(process.address, f"/{number}").body for number in range(len(CHAINS))} == {b"ok"}
        process.stop()
    assert "ERROR" not in process.log()
