"""`forward_auth` with a real auth server: what passes, what the client gets, what fails closed."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import websocket

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import Header, RawClient, RawResponse
from tests.support.handlers import (
    Handler,
    answer,
    close_before_answer,
    echo,
    half_body,
    half_chunked,
    half_head,
    head,
    raw_bytes,
    reset_before_answer,
    stall_before_head,
)
from tests.support.lbg import LbgProcess
from tests.support.waiting import eventually
from tests.support.websocket_backend import echo_messages
from tests.support.websocket_backend import websocket as serving

MB = 1 << 20
YES = answer(200, [("X-User", "joe"), ("X-Secret", "1")], b"")


@dataclass
class Site:
    """lbg in front of a backend that it asks an auth server about; each test chooses their handlers."""

    lbg: LbgProcess
    backend: Backend
    auth: Backend

    def ask(
        self,
        target: str = "/",
        *headers: Header,
        method: str = "GET",
        body: bytes | None = None,
    ) -> RawResponse:
        """Send one request on a connection of its own."""
        with RawClient(self.lbg.address, 20.0) as client:
            return client.request(method, target, headers, body)


def _config(backend: str, auth: str, **auth_pool: object) -> dict[str, object]:
    config = {
        "use": "forward_auth",
        "pool": "auth",
        "path": "/check?to={path}",
        "response_headers": ["X-User"],
    }
    return {
        "pools": {
            "main": {"endpoints": [backend]},
            "auth": {"endpoints": [auth], "timeouts": {"total": 2.0}, **auth_pool},
        },
        "routes": [{"pool": "main", "filters": [config]}],
    }


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Start all three once for all tests."""
    with Backend() as backend, Backend() as auth:
        config = _config(backend.url, auth.url)
        with LbgProcess(config, tmp_path_factory.mktemp("forward_auth"), workers=2) as process:
            yield Site(process, backend, auth)


@pytest.fixture
def site(running: Site) -> Site:
    """Give them with nothing left of the last test."""
    for backend in (running.backend, running.auth):
        backend.errors.clear()
        backend.requests.clear()
    running.backend.handler = echo()
    running.auth.handler = YES
    return running


def test_a_request_passes_with_what_the_auth_server_says_of_it(site: Site) -> None:
    headers = [("X-User", "forged"), ("x-secret", "mine"), ("Connection", "X-User"), ("Cookie", "s=1")]
    assert site.ask("/a%2Fb?c=d", *headers, method="DELETE").status == 200
    (asked,), (passed,) = site.auth.requests, site.backend.requests
    assert (asked.method, asked.target) == ("GET", b"/check?to=/a%2Fb")
    assert asked.values("x-forwarded-method") == ["DELETE"]
    assert asked.values("x-forwarded-uri") == ["/a%2Fb?c=d"]
    assert asked.values("x-forwarded-for") == ["127.0.0.1"]
    assert asked.values("cookie") == ["s=1"]
    assert (passed.method, passed.target) == ("DELETE", b"/a%2Fb?c=d")
    assert passed.values("x-user") == ["joe"]
    assert passed.values("x-secret") == ["mine"]
    assert asked.values("x-request-id") == passed.values("x-request-id")


def test_a_field_the_auth_server_does_not_set_is_not_the_clients_to_set(site: Site) -> None:
    site.auth.handler = answer(204)
    assert site.ask("/", ("X-User", "forged")).status == 200
    assert site.backend.requests[0].values("x-user") == []


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (401, [("WWW-Authenticate", "Bearer"), ("Content-Type", "text/plain")], b"who are you?"),
        (
            302,
            [("Location", "https://login.example/?rd=1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
            b"",
        ),
        (403, [], b"no"),
        (500, [], b"broken"),
    ],
)
def test_any_other_answer_goes_to_the_client(
    site: Site, status: int, headers: list[Header], body: bytes
) -> None:
    site.auth.handler = answer(status, headers, body)
    response = site.ask("/private")
    assert (response.status, response.body) == (status, body)
    assert all((name.encode(), value.encode()) in response.headers for name, value in headers)
    assert site.backend.requests == []


def test_a_large_no_is_passed_on_as_it_comes(site: Site) -> None:
    site.auth.handler = _with_status(403, 20 * MB)
    response = site.ask()
    assert (response.status, len(response.body), response.complete) == (403, 20 * MB, True)


