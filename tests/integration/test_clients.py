"""Clients that leave, dawdle, say too much or come by other ways, and what becomes of the backends."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import answer, chunked, echo, head, slow, stall_before_head, stream
from tests.support.lbg import LbgProcess, one_pool
from tests.support.streamed import StreamedResponse
from tests.support.waiting import eventually

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SHORT = 0.5
LIMIT = 1000


@dataclass
class Proxied:
    """lbg with one worker in front of one backend, whose handler each test chooses."""

    lbg: LbgProcess
    backend: Backend

    def client(self, timeout: float = 10.0) -> RawClient:
        """Connect to lbg."""
        return RawClient(self.lbg.address, timeout)

    def renew(self) -> None:
        """Forget everything about the last test."""
        self.backend.stop()
        self.backend.handler = answer()
        self.backend.errors.clear()
        self.backend.requests.clear()
        self.backend.start()


def _run(directory: Path, **server: object) -> Iterator[Proxied]:
    with Backend() as backend:
        config = {"server": server, **one_pool(backend.url)}
        with LbgProcess(config, directory, workers=1) as process:
            yield Proxied(process, backend)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Run one for all tests that can do with the defaults."""
    yield from _run(tmp_path_factory.mktemp("clients"))


@pytest.fixture(scope="module")
def running_impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxied]:
    """Run one that waits for nobody and takes little."""
    yield from _run(
        tmp_path_factory.mktemp("impatient"),
        header_timeout=SHORT,
        keepalive_timeout=SHORT,
        body_timeout=SHORT,
        max_body_bytes=LIMIT,
    )


@pytest.fixture
def proxied(running: Proxied) -> Proxied:
    """Give lbg with its defaults."""
    running.renew()
    return running


@pytest.fixture
def impatient(running_impatient: Proxied) -> Proxied:
    """Give lbg with short timeouts and a small limit on bodies."""
    running_impatient.renew()
    return running_impatient


def _told(status: int, response: RawResponse) -> None:
    assert response.status == status, response


def _upstream_is_let_go(backend: Backend) -> None:
    """Wait until lbg has closed every connection; the backend itself never does in these tests."""
    eventually(lambda: not backend.open_connections, timeout=3.0, what="lbg to let go of the backend")


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_before_the_head_frees_the_backend(proxied: Proxied, end: str) -> None:
    proxied.backend.handler = stall_before_head()
    client = proxied.client()
    client.send(GET)
    eventually(lambda: proxied.backend.requests, what="the request at the backend")
    client.close() if end == "close" else client.reset()
    _upstream_is_let_go(proxied.backend)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_within_a_silent_body_frees_the_backend(proxied: Proxied, end: str) -> None:
    def one_event(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, [("Transfer-Encoding", "chunked")]) + b"5\r\nhello\r\n")
        connection.wait_until_proxy_closes()

    proxied.backend.handler = one_event
    client = proxied.client()
    client.send(GET)
    assert StreamedResponse(client).chunk() == b"hello"
    client.close() if end == "close" else client.reset()
    _upstream_is_let_go(proxied.backend)


@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_within_a_large_body_frees_the_backend(proxied: Proxied, end: str) -> None:
    proxied.backend.handler = stream(1 << 30)
    client = proxied.client()
    client.send(GET)
    StreamedResponse(client).data(100_000, chunked=False)
    client.close() if end == "close" else client.reset()
    _upstream_is_let_go(proxied.backend)


