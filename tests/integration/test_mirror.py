"""`mirror` with real backends: copies arrive, and whatever becomes of them, the original does not notice."""

import hashlib
import signal
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
import websocket

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import Header, RawClient, RawResponse, fetch
from tests.support.handlers import (
    Handler,
    answer,
    close_before_answer,
    half_body,
    half_head,
    raw_bytes,
    reset_before_answer,
    stall_before_head,
    stream,
)
from tests.support.lbg import LbgProcess
from tests.support.waiting import eventually
from tests.support.websocket_backend import echo_messages
from tests.support.websocket_backend import websocket as serving

LIMIT = 65536


@dataclass
class Site:
    """lbg in front of a backend whose requests are copied to a shadow; each test chooses their handlers."""

    lbg: LbgProcess
    backend: Backend
    shadow: Backend

    def ask(
        self, target: str = "/", *headers: Header, method: str = "GET", body: bytes | None = None
    ) -> RawResponse:
        """Send one request on a connection of its own."""
        with RawClient(self.lbg.address, 20.0) as client:
            return client.request(method, target, headers, body)

    def copies(self, count: int) -> list[bytes]:
        """Wait for so many copies, and for the time in which more could come; return their targets."""
        eventually(lambda: len(self.shadow.requests) >= count, what=f"{count} copies")
        return sorted(request.target for request in self.shadow.requests)


