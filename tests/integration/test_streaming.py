"""Bodies pass as they come, in both directions, whole or visibly cut, and take no memory."""

import hashlib
import queue
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

import psutil
import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient, fetch
from tests.support.handlers import (
    Handler,
    answer,
    chunked,
    early_answer_then_close,
    echo,
    half_body,
    half_chunked,
    head,
    raw_bytes,
    reset_mid_body,
    stream,
)
from tests.support.lbg import LbgProcess, one_pool
from tests.support.streamed import StreamedResponse
from tests.support.waiting import eventually

MB = 1 << 20
BUFFERED = 64 * MB
"""More than all the socket buffers of two hops hold, and much less than the bodies below."""
GROWTH = 20 * MB

OVERTAKEN = half_chunked("reset")
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass
class Proxied:
    """lbg with one worker in front of one backend, whose handler each test chooses."""

    lbg: LbgProcess
    backend: Backend
    worker: psutil.Process

    def memory(self) -> int:
        """Return the bytes that the proxy worker has to itself."""
        size: int = self.worker.memory_full_info().uss
        return size


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Start both once for all tests."""
    with Backend() as backend:
        with LbgProcess(one_pool(backend.url), tmp_path_factory.mktemp("streaming"), workers=1) as lbg:
            eventually(lambda: lbg.worker_pids("proxy"))
            yield Proxied(lbg, backend, psutil.Process(lbg.worker_pids("proxy")[0]))


@pytest.fixture
def proxied(running: Proxied) -> Iterator[Proxied]:
    """Give both, with no connection left over from another test."""
    yield running
    running.backend.stop()
    running.backend.handler = answer()
    running.backend.errors.clear()
    running.backend.requests.clear()
    running.backend.start()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_events_arrive_one_by_one_and_promptly(proxied: Proxied, framing: str) -> None:
    waiting: queue.Queue[bytes] = queue.Queue()
    fields = [("Content-Type", "text/event-stream")]
    if framing == "chunked":
        fields.append(("Transfer-Encoding", "chunked"))

    def events(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, fields))
        while event := waiting.get(timeout=10.0):
            connection.send(_chunk(event) if framing == "chunked" else event)
        connection.close()

    proxied.backend.handler = events
    with RawClient(proxied.lbg.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n")
        response = StreamedResponse(client)  # the head comes before the first event
        assert (b"Content-Type", b"text/event-stream") in response.headers
        delays = []
        for number in range(10):
            event = b"data: %d\n\n" % number
            begun = time.monotonic()
            waiting.put(event)
            assert response.data(len(event), chunked=True) == event
            delays.append(time.monotonic() - begun)
        waiting.put(b"")
    assert statistics.median(delays) < 0.5, delays


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_request_body_passes_before_it_is_whole(proxied: Proxied, framing: str) -> None:
    arrived: queue.Queue[bytes] = queue.Queue()

    def receive(connection: BackendConnection) -> None:
        connection.read_head()
        body = b""
        while b"second" not in body:
            data = connection.receive()
            arrived.put(data)
            body += data
        connection.send(head(200, [("Content-Length", "0"), ("Connection", "close")]))
        connection.close()

    def piece(data: bytes) -> bytes:
        return _chunk(data) if framing == "chunked" else data

    proxied.backend.handler = receive
    fields = CHUNKED if framing == "chunked" else b"Content-Length: 11\r\n\r\n"
    with RawClient(proxied.lbg.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + fields)
        client.send(piece(b"first"))
        seen = b""
        while b"first" not in seen:
            seen += arrived.get(timeout=5.0)
        client.send(piece(b"second") + (b"0\r\n\r\n" if framing == "chunked" else b""))
        assert client.read_response().status == 200


def test_an_answer_passes_while_the_request_is_still_coming(proxied: Proxied) -> None:
    def duplex(connection: BackendConnection) -> None:
        connection.read_head()
        connection.send(head(200, [("Transfer-Encoding", "chunked")]))
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            data = connection.receive()
            received += data
            connection.send(data)  # chunks come back as chunks

    proxied.backend.handler = duplex
    with RawClient(proxied.lbg.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\n" + CHUNKED)
        response = None
        for number in range(20):
            data = b"message %d" % number
            client.send(_chunk(data))
            response = response or StreamedResponse(client)
            assert response.data(len(data), chunked=True) == data
        client.send(b"0\r\n\r\n")
        assert response is not None
        assert response.chunk() == b""


@pytest.mark.parametrize(
    ("handler", "framing"),
    [
        pytest.param(half_chunked("close"), "chunked", id="chunked-close"),
        pytest.param(OVERTAKEN, "chunked", id="chunked-reset"),
        pytest.param(half_body("close"), "length", id="length-close"),
        pytest.param(reset_mid_body(), "length", id="length-reset"),
    ],
)
def test_a_cut_body_ends_visibly_cut(proxied: Proxied, handler: Handler, framing: str) -> None:
    proxied.backend.handler = handler
    with RawClient(proxied.lbg.address) as client:
        response = client.request()
        assert client.closed_by_peer()
    if handler is OVERTAKEN and response.status == 502:
        return  # the reset overtook the head on its way to lbg
    assert (response.status, response.framing, response.complete) == (200, framing, False)
    assert b"hello".startswith(response.body)


def test_a_cut_large_body_ends_visibly_cut(proxied: Proxied) -> None:
    def cut(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, [("Content-Length", str(10 * MB))]))
        connection.send(bytes(5 * MB))
        connection.close()

    proxied.backend.handler = cut
    response = fetch(proxied.lbg.address)
    assert (response.status, response.framing, response.complete) == (200, "length", False)
    assert len(response.body) == 5 * MB


def test_a_body_without_length_that_is_reset_ends_visibly_cut(proxied: Proxied) -> None:
    def cut(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        connection.pause(0.2)
        connection.reset()

    proxied.backend.handler = cut
    response = fetch(proxied.lbg.address)
    assert (response.status, response.framing, response.complete) == (200, "chunked", False)


def test_a_1_0_client_can_tell_a_cut_body_by_a_reset(proxied: Proxied) -> None:
    proxied.backend.handler = half_chunked()
    with RawClient(proxied.lbg.address) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        response = client.read_response()
    assert (response.status, response.framing, response.complete) == (200, "eof", False)


def test_a_body_that_stops_coming_is_cut(lbg: StartLbg) -> None:
    handler = raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", end="stall")
    with Backend(handler) as backend:
        process = lbg(one_pool(backend.url, timeouts={"idle": 0.3}))
        response = fetch(process.address)
        assert (response.status, response.body, response.complete) == (200, b"hello", False)
        eventually(lambda: not backend.open_connections, what="the upstream connection to be closed")


class Sender:
    """A handler that sends a large body of 64 KB blocks and counts what has left it."""

    def __init__(self, total: int, *, chunks: bool) -> None:
        self.total = total
        self.chunks = chunks
        self.sent = 0
        self.block = Random(1).randbytes(65536)
        self.digest = hashlib.sha256(self.block * (total // len(self.block))).hexdigest()

    def __call__(self, connection: BackendConnection) -> None:
        """Answer one request."""
        connection.read_request()
        framing = ("Transfer-Encoding", "chunked") if self.chunks else ("Content-Length", str(self.total))
        connection.send(head(200, [framing]))
        piece = _chunk(self.block) if self.chunks else self.block
        while self.sent < self.total:
            connection.send(piece)
            self.sent += len(self.block)
        if self.chunks:
            connection.send(b"0\r\n\r\n")


def _stable(value: list[int]) -> bool:
    """Whether the last ten samples are the same."""
    return len(value) >= 10 and len(set(value[-10:])) == 1


@pytest.mark.parametrize("chunks", [False, True], ids=["length", "chunked"])
def test_a_large_response_waits_for_a_slow_client_and_takes_no_memory(proxied: Proxied, chunks: bool) -> None:
    fetch(proxied.lbg.address)
    before = proxied.memory()
    sender = proxied.backend.handler = Sender(200 * MB, chunks=chunks)
    with RawClient(proxied.lbg.address, timeout=15.0) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        response = StreamedResponse(client)
        samples: list[int] = []

        def stalled() -> bool:
            samples.append(sender.sent)
            return _stable(samples)

        eventually(stalled, timeout=10.0, what="the backend to be held back")
        assert 0 < sender.sent < BUFFERED
        peak = proxied.memory()
        digest, received = hashlib.sha256(), 0
        while received < sender.total:
            data = response.chunk() if chunks else response.receive()
            assert data
            digest.update(data)
            if received // (20 * MB) != (received + len(data)) // (20 * MB):
                peak = max(peak, proxied.memory())
            received += len(data)
        if chunks:
            assert response.chunk() == b""
    assert digest.hexdigest() == sender.digest
    assert peak - before < GROWTH


@pytest.mark.parametrize("chunks", [False, True], ids=["length", "chunked"])
def test_a_large_upload_waits_for_a_slow_backend_and_takes_no_memory(proxied: Proxied, chunks: bool) -> None:
    go = threading.Event()

    def wait_then_read(connection: BackendConnection) -> None:
        assert go.wait(15.0)
        request = connection.read_request()
        body = request.body_sha256.encode()
        connection.send(head(200, [("Content-Length", str(len(body)))]) + body)

    fetch(proxied.lbg.address)
    before = proxied.memory()
    proxied.backend.handler = wait_then_read
    total, block = 100 * MB, Random(2).randbytes(65536)
    piece = _chunk(block) if chunks else block
    sent = 0

    def upload() -> None:
        nonlocal sent
        while sent < total:
            client.send(piece)
            sent += len(block)
        if chunks:
            client.send(b"0\r\n\r\n")

    with RawClient(proxied.lbg.address, timeout=15.0) as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\n" + (CHUNKED if chunks else b"Content-Length: %d\r\n\r\n" % total)
        )
        thread = threading.Thread(target=upload)
        thread.start()
        samples: list[int] = []

        def stalled() -> bool:
            samples.append(sent)
            return _stable(samples)

        try:
            eventually(stalled, timeout=10.0, what="the client to be held back")
            held, peak = sent, proxied.memory()
        finally:
            go.set()
        response = client.read_response()
        thread.join(10.0)
        peak = max(peak, proxied.memory())
    assert 0 < held < BUFFERED
    assert response.body.decode() == hashlib.sha256(block * (total // len(block))).hexdigest()
    assert peak - before < GROWTH


def test_large_bodies_are_exact_for_clients_side_by_side(proxied: Proxied) -> None:
    bodies = {b"/%d" % number: Random(number).randbytes(20 * MB + number) for number in range(6)}

    def give(connection: BackendConnection) -> None:
        body = bodies[connection.read_request().target]
        connection.send(head(200, [("Content-Length", str(len(body)))]) + body)

    proxied.backend.handler = give

    def take(target: bytes) -> bool:
        return fetch(proxied.lbg.address, target.decode()).body == bodies[target]

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(take, [*bodies, *bodies]))


def test_large_uploads_are_exact_for_clients_side_by_side(proxied: Proxied) -> None:
    proxied.backend.handler = echo()
    bodies = [Random(number).randbytes(10 * MB + number) for number in range(6)]

    def give(body: bytes) -> bool:
        answered = fetch(proxied.lbg.address, method="PUT", body=body).body
        return hashlib.sha256(body).hexdigest().encode() in answered

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(give, bodies))


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 65535, 65536, 65537, 262144, MB])
def test_bodies_of_any_size_are_exact_and_keep_the_connection(proxied: Proxied, size: int) -> None:
    body = Random(size).randbytes(size)
    proxied.backend.handler = answer(body=body)
    with RawClient(proxied.lbg.address) as client:
        for _ in range(3):
            response = client.request("POST", "/", [], body)
            assert response.complete
            assert response.body == body
    assert [request.body for request in proxied.backend.requests] == [body] * 3


def test_a_kept_connection_serves_large_and_small_in_turn(proxied: Proxied) -> None:
    proxied.backend.handler = stream(3 * MB)
    with RawClient(proxied.lbg.address) as client:
        for _ in range(3):
            proxied.backend.handler = stream(3 * MB)
            assert len(client.request().body) == 3 * MB
            proxied.backend.handler = answer(body=b"small")
            assert client.request().body == b"small"
    assert len({request.connection for request in proxied.backend.requests}) == 1


def test_trailers_pass_to_the_client(proxied: Proxied) -> None:
    proxied.backend.handler = chunked(
        [b"one", b"two"], trailers=[("X-Sum", "42")], headers=[("Trailer", "X-Sum")]
    )
    response = fetch(proxied.lbg.address, headers=[("TE", "trailers"), ("Connection", "TE")])
    assert response.body == b"onetwo"
    assert response.trailers == [(b"X-Sum", b"42")]
    assert response.get("trailer") == "X-Sum"


def test_trailers_pass_to_the_backend(proxied: Proxied) -> None:
    proxied.backend.handler = echo()
    with RawClient(proxied.lbg.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTrailer: X-Sum\r\n" + CHUNKED)
        client.send(b"3\r\none\r\n0\r\nX-Sum: 42\r\n\r\n")
        assert client.read_response().status == 200
    (request,) = proxied.backend.requests
    assert request.trailers == [(b"X-Sum", b"42")]
    assert request.get("trailer") == "X-Sum"


def test_early_hints_pass_before_the_answer_exists(proxied: Proxied) -> None:
    go = threading.Event()

    def hint(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        assert go.wait(10.0)
        connection.send(head(200, [("Content-Length", "2")]) + b"ok")

    proxied.backend.handler = hint
    with RawClient(proxied.lbg.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        try:
            early = StreamedResponse(client)
        finally:
            go.set()
        assert (early.status, early.headers) == (103, [(b"Link", b"</a.css>; rel=preload")])
        assert client.read_response().body == b"ok"


def _post_awaiting_100(client: RawClient, length: int = 4) -> None:
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % length)


def test_a_client_that_awaits_a_100_gets_it_before_its_body(proxied: Proxied) -> None:
    proxied.backend.handler = echo()
    with RawClient(proxied.lbg.address) as client:
        _post_awaiting_100(client)
        assert StreamedResponse(client).status == 100
        client.send(b"body")
        response = client.read_response()
    assert (response.status, response.informational) == (200, [])
    assert proxied.backend.requests[0].body == b"body"


def test_a_client_is_told_to_go_on_when_the_backend_never_says_so(proxied: Proxied) -> None:
    def silent(connection: BackendConnection) -> None:
        connection.read_head()
        body = connection.receive()
        connection.send(head(200, [("Content-Length", str(len(body))), ("Connection", "close")]) + body)
        connection.close()

    proxied.backend.handler = silent
    with RawClient(proxied.lbg.address, timeout=5.0) as client:
        _post_awaiting_100(client)
        assert StreamedResponse(client).status == 100
        client.send(b"body")
        assert client.read_response().body == b"body"


def test_a_body_that_was_not_held_back_passes_without_a_100(proxied: Proxied) -> None:
    def silent(connection: BackendConnection) -> None:
        connection.read_head()
        body = b""
        while len(body) < 4:
            body += connection.receive()
        connection.send(head(200, [("Content-Length", str(len(body))), ("Connection", "close")]) + body)
        connection.close()

    proxied.backend.handler = silent
    with RawClient(proxied.lbg.address, timeout=5.0) as client:
        _post_awaiting_100(client)
        client.send(b"body")
        assert client.read_response().body == b"body"


def test_a_refusal_comes_in_place_of_the_100(proxied: Proxied) -> None:
    proxied.backend.handler = early_answer_then_close(413)
    with RawClient(proxied.lbg.address) as client:
        _post_awaiting_100(client, 100 * MB)
        response = client.read_response()
        assert (response.status, response.informational) == (413, [])
        assert client.closed_by_peer()


@pytest.mark.parametrize("framing", ["chunked", "length"])
@pytest.mark.parametrize("then", ["close", "stall"])
def test_an_early_refusal_reaches_a_client_that_is_still_sending(
    proxied: Proxied, then: str, framing: str
) -> None:
    def refuse(connection: BackendConnection) -> None:
        connection.read_head()
        connection.receive()
        connection.send(head(413, [("Content-Length", "9"), ("Connection", "close")]) + b"too large")
        connection.close() if then == "close" else connection.wait_until_proxy_closes()

    proxied.backend.handler = refuse
    total, block = 100 * MB, bytes(65536)
    with RawClient(proxied.lbg.address) as client:

        def upload() -> None:
            try:
                for _ in range(total // len(block)):
                    client.send(_chunk(block) if framing == "chunked" else block)
            except OSError:
                return

        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\n"
            + (CHUNKED if framing == "chunked" else b"Content-Length: %d\r\n\r\n" % total)
        )
        thread = threading.Thread(target=upload)
        thread.start()
        response = client.read_response()
        client.socket.settimeout(0.0)
    thread.join(10.0)
    assert (response.status, response.body, response.complete) == (413, b"too large", True)
    assert response.get("connection") == "close"


@pytest.mark.parametrize("framing", ["chunked", "length"])
def test_a_client_that_was_refused_early_is_let_go(lbg: StartLbg, framing: str) -> None:
    def refuse(connection: BackendConnection) -> None:
        connection.read_head()
        connection.send(head(413, [("Content-Length", "0"), ("Connection", "close")]))
        connection.wait_until_proxy_closes()

    with Backend(refuse) as backend:
        # With room for one client only, the second is served when the first is forgotten.
        process = lbg({"server": {"max_connections": 1}, **one_pool(backend.url)}, workers=1)
        with RawClient(process.address) as client:
            client.send(
                b"POST / HTTP/1.1\r\nHost: a\r\n"
                + (CHUNKED if framing == "chunked" else b"Content-Length: %d\r\n\r\n" % (100 * MB))
            )
            client.send_pieces([_chunk(bytes(65536)) if framing == "chunked" else bytes(65536)] * 16)
            assert client.read_response().status == 413
        backend.handler = answer()
        assert fetch(process.address).body == b"ok"
