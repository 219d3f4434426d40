"""What a running lbg tells of a request that failed: by API and command, through deaths and a full disk."""

import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import half_body, slow, stall_before_head
from tests.support.lbg import LbgProcess, one_pool
from tests.support.processes import pids
from tests.support.waiting import eventually


def request_id(response: RawResponse) -> str:
    """Return the id that an answer of lbg itself bears."""
    (found,) = response.values("x-request-id")
    return found


def latest(process: LbgProcess, query: str = "") -> dict[str, Any]:
    """Wait for a trace and return the latest one."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = process.ask(f"/api/v1/traces?limit=1&{query}")["traces"]
        return bool(found)

    eventually(look, what="a trace")
    return found[0]


def explain(process: LbgProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lbg explain`."""
    admin = f"{process.admin_address[0]}:{process.admin_address[1]}"
    command = [sys.executable, "-m", "lbg.cli.main", "explain", *arguments, "--admin", admin]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


def closed(backend: Backend) -> str:
    """Return the URL of a backend that is gone."""
    with backend:
        return backend.url


def test_a_backend_that_is_gone_is_explained(lbg: StartLbg) -> None:
    url = closed(Backend())
    process = lbg(one_pool(url, health={"type": "none"}, outlier={"connect_failures": 0}))
    response = fetch(process.address, "/things?secret=1")
    found = request_id(response)
    assert found.encode() in response.body
    document = process.ask(f"/api/v1/traces/{found}")
    name = url.removeprefix("http://")
    assert document["sentence"].startswith(f"502: no connection to {name}: connect refused")
    assert (document["path"], document["pool"], document["kind"]) == ("/things", "main", "failed")
    ran = explain(process, found)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines()[0] == document["sentence"]
    assert "secret" not in ran.stdout
    assert found in explain(process).stdout


def test_an_outage_is_explained_with_what_checks_met(lbg: StartLbg) -> None:
    process = lbg(one_pool(closed(Backend()), health={"interval": 0.2, "fall": 1}))
    eventually(lambda: fetch(process.address).status == 503, what="a pool that is down")
    trace = latest(process, "status=503")
    assert trace["sentence"].startswith("503: the only endpoint of pool main is down: 127.0.0.1:")
    assert trace["sentence"].endswith(": connect refused")
    (candidate,) = process.ask(f"/api/v1/traces/{trace['id']}")["candidates"]
    assert candidate["why"].startswith("down since")


def test_the_timeout_that_fired_is_named(lbg: StartLbg, backend: Backend) -> None:
    backend.handler = stall_before_head()
    process = lbg(one_pool(backend.url, timeouts={"response": 0.3}))
    document = process.ask(f"/api/v1/traces/{request_id(fetch(process.address))}")
    assert document["setting"] == "pools.main.timeouts.response = 0.3"
    assert document["attempts"][0]["error"] == "response_timeout"
    assert document["attempts"][0]["ms"] >= 300


def test_a_cut_response_is_explained(lbg: StartLbg, backend: Backend) -> None:
    backend.handler = half_body()
    process = lbg(one_pool(backend.url))
    with RawClient(process.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.read_until_closed()
    trace = latest(process)
    assert (trace["status"], trace["reason"]) == (200, "upstream_cut_body")
    assert "ended its response too early" in trace["sentence"]


def test_a_slow_request_is_kept(lbg: StartLbg, backend: Backend) -> None:
    backend.handler = slow(0.4)
    process = lbg(one_pool(backend.url) | {"tracing": {"slow": 0.3}})
    fetch(process.address)
    trace = latest(process, "kind=slow")
    assert trace["took_ms"] >= 400
    assert "sent its response head" in trace["sentence"]


def test_what_never_reached_the_application_is_explained(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url))
    with RawClient(process.address) as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        answer = client.read_until_closed()
    found = answer.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0].decode()
    assert process.ask(f"/api/v1/traces/{found}")["sentence"] == (
        "400: the request breaks HTTP or leaves its route: The request has no Host"
    )


def test_a_request_that_a_stop_cut_is_explained(lbg: StartLbg, backend: Backend) -> None:
    backend.handler = stall_before_head()
    process = lbg(one_pool(backend.url) | {"server": {"shutdown_grace": 0.2}})
    with RawClient(process.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: backend.requests, what="the request")
        os.kill(process.pid, signal.SIGHUP)
        assert client.read_response().status == 503
    trace = latest(process)
    assert (trace["status"], trace["reason"]) == (503, "shutdown")
    assert trace["endpoint"] == backend.url.removeprefix("http://")


def test_traces_outlive_their_worker(lbg: StartLbg) -> None:
    process = lbg(one_pool(closed(Backend()), health={"type": "none"}), workers=2)
    found = request_id(fetch(process.address))
    before = pids(process, "proxy", 2)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not {*before} & {*pids(process, "proxy", 2)}, what="new workers")
    assert process.ask(f"/api/v1/traces/{found}")["id"] == found


def test_an_unknown_id_is_told_what_is_kept(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url))
    ran = explain(process, "gone")
    assert ran.returncode == 2
    assert 'There is no trace of "gone". Each worker keeps its last 256 failed' in ran.stderr
    assert ran.stderr.rstrip().endswith("The access log has all.")


@pytest.mark.parametrize("path", ["/", "/%0a%1b[31m"])
def test_a_flood_of_refused_requests_leaves_the_failed_ones_there(lbg: StartLbg, path: str) -> None:
    pools = one_pool(closed(Backend()), health={"type": "none"}, outlier={"connect_failures": 0})
    limit = {"use": "rate_limit", "rate": "1/h", "burst": 0}
    routes = [{"pool": "main"}, {"path": "/limited", "pool": "main", "filters": [limit]}]
    process = lbg(pools | {"routes": routes}, workers=1)
    found = request_id(fetch(process.address, path))
    for _ in range(400):
        fetch(process.address, "/limited")
    assert process.ask(f"/api/v1/traces/{found}")["id"] == found
    ran = explain(process, found)
    assert ran.stdout.isprintable() or ran.stdout.replace("\n", "").isprintable()