@pytest.mark.parametrize("size", [100, 10 << 20], ids=["small", "large"])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_client_that_leaves_within_its_upload_frees_the_backend(
    proxied: Proxied, end: str, size: int
) -> None:
    proxied.backend.handler = echo()
    client = proxied.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
    client.send(bytes(size // 2))
    eventually(lambda: proxied.backend.open_connections, what="the request at the backend")
    client.close() if end == "close" else client.reset()
    _upstream_is_let_go(proxied.backend)
    assert not [request for request in proxied.backend.requests if request.complete]


def test_a_client_that_leaves_while_it_awaits_a_100_frees_the_backend(proxied: Proxied) -> None:
    def silent(connection: BackendConnection) -> None:
        connection.read_head()
        connection.wait_until_proxy_closes()

    proxied.backend.handler = silent
    client = proxied.client()
    client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    eventually(lambda: proxied.backend.requests, what="the request at the backend")
    client.close()
    _upstream_is_let_go(proxied.backend)


def test_a_client_that_leaves_counts_neither_as_answer_nor_as_failure(lbg: StartLbg) -> None:
    with Backend(stall_before_head()) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        with RawClient(process.address) as client:
            client.send(GET)
            eventually(lambda: backend.requests, what="the request at the backend")

        def counts() -> tuple[int, int, int]:
            (endpoint,) = process.status()["pools"]["main"]["endpoints"]
            return endpoint["requests"], endpoint["failures"], endpoint["in_flight"]

        eventually(lambda: counts() == (0, 0, 0), what="the counters")


def test_a_head_that_trickles_in_is_told_408(impatient: Proxied) -> None:
    begun = time.monotonic()
    with impatient.client() as client:
        stop = threading.Event()

        def trickle() -> None:
            client.send_pieces([b"GET / HTTP/1.1\r\nHost: a\r\n"])
            while not stop.wait(0.05) and client.send_pieces([b"X: y\r\n"]):
                pass

        thread = threading.Thread(target=trickle)
        thread.start()
        response = client.read_response()
        waited = time.monotonic() - begun
        stop.set()
        thread.join()
    _told(408, response)
    assert "client_header_timeout" in (response.get("proxy-status") or "")
    assert response.get("connection") == "close"
    assert waited >= SHORT
    assert not impatient.backend.requests


def test_a_head_after_another_request_has_the_same_time_limit(impatient: Proxied) -> None:
    with impatient.client() as client:
        assert client.request().status == 200
        client.send(b"GET / HTT")
        _told(408, client.read_response())
        assert client.closed_by_peer()


def test_a_client_that_never_speaks_is_left_without_a_word(impatient: Proxied) -> None:
    with impatient.client() as client:
        assert client.read_until_closed() == b""


def test_an_idle_connection_is_closed_without_a_word(impatient: Proxied) -> None:
    with impatient.client() as client:
        assert client.request().status == 200
        begun = time.monotonic()
        assert client.read_until_closed() == b""
        assert time.monotonic() - begun >= SHORT / 2


def test_a_body_that_stops_coming_is_told_408(impatient: Proxied) -> None:
    impatient.backend.handler = echo()
    with impatient.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhello")
        response = client.read_response()
        _told(408, response)
        assert "client_body_timeout" in (response.get("proxy-status") or "")
        assert response.get("connection") == "close"
        assert client.closed_by_peer()
    _upstream_is_let_go(impatient.backend)


def test_a_large_body_that_stops_coming_is_told_408(lbg: StartLbg) -> None:
    with Backend(echo()) as backend:
        process = lbg({"server": {"body_timeout": SHORT}, **one_pool(backend.url)}, workers=1)
        with RawClient(process.address) as client:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n" + bytes(5_000_000))
            _told(408, client.read_response())
        _upstream_is_let_go(backend)


def test_a_body_that_comes_slowly_but_steadily_is_taken(impatient: Proxied) -> None:
    impatient.backend.handler = echo()
    with impatient.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n")
        for _ in range(8):
            time.sleep(SHORT / 4)  # twice the time limit in all
            client.send(b"x")
        _told(200, client.read_response())
    assert impatient.backend.requests[-1].body == b"x" * 8


def test_a_slow_answer_is_not_taken_for_an_idle_connection(impatient: Proxied) -> None:
    impatient.backend.handler = slow(SHORT * 2)
    with impatient.client() as client:
        _told(200, client.request())
    assert len(impatient.backend.requests) == 1


def test_a_body_above_the_limit_is_refused_by_its_length(impatient: Proxied) -> None:
    with impatient.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1))
        response = client.read_response()
        _told(413, response)
        assert "body_too_large" in (response.get("proxy-status") or "")
        assert response.get("connection") == "close"
    assert not impatient.backend.requests


