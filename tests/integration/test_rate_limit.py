"""Rate limits, bans and concurrency limits: four workers act as one."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from lbg.state.gcra import Rate, advance
from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.backend_process import BackendProcess
from tests.support.client import NoResponseError, RawClient, RawResponse, fetch
from tests.support.handlers import answer
from tests.support.lbg import LbgProcess, one_pool
from tests.support.processes import booted, new_master, pids
from tests.support.waiting import eventually
from tests.support.websocket_backend import echo_messages, websocket

UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
SECOND = 1_000_000_000
WORKERS = 4
BANS: dict[str, object] = {"rate": "1/h", "burst": 2, "ban_after": 3, "ban": 600.0}


def _limited(*endpoints: str, trusted: bool = False, **limit: object) -> dict[str, object]:
    """Return a configuration of one route with this filter, a rate limit where nothing else is said."""
    config = one_pool(*endpoints)
    config["routes"] = [{"pool": "main", "filters": [{"use": "rate_limit", **limit}]}]
    if trusted:
        config["server"] = {"trusted_proxies": ["127.0.0.0/8"]}
    return config


def _ask(process: LbgProcess, client: str = "") -> RawResponse:
    """Return the answer to a client, by its address where proxies are trusted."""
    return fetch(process.address, headers=[("X-Forwarded-For", client)] if client else [])


def _codes(process: LbgProcess, times: int, client: str = "") -> list[int]:
    return [_ask(process, client).status for _ in range(times)]


def _reason(response: RawResponse) -> str:
    return (response.get("proxy-status") or "").partition('details="')[2].partition('"')[0]


def _command(process: LbgProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lbg.cli.main", *arguments, "--admin", process.admin_url],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class _Hammer:
    """One client that sends a request each millisecond for so many seconds, over many connections."""

    def __init__(self, process: LbgProcess, seconds: float, connections: int = 20) -> None:
        self.answers: list[RawResponse] = []
        self.times: list[float] = []
        begun = time.monotonic()
        threads = [
            threading.Thread(target=self._send, args=(process, begun + number / 1000, seconds, connections))
            for number in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.took = time.monotonic() - begun

    def _send(self, process: LbgProcess, due: float, seconds: float, connections: int) -> None:
        ends = due + seconds
        with RawClient(process.address) as client:
            while due < ends:
                time.sleep(max(0.0, due - time.monotonic()))
                client.send(GET)
                self.answers.append(client.read_response())
                self.times.append(time.monotonic())
                due += connections / 1000


def _due(times: list[float]) -> int:
    """Return how many of the requests at these times may pass, 100 a second."""
    rate, tat, passed = Rate.of(100, SECOND, 20), 0, 0
    for moment in sorted(times):
        tat, early = advance(tat, round(moment * SECOND), rate.interval, rate.tolerance)
        passed += not early
    return passed


def test_four_workers_let_a_hundred_a_second_through_together(lbg: StartLbg) -> None:
    with BackendProcess("a") as backend:
        process = booted(lbg(_limited(backend.url, rate="100/s", burst=20), workers=WORKERS))
        hammer = _Hammer(process, seconds=10.0)
        passed = [answer for answer in hammer.answers if answer.status == 200]
        rejected = [answer for answer in hammer.answers if answer.status == 429]
        assert len(passed) + len(rejected) == len(hammer.answers) > 5000
        assert len(passed) <= 21 + 100 * hammer.took
        # 1,000 where each request went out when it was due, fewer where the machine was too busy for that.
        assert abs(len(passed) - _due(hammer.times)) <= 30
        assert {answer.get("retry-after") for answer in rejected} == {"1"}
        assert {_reason(answer) for answer in rejected} == {"rate_limited"}
        assert {answer.get("ratelimit-policy") for answer in hammer.answers} == {'"default";q=100;w=1'}
        assert {answer.get("ratelimit") for answer in rejected} == {'"default";r=0;t=1'}
        (limit,) = process.ask("/api/v1/limits")
        assert (limit["passed"], limit["rejected"]) == (len(passed), len(rejected))


def test_retry_after_tells_when_the_next_one_passes(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(_limited(backend.url, rate="2/m", burst=0), workers=WORKERS)
    begun = time.monotonic()
    assert _codes(process, 1) == [200]
    retry = int(_ask(process).get("retry-after") or 0)
    assert 30 - (time.monotonic() - begun) <= retry <= 30


@pytest.fixture
def banning(lbg: StartLbg, backend: Backend) -> LbgProcess:
    """Give an lbg that bans after three rejections and believes X-Forwarded-For."""
    return booted(lbg(_limited(backend.url, trusted=True, **BANS), workers=WORKERS))


def _ban(process: LbgProcess, client: str) -> None:
    assert _codes(process, 6, client) == [200] * 3 + [429] * 3
    answer = _ask(process, client)
    assert _reason(answer) == "banned"
    assert 590 < int(answer.get("retry-after") or 0) <= 600


def _kill_workers(process: LbgProcess) -> list[int]:
    """Kill all proxy workers and return which they were."""
    killed = process.worker_pids("proxy")
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    return killed


def _replaced(process: LbgProcess, *gone: int) -> None:
    """Wait until others serve in place of these workers."""
    eventually(
        lambda: not {*gone} & {*pids(process, "proxy", WORKERS)}, timeout=15.0, what="other workers to serve"
    )
    booted(process)


def _banned(process: LbgProcess) -> list[str]:
    return [ban["key"] for ban in process.ask("/api/v1/bans")["bans"]]


def test_a_ban_is_listed_and_lifted(banning: LbgProcess) -> None:
    _ban(banning, "192.0.2.1")
    (ban,) = banning.ask("/api/v1/bans")["bans"]
    assert (ban["key"], ban["times"], ban["reason"]) == ("192.0.2.1", 1, "3 rejections within a minute")
    assert 590 < ban["seconds_left"] <= 600
    shown = _command(banning, "bans")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "192.0.2.1" in shown.stdout
    assert json.loads(_command(banning, "bans", "--json").stdout)["bans"][0]["limit"] == ban["limit"]
    lifted = _command(banning, "unban", "192.0.2.1")
    assert (lifted.returncode, lifted.stderr) == (0, "")
    assert _banned(banning) == []
    # The rate is what it was; that nothing is left of it is another matter than a ban.
    assert _reason(_ask(banning, "192.0.2.1")) == "rate_limited"
    again = _command(banning, "unban", "192.0.2.1")
    assert again.returncode == 2
    assert '"192.0.2.1" is not banned' in again.stderr


def test_a_ban_is_of_an_ipv6_network_of_64_bits(banning: LbgProcess) -> None:
    _ban(banning, "2001:db8::1")
    assert _reason(_ask(banning, "2001:db8::ffff:ffff:ffff:ffff")) == "banned"
    assert _codes(banning, 1, "2001:db8:0:1::1") == [200]
    assert _banned(banning) == ["2001:db8::/64"]
    assert _command(banning, "unban", "2001:db8::1").returncode == 0
    assert _banned(banning) == []


def test_bans_and_rates_outlive_a_reload_and_an_upgrade_and_dead_workers(banning: LbgProcess) -> None:
    _ban(banning, "192.0.2.1")
    assert _codes(banning, 2, "192.0.2.2") == [200] * 2
    _replaced(banning, *_kill_workers(banning))
    before = banning.worker_pids("proxy")
    banning.send_signal(signal.SIGHUP)
    _replaced(banning, *before)
    assert _reason(_ask(banning, "192.0.2.1")) == "banned"
    assert _banned(banning) == ["192.0.2.1"]
    banning.send_signal(signal.SIGUSR2)
    new_master(banning)
    assert banning.stop() == 0
    eventually(lambda: _banned(banning) == ["192.0.2.1"], timeout=10.0)
    assert _reason(_ask(banning, "192.0.2.1")) == "banned"
    assert _codes(banning, 2, "192.0.2.2") == [200, 429]


def test_a_ban_that_does_not_hold_any_more_is_not_listed(banning: LbgProcess, backend: Backend) -> None:
    _ban(banning, "192.0.2.1")
    (limit,) = banning.ask("/api/v1/limits")
    assert limit["banned_now"] == 1
    before = banning.worker_pids("proxy")
    banning.write_config(_limited(backend.url, trusted=True, rate="1/h", burst=2))
    banning.send_signal(signal.SIGHUP)
    _replaced(banning, *before)
    assert _reason(_ask(banning, "192.0.2.1")) == "rate_limited"
    eventually(lambda: _banned(banning) == [], timeout=10.0, what="the new control worker to answer")
    (limit,) = banning.ask("/api/v1/limits")
    assert (limit["bans"], limit["banned_now"]) == (1, 0)
    assert _command(banning, "unban", "192.0.2.1").returncode == 2


def test_a_secret_key_is_listed_by_its_digest(lbg: StartLbg, backend: Backend) -> None:
    config = _limited(backend.url, key="header:X-Api-Key", name="keys", **BANS)
    process = booted(lbg(config, workers=WORKERS))
    for _ in range(6):
        fetch(process.address, headers=[("X-Api-Key", "very-secret")])
    (ban,) = process.ask("/api/v1/bans")["bans"]
    assert ban["key"].startswith("digest:")
    assert _command(process, "unban", ban["key"], "--limit", "keys").returncode == 0
    assert _banned(process) == []
    assert "very-secret" not in process.log()


def test_the_stock_workers_of_gunicorn_share_limits_as_well(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(_limited(backend.url, rate="1/h", burst=1), worker_class="gevent")
    assert _codes(process, 4) == [200, 200, 429, 429]


class _Doors:
    """A backend handler that keeps every request waiting until it is opened."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.waiting = 0
        self._lock = threading.Lock()

    def __call__(self, connection: BackendConnection) -> None:
        connection.read_request()
        with self._lock:
            self.waiting += 1
        self.opened.wait(20.0)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@contextmanager