def _config(backend: str, shadow: str, **mirror: object) -> dict[str, object]:
    config = {"use": "mirror", "pool": "shadow", "timeout": 2.0, **mirror}
    pools = {"main": {"endpoints": [backend]}, "shadow": {"endpoints": [shadow]}}
    route = {"path": "/", "pool": "main", "filters": [config]}
    return {"pools": pools, "routes": [route, {**route, "path": "/api", "strip_prefix": "/api"}]}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start all three once for all tests."""
    with Backend() as backend, Backend() as shadow:
        config = _config(backend.url, shadow.url)
        with LbgProcess(config, tmp_path_factory.mktemp("mirror"), workers=4) as process:
            yield Site(process, backend, shadow)


@pytest.fixture
def site(running: Site) -> Site:
    """Give them with nothing left of the last test."""
    for backend in (running.backend, running.shadow):
        backend.stop()
        backend.handler = answer()
        backend.errors.clear()
        backend.requests.clear()
        backend.start()
    for url in (running.backend.url, running.shadow.url):
        running.lbg.wait_for(url, "up")
    return running


def test_each_request_is_copied(site: Site) -> None:
    assert site.ask("/a%2Fb?c=d", ("Cookie", "s=1"), ("X-Lbg-Mirror", "no"), method="DELETE").body == b"ok"
    assert site.copies(1) == [b"/a%2Fb?c=d"]
    (original,), (copy,) = site.backend.requests, site.shadow.requests
    assert (copy.method, copy.values("cookie")) == ("DELETE", ["s=1"])
    assert copy.values("host") == original.values("host")
    assert copy.values("x-request-id") == original.values("x-request-id")
    assert copy.values("x-forwarded-for") == ["127.0.0.1"]
    assert (copy.values("x-lbg-mirror"), original.values("x-lbg-mirror")) == (["1"], [])


def test_a_copy_goes_where_the_route_leads(site: Site) -> None:
    site.ask("/api/users?x")
    assert site.copies(1) == [b"/users?x"]
    assert site.backend.requests[0].target == b"/users?x"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [1, 1000, LIMIT])
def test_a_body_is_copied(site: Site, size: int, chunked: bool) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    with RawClient(site.lbg.address, 20.0) as client:
        if chunked:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n")
            client.send(b"%x\r\n%b\r\n0\r\nX-T: 1\r\n\r\n" % (size, data))
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
            client.send(data[:1])
            client.send(data[1:])
        assert client.read_response("POST").body == b"ok"
    site.copies(1)
    (original,), (copy,) = site.backend.requests, site.shadow.requests
    assert copy.body_sha256 == original.body_sha256 == hashlib.sha256(data).hexdigest()
    assert copy.values("content-length") == [str(size)]
    assert copy.values("trailer") == []


@pytest.mark.parametrize("chunked", [False, True])
def test_a_larger_body_is_not_copied_and_arrives_whole(site: Site, chunked: bool) -> None:
    data = b"0123456789abcdef" * (16 * LIMIT // 16)
    with RawClient(site.lbg.address, 20.0) as client:
        if chunked:
            client.send(b"POST /large HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        else:
            client.send(b"POST /large HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(data))
            client.send(data)
        assert client.read_response("POST").body == b"ok"
    assert site.backend.requests[0].body_sha256 == hashlib.sha256(data).hexdigest()
    site.ask("/next")
    assert site.copies(1) == [b"/next"]


def test_a_body_that_the_client_cuts_is_not_copied(site: Site) -> None:
    with RawClient(site.lbg.address) as client:
        client.send(b"POST /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
        eventually(lambda: site.backend.open_connections > 0)
        client.reset()
    eventually(lambda: site.backend.requests)
    site.ask("/next")
    assert site.copies(1) == [b"/next"]


@pytest.mark.parametrize(
    "handler",
    [
        stall_before_head(),
        close_before_answer(),
        reset_before_answer(),
        half_head(),
        half_body(),
        raw_bytes(b"nonsense\r\n\r\n"),
        answer(500),
        stream(50_000_000),
        raw_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", end="stall"),
    ],
)
def test_whatever_becomes_of_the_copies_nobody_notices(site: Site, handler: Handler) -> None:
    site.shadow.handler = handler
    with RawClient(site.lbg.address) as client:
        times = []
        for _ in range(20):
            begun = time.monotonic()
            assert client.request("PUT", body=b"body").body == b"ok"
            times.append(time.monotonic() - begun)
    assert statistics.median(times) < 0.5, times
    assert " PUT / " not in site.lbg.log()


def test_a_shadow_that_is_down_changes_nothing(site: Site) -> None:
    site.shadow.stop()
    site.lbg.wait_for(site.shadow.url, "down")
    for _ in range(10):
        assert site.ask().body == b"ok"
    assert "GET /" not in site.lbg.log()
    site.shadow.start()


def test_a_websocket_is_not_copied(site: Site) -> None:
    site.backend.handler = serving(echo_messages)
    client = websocket.create_connection(site.lbg.url.replace("http", "ws"), timeout=10.0)
    try:
        client.send("hello")
        assert client.recv() == "hello"
    finally:
        client.close()
    site.backend.handler = answer()
    site.ask("/next")
    assert site.copies(1) == [b"/next"]


def test_every_one_of_many_requests_at_once_is_copied(site: Site) -> None:
    def ask(number: int) -> None:
        with RawClient(site.lbg.address, 20.0) as client:
            for turn in range(10):
                body = f"{number}-{turn}".encode()
                assert client.request("POST", f"/{number}-{turn}", body=body).body == b"ok"

    with ThreadPoolExecutor(8) as clients:
        list(clients.map(ask, range(8)))
    expected = {f"/{number}-{turn}".encode() for number in range(8) for turn in range(10)}
    assert set(site.copies(80)) == expected
    assert all(copy.target == b"/" + copy.body for copy in site.shadow.requests)


def test_a_share_is_copied(lbg: StartLbg, backend: Backend) -> None:
    with Backend() as shadow:
        process = lbg(_config(backend.url, shadow.url, share=0.5))
        with RawClient(process.address) as client:
            for _ in range(200):
                assert client.request().body == b"ok"
        eventually(lambda: len(shadow.requests) >= 60)
        assert len(shadow.requests) <= 140


def test_only_so_many_copies_are_under_way_and_the_log_says_so_once(lbg: StartLbg, backend: Backend) -> None:
    with Backend(stall_before_head()) as shadow:
        process = lbg(_config(backend.url, shadow.url, max_pending=3, timeout=30.0), workers=1)
        with RawClient(process.address) as client:
            for _ in range(20):
                assert client.request().body == b"ok"
        eventually(lambda: len(shadow.requests) >= 3)
        assert len(shadow.requests) == 3
        assert process.log().count("copies for pool shadow left out: 1; 3 are under way") == 1


def test_a_copy_ends_with_its_time_limit(lbg: StartLbg, backend: Backend) -> None:
    with Backend(stall_before_head()) as shadow:
        process = lbg(_config(backend.url, shadow.url, timeout=0.5), workers=1)
        assert fetch(process.address).body == b"ok"
        eventually(lambda: shadow.requests)
        eventually(lambda: not shadow.open_connections)


def test_copies_under_way_do_not_hold_up_the_end(lbg: StartLbg, backend: Backend) -> None:
    with Backend(stall_before_head()) as shadow:
        process = lbg(_config(backend.url, shadow.url, timeout=60.0))
        for _ in range(5):
            assert fetch(process.address).body == b"ok"
        eventually(lambda: len(shadow.requests) >= 5)
        begun = time.monotonic()
        assert process.stop(signal.SIGTERM) == 0
        assert time.monotonic() - begun < 10.0