def test_a_body_above_the_limit_is_refused_in_place_of_a_100(impatient: Proxied) -> None:
    with impatient.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % (LIMIT + 1)
        )
        response = client.read_response()
    assert (response.status, response.informational) == (413, [])


def test_a_chunked_body_above_the_limit_is_refused_when_it_gets_there(impatient: Proxied) -> None:
    impatient.backend.handler = echo()
    piece = b"64\r\n" + bytes(100) + b"\r\n"
    with impatient.client() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + piece)
        eventually(lambda: impatient.backend.open_connections, what="the request at the backend")
        client.send_pieces([piece] * 10)
        response = client.read_response()
        _told(413, response)
        assert "body_too_large" in (response.get("proxy-status") or "")
        assert client.closed_by_peer()
    _upstream_is_let_go(impatient.backend)
    assert not [request for request in impatient.backend.requests if request.complete]


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_of_just_the_limit_passes(impatient: Proxied, framing: str) -> None:
    impatient.backend.handler = echo()
    with impatient.client() as client:
        if framing == "length":
            response = client.request("POST", "/", [], bytes(LIMIT))
        else:
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (LIMIT, bytes(LIMIT)))
            response = client.read_response()
    _told(200, response)
    assert impatient.backend.requests[0].body == bytes(LIMIT)


def test_connections_above_the_limit_wait_until_others_leave(lbg: StartLbg, backend: Backend) -> None:
    process = lbg({"server": {"max_connections": 3}, **one_pool(backend.url)}, workers=1)
    backend.handler = stall_before_head()
    busy = [RawClient(process.address) for _ in range(3)]
    for client in busy:
        client.send(GET)
    eventually(lambda: len(backend.requests) == 3, what="three requests at the backend")
    with RawClient(process.address) as waiting:
        waiting.send(GET)
        with pytest.raises(AssertionError):
            eventually(lambda: len(backend.requests) > 3, timeout=0.5)
        backend.handler = answer()
        busy[0].close()
        assert waiting.read_response().status == 200
    for client in busy:
        client.close()


def test_pipelined_requests_are_answered_in_turn(proxied: Proxied) -> None:
    def number(connection: BackendConnection) -> None:
        target = connection.read_request().target
        if target == b"/0":
            connection.pause(0.3)
        connection.send(head(200, [("Content-Length", str(len(target)))]) + target)

    proxied.backend.handler = number
    with proxied.client() as client:
        client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % each for each in range(10)))
        assert [client.read_response().body for _ in range(10)] == [b"/%d" % each for each in range(10)]


def test_pipelined_bodies_stay_with_their_requests(proxied: Proxied) -> None:
    def body_back(connection: BackendConnection) -> None:
        body = connection.read_request().body
        connection.send(head(200, [("Content-Length", str(len(body)))]) + body)

    proxied.backend.handler = body_back
    with proxied.client() as client:
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none"
            b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nthree"
        )
        assert [client.read_response().body for _ in range(3)] == [b"one", b"two", b"three"]


def test_a_pipelined_request_survives_a_slow_one_before_it(proxied: Proxied) -> None:
    proxied.backend.handler = slow(0.5)  # long enough for lbg to look after the client
    with proxied.client() as client:
        client.send(GET)
        eventually(lambda: proxied.backend.open_connections, what="the first request at the backend")
        time.sleep(0.25)
        client.send(GET)
        assert [client.read_response().status for _ in range(2)] == [200, 200]


def test_a_1_0_client_may_keep_its_connection(proxied: Proxied) -> None:
    with proxied.client() as client:
        for _ in range(3):
            client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            response = client.read_response()
            assert (response.status, response.body, response.get("connection")) == (200, b"ok", "keep-alive")


def test_a_1_0_client_that_does_not_ask_loses_its_connection(proxied: Proxied) -> None:
    with proxied.client() as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().body == b"ok"
        assert client.closed_by_peer()


