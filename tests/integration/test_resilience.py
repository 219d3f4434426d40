"""Endpoints that hang, are full, or all fail: what becomes of the requests."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.conftest import StartLbg
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.backend_process import BackendProcess
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import Counting, Handler, answer, close_before_answer, stall_before_head
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.processes import booted
from tests.support.waiting import eventually

QUICK = {"interval": 0.2, "fast_interval": 0.1, "timeout": 1.0}
UNJUDGED = {"health": {"type": "none"}, "outlier": {"connect_failures": 0, "server_errors": 0}}
"""Keeps endpoints in service whatever they do."""
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
SLACK = 3.0
"""Seconds that a busy machine may need on top."""


def _refusal(response: RawResponse) -> str:
    """Return the reason code in Proxy-Status, empty when a backend answered."""
    return (response.get("proxy-status") or "").partition('details="')[2].partition('"')[0]


def _pool(process: LbgProcess) -> dict[str, int]:
    counts: dict[str, int] = process.ask("/api/v1/pools/main")
    return counts


def _in_flight(process: LbgProcess) -> int:
    return sum(endpoint["in_flight"] for endpoint in process.ask("/api/v1/endpoints"))


def test_requests_that_wait_for_a_hung_endpoint_are_answered_by_another(lbg: StartLbg) -> None:
    health = {"interval": 1.0, "timeout": 0.5}
    with BackendProcess("a") as a, BackendProcess("b") as b, ExitStack() as closing:
        process = lbg(one_pool(a.url, b.url, balance="round_robin", health=health), workers=1)
        b.freeze()
        frozen = time.monotonic()
        clients = [closing.enter_context(RawClient(process.address)) for _ in range(10)]
        for client in clients[:8]:
            client.send(GET)
        for client in clients[8:]:
            client.send(POST)
        answers = [client.read_response() for client in clients[:8]]
        took = time.monotonic() - frozen
        assert [(each.status, each.body) for each in answers] == [(200, b"a")] * 8
        assert 0.5 < took < 1.0 + 0.5 + 1.0 + SLACK
        assert process.endpoint(b.url)["rescues"] == 4
        assert [fetch(process.address).body for _ in range(6)] == [b"a"] * 6
        # One POST was at each; what may not be sent twice goes on waiting.
        assert process.endpoint(b.url)["in_flight"] == 1
        b.thaw()
        assert {client.read_response().body for client in clients[8:]} == {b"a", b"b"}


def test_a_handler_that_hangs_with_its_checks_is_out_of_rotation_soon(lbg: StartLbg) -> None:
    health = {"interval": 1.0, "timeout": 0.5}
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url, health=health))
        with Load(process.address, concurrency=8, rate=100) as load:
            eventually(lambda: len(load.bodies) == 2, what="both to be used")
            b.handler, b.answer_probes = stall_before_head(), False
            eventually(
                lambda: not process.endpoint(b.url)["usable"],
                timeout=1.0 + 0.5 + 1.0 + SLACK,
                what="the endpoint that hangs to be out",
            )
            load.wait_for(100)
        eventually(lambda: _in_flight(process) == 0, what="no request to wait any more")
    assert not load.failures
    assert load.slowest < 1.0 + 0.5 + 1.0 + SLACK


def test_an_answer_worth_another_try_is_replaced_by_a_better_one(lbg: StartLbg) -> None:
    with Backend(answer(503)) as a, Backend(answer(body=b"good")) as b:
        process = lbg(one_pool(a.url, b.url, retry={"status": [503]}, **UNJUDGED))
        assert [fetch(process.address).body for _ in range(10)] == [b"good"] * 10
        assert a.requests
        statuses = Counter(fetch(process.address, method="POST", body=b"x").status for _ in range(10))
        assert set(statuses) == {200, 503}


@pytest.mark.parametrize("other", ["refuses", "closes", "is as bad"])
def test_the_client_gets_the_last_real_answer_when_the_tries_run_out(lbg: StartLbg, other: str) -> None:
    handler = close_before_answer() if other == "closes" else answer(503, body=b"as bad")
    with Backend(answer(503, body=b"bad")) as a, Backend(handler) as b:
        if other == "refuses":
            b.stop()
        process = lbg(one_pool(a.url, b.url, retry={"status": [503]}, **UNJUDGED), workers=1)
        answers = [fetch(process.address) for _ in range(6)]
    assert [each.status for each in answers] == [503] * 6
    assert {_refusal(each) for each in answers} == {""}
    assert {each.body for each in answers} <= ({b"bad", b"as bad"} if other == "is as bad" else {b"bad"})


def test_retries_have_a_budget_that_all_workers_share(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        config = one_pool(
            *(a.url, b.url), balance="round_robin", retry={"status": [503], "budget": 0.0}, **UNJUDGED
        )
        process = booted(lbg(config, workers=4))
        with Load(process.address, concurrency=8, rate=100, keep_alive=False) as load:
            load.wait_for(50)  # each worker knows by now what there was before
        a.requests.clear()
        a.handler = answer(503)
        with Load(process.address, concurrency=8, total=240, keep_alive=False) as load:
            load.finish()
        counts = _pool(process)
        assert len(a.requests) == len(load.failures) + counts["retries"] > 100
        assert counts["retries_denied"] == len(load.failures)
    # Three a second, of 10 seconds; each worker by itself would have allowed nearly all of its own.
    assert 30 <= counts["retries"] < 60


def test_a_backup_serves_while_no_other_can(lbg: StartLbg) -> None:
    with Backend(answer(body=b"main")) as main, Backend(answer(body=b"backup")) as backup:
        process = lbg(one_pool(main.url, {"url": backup.url, "backup": True}, health=QUICK))
        with Load(process.address, concurrency=4, rate=100) as load:
            load.wait_for(50)
            assert set(load.bodies) == {b"main"}
            main.stop()
            process.wait_for(main.url, "down")
            earlier = load.bodies[b"main"]
            load.wait_for(50)
            assert load.bodies[b"main"] == earlier
            main.start()
            process.wait_for(main.url, "up")
            load.wait_for(8)  # those that were under way
            earlier = load.bodies[b"backup"]
            load.wait_for(50)
            assert load.bodies[b"backup"] == earlier
    assert not load.failures


def test_fail_open_sends_requests_although_all_checks_fail(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url, health=QUICK, when_all_down="fail_open"))
        for backend in (a, b):
            backend.probe_status = 503
            process.wait_for(backend.url, "down")
        assert [fetch(process.address).status for _ in range(10)] == [200] * 10
        assert _pool(process)["no_healthy"] == 10
        assert "requests are sent all the same, as when_all_down says" in process.log()
        a.probe_status = 200
        process.wait_for(a.url, "up")
        assert [fetch(process.address).body for _ in range(10)] == [b"a"] * 10


def test_max_requests_holds_over_all_workers_and_the_rest_waits(lbg: StartLbg) -> None:
    with ExitStack() as running:
        counted = [Counting(0.01) for _ in range(2)]
        a, b = (running.enter_context(Backend(handler)) for handler in counted)
        config = one_pool({"url": a.url, "max_requests": 3}, {"url": b.url, "max_requests": 1}, **UNJUDGED)
        process = lbg(config, workers=4)
        with Load(process.address, concurrency=24, total=1500) as load:
            load.finish(timeout=40.0)
        pool = _pool(process)
    assert not load.failures
    assert [handler.peak for handler in counted] == [3, 1]
    assert pool["queued"] > 100
    assert pool["waiting"] == 0


def _one_at_a_time(handler: Handler, backend: Backend, **queue: float) -> dict[str, object]:
    backend.handler = handler
    return one_pool({"url": backend.url, "max_requests": 1}, queue=queue, **UNJUDGED)


def _hold(process: LbgProcess, backend: Backend, closing: ExitStack) -> RawClient:
    """Take the only place at the backend."""
    client = closing.enter_context(RawClient(process.address))
    client.send(GET)
    eventually(lambda: backend.requests, what="the first request at the backend")
    return client


def _queue_up(process: LbgProcess, closing: ExitStack, waiting: int = 1) -> RawClient:
    client = closing.enter_context(RawClient(process.address))
    client.send(GET)
    eventually(lambda: _pool(process)["waiting"] == waiting, what="the next request to wait")
    return client


class Gate:
    """A handler that answers when it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()

    def __call__(self, connection: BackendConnection) -> None:
        """Serve one request."""
        connection.read_request()
        while not self.opened.is_set():
            connection.pause(0.01)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def test_a_full_queue_is_told_at_once(lbg: StartLbg, backend: Backend) -> None:
    gate = Gate()
    process = lbg(_one_at_a_time(gate, backend, size=2, timeout=30.0), workers=4)
    with ExitStack() as closing:
        held = [_hold(process, backend, closing)]
        held += [_queue_up(process, closing, number) for number in (1, 2)]
        begun = time.monotonic()
        refused = [fetch(process.address) for _ in range(8)]  # by whichever worker
        took = time.monotonic() - begun
        gate.opened.set()
        assert [client.read_response().status for client in held] == [200] * 3
        assert _pool(process)["queue_full"] == 8
    assert {(each.status, _refusal(each)) for each in refused} == {(503, "queue_full")}
    assert all(1 <= int(each.get("retry-after") or 0) <= 30 for each in refused)
    assert took < 5.0


