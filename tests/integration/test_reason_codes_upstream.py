"""What endpoints and their pools do so that lbg answers itself or cuts, and what is told of each such end."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.support import address
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import (
    Handler,
    answer,
    close_before_answer,
    half_body,
    half_chunked,
    raw_bytes,
    stall_before_head,
)
from tests.support.metrics import scrape
from tests.support.reason_codes import Case, Stage, asking, check, staged
from tests.support.waiting import eventually

OPEN = threading.Event()
"""Set while the backends of the queues answer."""


def _when_open(connection: BackendConnection) -> None:
    connection.read_head()
    while not OPEN.wait(0.01):
        connection.pause(0)
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def _second_time_silent(connection: BackendConnection) -> None:
    (answer() if not connection.served else close_before_answer())(connection)


_UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"
HANDLERS: dict[str, Handler] = {
    "all_draining": answer(),
    "queue_full": _when_open,
    "queue_timeout": _when_open,
    "upstream_reset": close_before_answer(),
    "upstream_reset_reused": _second_time_silent,
    "response_timeout": stall_before_head(),
    "total": stall_before_head(),
    "read_timeout": half_body(end="stall"),
    "upstream_cut_body": half_body(),
    "cut_chunks": half_chunked(),
    "silent_until_close": raw_bytes(_UNTIL_CLOSE, end="stall"),
    "bad_response": raw_bytes(b"SSH-2.0-OpenSSH_9.6\r\n"),
}
TIMEOUTS = {
    "dns_failure": {"connect": 2.0},
    "connect_timeout": {"connect": 0.2},
    "response_timeout": {"response": 0.2},
    "total": {"total": 0.2},
    "read_timeout": {"idle": 0.2},
    "silent_until_close": {"idle": 0.2},
}
QUEUES = {"queue_full": {"size": 1, "timeout": 10.0}, "queue_timeout": {"size": 5, "timeout": 0.2}}


def _pool(name: str, url: str) -> dict[str, Any]:
    endpoint = {"url": url, "max_requests": 1} if name in QUEUES else url
    pool: dict[str, Any] = {"endpoints": [endpoint], "health": {"type": "none"}}
    pool["timeouts"] = TIMEOUTS.get(name, {})
    pool["outlier"] = {"connect_failures": 0, "server_errors": 0}
    if name in QUEUES:
        pool["queue"] = QUEUES[name]
    if name == "no_healthy":
        pool["health"] = {"interval": 0.2, "fall": 1}
    return pool


@contextmanager
def _full_backlog() -> Iterator[str]:
    """Give the URL of a listener that lets nobody in any more: the system drops further SYNs."""
    with ExitStack() as opened:
        listener = opened.enter_context(address.bound_socket(("127.0.0.1", 0)))
        listener.listen(0)
        place = address.local_address(listener)
        assert not isinstance(place, str)
        for _ in range(4):
            client = opened.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(place)
        yield address.url(place)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run lbg with a pool of one endpoint for each thing that can go wrong."""
    directory = tmp_path_factory.mktemp("reasons")
    with ExitStack() as running:
        urls = {name: running.enter_context(Backend(one)).url for name, one in HANDLERS.items()}
        nobody = address.local_address(running.enter_context(address.bound_socket(("127.0.0.1", 0))))
        urls["connect_refused"] = urls["no_healthy"] = address.url(nobody)
        urls["dns_failure"] = "http://backend.invalid:80"
        urls["connect_timeout"] = running.enter_context(_full_backlog())
        config = {
            "pools": {name: _pool(name, url) for name, url in urls.items()},
            "routes": [{"name": name, "path": f"/{name}", "pool": name} for name in urls],
        }
        names = {name: url.removeprefix("http://") for name, url in urls.items()}
        yield running.enter_context(staged(config, directory, names))