def test_a_1_0_client_gets_no_chunks(proxied: Proxied) -> None:
    proxied.backend.handler = chunked([b"one", b"two"])
    with proxied.client() as client:
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        response = client.read_response()
    assert (response.framing, response.body, response.get("transfer-encoding")) == ("eof", b"onetwo", None)


def test_a_client_that_wants_to_close_is_closed(proxied: Proxied) -> None:
    with proxied.client() as client:
        response = client.request(headers=[("Connection", "close")])
        assert (response.status, response.get("connection")) == (200, "close")
        assert client.closed_by_peer()


def test_idle_clients_keep_nobody_from_being_served(proxied: Proxied) -> None:
    idle = [proxied.client() for _ in range(200)]
    try:
        assert all(client.request().status == 200 for client in idle)
        assert all(client.request().status == 200 for client in idle)
    finally:
        for client in idle:
            client.close()


@dataclass
class Listeners:
    """lbg on three listeners at once."""

    backend: Backend
    addresses: dict[str, addresses.Address]


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listeners]:
    """Run lbg on IPv4, IPv6 and a unix socket."""
    directory = tmp_path_factory.mktemp("ways")
    path = str(directory / "s")
    with addresses.bound_socket(("::1", 0)) as reserved, Backend(echo()) as backend:
        six = addresses.local_address(reserved)
        process = LbgProcess(one_pool(backend.url), directory / "lbg", workers=1)
        binds = (addresses.authority(process.address), addresses.authority(six), f"unix:{path}")
        process.env["LBG_SERVER__BIND"] = ",".join(binds)
        with process:
            yield Listeners(backend, {"ipv4": process.address, "ipv6": six, "unix": path})


@pytest.mark.parametrize("way", ["ipv4", "ipv6", "unix"])
def test_every_kind_of_listener_serves(listening: Listeners, way: str) -> None:
    with RawClient(listening.addresses[way]) as client:
        assert [client.request("POST", "/", [], b"body").status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("way", "client_address"), [("ipv4", "127.0.0.1"), ("ipv6", "::1"), ("unix", "unix:")]
)
def test_the_backend_is_told_who_came_by_which_way(
    listening: Listeners, way: str, client_address: str
) -> None:
    listening.backend.requests.clear()
    assert fetch(listening.addresses[way]).status == 200
    assert listening.backend.requests[0].values("x-forwarded-for") == [client_address]


def test_a_unix_listener_leaves_no_file_behind(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "s"
    process = lbg(one_pool(backend.url), env={"LBG_SERVER__BIND": f"unix:{path}"})
    assert fetch(str(path)).status == 200
    assert process.stop() == 0
    assert not path.exists()


def test_an_endpoint_on_a_unix_socket_is_reached(lbg: StartLbg, tmp_path: Path) -> None:
    with Backend(echo(), address=str(tmp_path / "b")) as backend:
        process = lbg(one_pool(f"unix:{tmp_path / 'b'}"), workers=1)
        assert [fetch(process.address, method="POST", body=b"x").status for _ in range(3)] == [200] * 3
        assert len(backend.requests) == 3


def test_a_missing_unix_socket_sends_the_request_elsewhere(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    process = lbg(one_pool(f"unix:{tmp_path / 'absent'}", backend.url), workers=1)
    assert [fetch(process.address, method="POST", body=b"x").status for _ in range(4)] == [200] * 4


def test_an_endpoint_on_ipv6_is_reached(lbg: StartLbg) -> None:
    with Backend(address=("::1", 0)) as backend:
        process = lbg(one_pool(backend.url), workers=1)
        assert fetch(process.address).status == 200


def test_an_endpoint_by_name_is_reached(lbg: StartLbg, backend: Backend) -> None:
    # Where localhost is ::1 first, nothing listens there, and the next address is tried.
    process = lbg(one_pool(f"http://localhost:{backend.address[1]}"), workers=1)
    assert [fetch(process.address).status for _ in range(3)] == [200] * 3