def _with_status(status: int, size: int) -> Handler:
    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(status, [("Content-Length", str(size))]))
        for _ in range(size // 65536):
            connection.send(b"x" * 65536)

    return handle


@pytest.mark.parametrize("cut", [half_body, half_chunked])
def test_a_no_that_is_cut_is_cut_for_the_client_too(site: Site, cut: object) -> None:
    framing = (
        b"Content-Length: 10\r\n\r\nhello"
        if cut is half_body
        else b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )
    site.auth.handler = raw_bytes(b"HTTP/1.1 403 Forbidden\r\n" + framing)
    response = site.ask()
    assert (response.status, response.complete) == (403, False)


def test_a_no_to_head_has_no_body(site: Site) -> None:
    site.auth.handler = answer(401, [], b"who are you?")
    with RawClient(site.lbg.address) as client:
        assert client.request("HEAD").status == 401
        site.auth.handler = YES
        assert client.request("GET").status == 200


@pytest.mark.parametrize(
    ("handler", "status", "reason"),
    [
        (close_before_answer(), 502, "upstream_reset"),
        (reset_before_answer(), 502, "upstream_reset"),
        (half_head(), 502, "bad_response"),
        (raw_bytes(b"nonsense\r\n\r\n"), 502, "bad_response"),
        (
            raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"),
            502,
            "bad_response",
        ),
        (
            raw_bytes(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
            502,
            "bad_response",
        ),
        (stall_before_head(), 504, "response_timeout"),
    ],
)
def test_an_auth_server_that_does_not_answer_lets_nothing_pass(
    site: Site, handler: Handler, status: int, reason: str
) -> None:
    site.auth.handler = handler
    response = site.ask("/", ("Accept", "text/plain"), ("Upgrade", "x"), ("Connection", "Upgrade"))
    assert (response.status, site.backend.requests) == (status, [])
    assert reason.encode() in response.body


@pytest.mark.parametrize(
    "handler",
    [
        _with_status(200, 20 * MB),
        raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", end="stall"),
        raw_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", end="stall"),
        raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", end="reset"),
        raw_bytes(b"HTTP/1.1 200 OK\r\n\r\nuntil the end"),
    ],
    ids=["huge", "stalled", "stalled-chunked", "cut", "close"],
)
def test_whatever_body_comes_with_a_yes_the_request_does_not_wait_for_it(
    site: Site, handler: Handler
) -> None:
    site.auth.handler = handler
    begun = time.monotonic()
    assert site.ask().status == 200
    assert time.monotonic() - begun < 1.9  # the total timeout of the auth pool is 2 s
    site.auth.handler = YES
    assert site.ask().status == 200


def test_a_body_is_read_only_when_the_request_may_pass(site: Site) -> None:
    site.auth.handler = answer(403)
    with RawClient(site.lbg.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        response = client.read_response("POST")
        assert (response.status, response.informational) == (403, [])
    site.auth.handler = YES
    with RawClient(site.lbg.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.socket.recv(100).startswith(b"HTTP/1.1 100 ")
        client.send(b"hello")
        assert client.read_response("POST").status == 200
    assert site.backend.requests[0].body == b"hello"
    assert [asked.values("expect") for asked in site.auth.requests] == [[], []]


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_arrives_whole_and_the_auth_server_gets_none_of_it(site: Site, chunked: bool) -> None:
    data = bytes(range(256)) * (4 * MB // 256)
    with RawClient(site.lbg.address, 20.0) as client:
        if chunked:
            client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data))
        else:
            client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(data))
            client.send(data)
        assert client.read_response("PUT").status == 200
    assert site.backend.requests[0].body_sha256 == hashlib.sha256(data).hexdigest()
    assert site.auth.requests[0].body_length == 0


def test_a_websocket_opens_when_it_may(site: Site) -> None:
    site.backend.handler = serving(echo_messages)
    url = site.lbg.url.replace("http", "ws")
    client = websocket.create_connection(url, timeout=10.0, cookie="s=1")
    try:
        client.send("hello")
        assert client.recv() == "hello"
    finally:
        client.close()
    (asked,) = site.auth.requests
    assert (asked.method, asked.values("upgrade"), asked.values("cookie")) == ("GET", [], ["s=1"])
    assert site.backend.requests[0].values("x-user") == ["joe"]
    site.auth.handler = answer(401)
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        websocket.create_connection(url, timeout=10.0)


def test_conditions_and_ranges_are_for_the_backend_only(site: Site) -> None:
    site.ask("/", ("If-None-Match", '"a"'), ("Range", "bytes=0-1"))
    assert site.backend.requests[0].values("if-none-match") == ['"a"']
    assert site.backend.requests[0].values("range") == ["bytes=0-1"]
    assert site.auth.requests[0].values("if-none-match") == []
    assert site.auth.requests[0].values("range") == []


def test_many_requests_share_few_connections_to_the_auth_server(site: Site) -> None:
    before = site.auth.connections
    with RawClient(site.lbg.address) as client:
        for _ in range(50):
            assert client.request().status == 200
    assert site.auth.connections - before <= 2


def test_a_client_that_leaves_meanwhile_leaves_nothing_behind(site: Site) -> None:
    site.auth.handler = stall_before_head()
    before = site.auth.open_connections
    with RawClient(site.lbg.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: site.auth.requests)
        client.reset()
    eventually(lambda: site.auth.open_connections <= max(before, 1), 1.5)
    assert site.backend.requests == []


def test_an_auth_pool_that_is_down_lets_nothing_pass_and_the_log_says_why(
    lbg: StartLbg, backend: Backend
) -> None:
    with Backend() as auth:
        process = lbg(_config(backend.url, auth.url, health={"interval": 0.2, "timeout": 0.2, "fall": 1}))
        with RawClient(process.address) as client:
            assert client.request().status == 200
        backend.requests.clear()
        auth.stop()

        def refused() -> bool:
            with RawClient(process.address) as client:
                response = client.request(headers=[("Accept", "text/plain")])
            assert response.status in {502, 503}, response
            return b"no_healthy" in response.body

        eventually(refused)
        assert backend.requests == []
        assert (
            "503 no_healthy: 127.0.0.1: GET /: gave up: forward_auth had no answer from pool auth"
            in process.log()
        )
        auth.start()
        eventually(lambda: _status(process) == 200)


def _status(process: LbgProcess) -> int:
    with RawClient(process.address) as client:
        return client.request().status


def test_a_healthy_auth_server_takes_over_for_one_that_fails(lbg: StartLbg, backend: Backend) -> None:
    with Backend(YES) as good, Backend(reset_before_answer()) as bad:
        config = _config(backend.url, good.url)
        config["pools"]["auth"]["endpoints"] = [bad.url, good.url]  # type: ignore[index]
        process = lbg(config, workers=4)
        for _ in range(10):
            assert _status(process) == 200