def _cut(path: str, version: bytes = b"1.1") -> Callable[[Stage, str], None]:
    """Return what asks for `path` and sees that the answer is not whole."""

    def cause(stage: Stage, _: str) -> None:
        with RawClient(stage.process.address) as client:
            client.send(b"GET %b HTTP/%b\r\nHost: a\r\n\r\n" % (path.encode(), version))
            response = client.read_response()
        assert response.status == 200
        assert response.body in {b"hello", b""}
        assert not response.complete, response.framing

    return cause


def _unhealthy(stage: Stage, accept: str) -> RawResponse:
    eventually(
        lambda: stage.process.ask("/api/v1/pools/no_healthy")["endpoints"][0]["state"] == "down", what="down"
    )
    return asking("/no_healthy")(stage, accept)


def _draining(stage: Stage, accept: str) -> RawResponse:
    path = f"/api/v1/pools/all_draining/endpoints/{stage.names['all_draining']}/state"
    fields = [("Content-Type", "application/json")]
    body = json.dumps({"state": "drain"}).encode()
    assert fetch(stage.process.admin_address, path, method="POST", headers=fields, body=body).status == 200
    return asking("/all_draining")(stage, accept)


def _busy(path: str, waiting: int) -> Callable[[Stage, str], RawResponse]:
    """Return what asks while one request is at the endpoint and others wait."""

    def cause(stage: Stage, accept: str) -> RawResponse:
        OPEN.clear()
        with ExitStack() as clients:
            before = []
            for number in range(1 + waiting):
                client = clients.enter_context(RawClient(stage.process.address))
                client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
                before.append(client)
                eventually(lambda count=number: _there(stage, path[1:]) == (1, count), what="a full pool")
            try:
                return asking(path)(stage, accept)
            finally:
                OPEN.set()
                assert [client.read_response().status for client in before] == [200] * (1 + waiting)

    return cause


def _there(stage: Stage, pool: str) -> tuple[int, int]:
    """Return how many requests are at the endpoint of a pool, and how many wait for it."""
    found = scrape(stage.process)
    return (
        int(found.total("lbg_upstream_in_flight", pool=pool)),
        int(found.total("lbg_queue_length", pool=pool)),
    )


def _again(stage: Stage, accept: str) -> RawResponse:
    with RawClient(stage.process.address) as client:
        assert client.request("GET", "/upstream_reset_reused").status == 200
        return client.request("POST", "/upstream_reset_reused", [("Accept", accept)], b"once")