def test_a_wait_that_is_too_long_is_told(lbg: StartLbg, backend: Backend) -> None:
    gate = Gate()
    process = lbg(_one_at_a_time(gate, backend, size=10, timeout=0.3))
    with ExitStack() as closing:
        held = _hold(process, backend, closing)
        response = fetch(process.address)
        gate.opened.set()
        assert held.read_response().status == 200
        assert fetch(process.address).status == 200
    assert (response.status, _refusal(response)) == (503, "queue_timeout")
    assert 1 <= int(response.get("retry-after") or 0) <= 30
    assert len(backend.requests) == 2


def test_a_client_that_leaves_frees_its_place(lbg: StartLbg, backend: Backend) -> None:
    gate = Gate()
    process = lbg(_one_at_a_time(gate, backend, size=1, timeout=30.0), workers=2)
    with ExitStack() as closing:
        held = _hold(process, backend, closing)
        _queue_up(process, closing).close()
        eventually(lambda: _pool(process)["waiting"] == 0, what="the place in the queue to be free")
        waiting = _queue_up(process, closing)
        held.close()  # and the one at the backend
        gate.opened.set()
        assert waiting.read_response().status == 200
        assert _pool(process)["queue_full"] == 0
        eventually(lambda: _in_flight(process) == 0)


def _share(address: Address, body: bytes, requests: int) -> float:
    with ThreadPoolExecutor(4) as pool:
        bodies = list(pool.map(lambda _: fetch(address).body, range(requests)))
    return bodies.count(body) / requests


@pytest.mark.parametrize("balance", ["round_robin", "power_of_two", "least_requests"])
def test_slow_start_gives_less_at_first(lbg: StartLbg, balance: str) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url, balance=balance, health=QUICK, slow_start=6.0))
        assert 0.3 < _share(process.address, b"b", 100) < 0.7  # not at the start of lbg
        b.probe_status = 503
        process.wait_for(b.url, "down")
        b.probe_status = 200
        process.wait_for(b.url, "up")
        first = _share(process.address, b"b", 100)
        assert process.endpoint(b.url)["effective_weight"] < 1
        eventually(lambda: process.endpoint(b.url)["effective_weight"] == 1, 6.0 + SLACK, "the whole weight")
        eventually(lambda: 0.3 < _share(process.address, b"b", 100) < 0.7, 6.0, "an even share")
    assert 0.0 < first < 0.35