def _waiting(process: LbgProcess, number: int) -> Iterator[list[RawClient]]:
    """Give so many clients, each of which has sent a request on a connection of its own."""
    with ExitStack() as closing:
        clients = [closing.enter_context(RawClient(process.address)) for _ in range(number)]
        for client in clients:
            client.send(GET)
        yield clients


def _with_concurrency(backend: Backend, limit: int) -> dict[str, object]:
    config = _limited(backend.url, use="concurrency", limit=limit)
    config["pools"]["main"]["health"] = {"type": "none"}  # type: ignore[index]
    return config


def _outcome(client: RawClient) -> int:
    """Return the status that a client gets, 0 when its connection is cut."""
    try:
        return client.read_response().status
    except (NoResponseError, OSError):
        return 0


def test_four_workers_let_in_as_many_at_once_as_they_may_together(lbg: StartLbg, backend: Backend) -> None:
    doors = backend.handler = _Doors()
    process = booted(lbg(_with_concurrency(backend, 5), workers=WORKERS))
    with _waiting(process, 40) as clients:
        eventually(lambda: process.ask("/api/v1/limits")[0]["rejected"] == 35, timeout=10.0)
        assert doors.waiting == 5
        doors.opened.set()
        answers = [client.read_response() for client in clients]
        refused = [answer for answer in answers if answer.status == 429]
        assert len(refused) == 35
        assert {answer.get("retry-after") for answer in refused} == {"1"}
        assert {answer.body for answer in answers if answer.status == 200} == {b"ok"}
    eventually(lambda: _codes(process, 5) == [200] * 5, what="nothing to be in flight")