_ONCE = "not tried again: every endpoint was tried"
_LOG = "Look into the backend's log"
CASES = (
    Case(
        "no_healthy",
        503,
        "destination_unavailable",
        _unhealthy,
        "503: the only endpoint of pool no_healthy is down: {endpoint} down since *: connect refused",
        "`lbg status`",
        'pools.no_healthy.when_all_down = "fail_closed"',
    ),
    Case(
        "all_draining",
        503,
        "destination_unavailable",
        _draining,
        "503: the only endpoint of pool all_draining is draining or in maintenance: "
        "{endpoint} draining since *",
        "`lbg ready all_draining/{endpoint}`",
    ),
    Case(
        "queue_full",
        503,
        "destination_unavailable",
        _busy("/queue_full", 1),
        "503: every endpoint of pool queue_full is at its max_requests, and 1 request waits already",
        "raise their max_requests",
        "pools.queue_full.queue.size = 1",
    ),
    Case(
        "queue_timeout",
        503,
        "destination_unavailable",
        _busy("/queue_timeout", 0),
        "503: every endpoint of pool queue_timeout stayed at its max_requests for the 2* ms it waited",
        "raise their max_requests",
        "pools.queue_timeout.queue.timeout = 0.2",
    ),
    Case(
        "dns_failure",
        502,
        "dns_error",
        asking("/dns_failure"),
        f"502: the name of {{endpoint}} could not be resolved: *; {_ONCE}",
        "`getent hosts backend.invalid`",
    ),
    Case(
        "connect_refused",
        502,
        "connection_refused",
        asking("/connect_refused"),
        f"502: no connection to {{endpoint}}: connect refused; {_ONCE}",
        "Nothing listens there",
    ),
    Case(
        "connect_timeout",
        504,
        "connection_timeout",
        asking("/connect_timeout"),
        f"504: no connection to {{endpoint}}: connect timeout after 0.2 s; {_ONCE}",
        "network, firewall and load",
        "pools.connect_timeout.timeouts.connect = 0.2",
    ),
    Case(
        "upstream_reset",
        502,
        "connection_terminated",
        asking("/upstream_reset"),
        f"502: {{endpoint}} gave no answer: connection closed before a response; {_ONCE}",
        _LOG,
    ),
    Case(
        "upstream_reset_reused",
        502,
        "connection_terminated",
        _again,
        "502: {endpoint} gave no answer on a kept connection: connection closed before a response; "
        "not tried again: POST is not idempotent and was written",
        "connections.idle_timeout",
    ),
    Case(
        "response_timeout",
        504,
        "http_response_timeout",
        asking("/response_timeout"),
        "504: {endpoint} had the request for * ms and sent no response; "
        'not tried again: "timeout" is not in retry.on',
        "raise pools.response_timeout.timeouts.response.",
        "pools.response_timeout.timeouts.response = 0.2",
    ),
    Case(
        "response_timeout",
        504,
        "http_response_timeout",
        asking("/total"),
        "504: {endpoint} had the request for * ms and sent no response, when the 0.2 s for the whole request "
        'were over; not tried again: "timeout" is not in retry.on',
        "raise pools.total.timeouts.total.",
        "pools.total.timeouts.total = 0.2",
        pool="total",
    ),
    Case(
        "bad_response",
        502,
        "http_protocol_error",
        asking("/bad_response"),
        '502: {endpoint} sent no valid response: not HTTP, it began with "SSH-2.0-*" (the wrong port?); '
        "not tried again: the endpoint may have acted on it (bad_response)",
        "`curl -v` straight at the backend",
    ),
    Case(
        "read_timeout",
        200,
        "",
        _cut("/read_timeout"),
        "200, cut after 5 bytes: {endpoint} sent nothing for 0.2 s in the middle of its response",
        "raise pools.read_timeout.timeouts.idle.",
        "pools.read_timeout.timeouts.idle = 0.2",
    ),
    Case(
        "read_timeout",
        200,
        "",
        # Only a reset tells an HTTP/1.0 client that this is not the end of the body.
        _cut("/silent_until_close", b"1.0"),
        "200, cut after 5 bytes: {endpoint} sent nothing for 0.2 s in the middle of its response",
        "raise pools.silent_until_close.timeouts.idle.",
        "pools.silent_until_close.timeouts.idle = 0.2",
        pool="silent_until_close",
    ),
    Case(
        "upstream_cut_body",
        200,
        "",
        _cut("/upstream_cut_body"),
        "200, cut after 5 bytes: {endpoint} ended its response too early: connection closed within the body",
        _LOG,
    ),
    Case(
        "upstream_cut_body",
        200,
        "",
        _cut("/cut_chunks"),
        "200, cut after 5 bytes: {endpoint} ended its response too early: connection closed within the body",
        _LOG,
        pool="cut_chunks",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_reason_is_told_everywhere_in_the_same_way(stage: Stage, case: Case) -> None:
    check(stage, case)


def test_a_failure_is_explained_on_the_command_line(stage: Stage) -> None:
    found = asking("/connect_refused")(stage, "text/plain").get("x-request-id")
    assert found is not None
    admin = address.authority(stage.process.admin_address)
    command = [sys.executable, "-m", "lbg.cli.main", "explain", found, "--admin", admin]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    name = stage.names["connect_refused"]
    assert lines[0] == f"502: no connection to {name}: connect refused; {_ONCE}"
    assert any(line.split()[:2] == ["advice", "Nothing"] for line in lines)