def test_what_a_killed_worker_had_in_flight_is_free(lbg: StartLbg, backend: Backend) -> None:
    doors = backend.handler = _Doors()
    process = booted(lbg(_with_concurrency(backend, 8), workers=WORKERS))
    with _waiting(process, 8) as clients:
        eventually(lambda: doors.waiting == 8, what="all to wait")
        assert _codes(process, 1) == [429]
        killed = _kill_workers(process)
        assert [_outcome(client) for client in clients] == [0] * 8
        _replaced(process, *killed)
        with _waiting(process, 12) as others:
            eventually(lambda: doors.waiting == 16, what="as many again to be let in")
            doors.opened.set()
            assert sorted(_outcome(client) for client in others) == [200] * 8 + [429] * 4


def test_a_client_that_leaves_is_in_flight_no_more(lbg: StartLbg, backend: Backend) -> None:
    doors = backend.handler = _Doors()
    process = booted(lbg(_with_concurrency(backend, 2), workers=WORKERS))
    with _waiting(process, 2):
        eventually(lambda: doors.waiting == 2, what="both to wait")
        assert _codes(process, 1) == [429]
    doors.opened.set()
    eventually(lambda: _codes(process, 1) == [200], what="the clients that left to be forgotten")


def test_an_upgraded_connection_is_in_flight_as_long_as_it_is_open(lbg: StartLbg, backend: Backend) -> None:
    backend.handler = websocket(echo_messages)
    process = booted(lbg(_with_concurrency(backend, 1), workers=WORKERS))
    with RawClient(process.address) as client:
        client.send(UPGRADE)
        eventually(lambda: process.ask("/api/v1/limits")[0]["passed"] == 1)
        assert _codes(process, 1) == [429]
    backend.handler = answer()
    eventually(lambda: _codes(process, 1) == [200], what="the upgraded connection to be over")
