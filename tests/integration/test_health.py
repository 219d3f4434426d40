"""Endpoints that go down and come back: who notices, how soon, and what clients see of it."""

import itertools
import os
import pty
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pytest

from lbg.config.pools import HealthConfig
from lbg.state import directory
from lbg.state.cells import Cells
from lbg.state.condition import patience, read_condition
from lbg.state.document import decode
from lbg.state.health_row import HealthRow
from lbg.state.layout import Field, Health, HealthField, identity
from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import RawClient, fetch
from tests.support.handlers import Handler, answer, head, stall_before_head
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.processes import booted, new_master, pids
from tests.support.waiting import eventually

QUICK = {"interval": 0.2, "fast_interval": 0.1, "timeout": 1.0}
NOTICED = 3.0 + 2.0
"""Seconds in which an endpoint that hangs is found out when nothing is configured: interval and timeout."""
SLACK = 3.0
"""Seconds that a busy machine may need on top."""


def _shared(process: LbgProcess) -> Cells:
    """Map the cells of a running lbg."""
    return Cells.open(process.directory / "state")


def _slot(process: LbgProcess, backend: Backend, pool: str = "main") -> int:
    """Return the slot of an endpoint in the cells."""
    published = decode(directory.read(process.directory / "state"))
    return published.slots[identity(pool, addresses.authority(backend.address))]


def test_an_endpoint_that_stops_and_starts_again_costs_no_request(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url))
        with Load(process.address, concurrency=8, rate=100) as load:
            eventually(lambda: len(load.bodies) == 2, what="both to be used")
            b.stop()
            process.wait_for(b.url, "down", NOTICED + SLACK)
            before = load.bodies[b"b"]
            load.wait_for(50)
            assert load.bodies[b"b"] == before
            b.start()
            process.wait_for(b.url, "up", NOTICED + SLACK)
            eventually(lambda: load.bodies[b"b"] > before + 20, what="requests where the endpoint is back")
    assert not load.failures


def test_both_down_is_told_at_once(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url, health=QUICK))
        for backend in (a, b):
            backend.stop()
            process.wait_for(backend.url, "down")
        begun = time.monotonic()
        response = fetch(process.address, "/some/path")
        took = time.monotonic() - begun
        names = [re.escape(addresses.authority(backend.address)) for backend in (a, b)]
        each = "; ".join(rf"{name} down since [0-9:]+: connect refused" for name in names)
        said = re.compile(rf"all 2 endpoints of pool main are down: {each}")
        eventually(lambda: said.search(process.log()), what="the log to say why")
    assert response.status == 503
    assert 'details="no_healthy"' in (response.get("proxy-status") or "")
    assert b"no_healthy" in response.body
    assert took < 1.0


def test_it_is_ready_when_each_endpoint_was_checked_once(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(stall_before_head(), answer_probes=False) as hung:
        begun = time.monotonic()
        process = lbg(one_pool(a.url, hung.url, health={"timeout": 1.5}))
        assert time.monotonic() - begun > 1.5
        assert process.endpoint(hung.url)["state"] == "down"
        assert process.endpoint(hung.url)["reason"] == "timeout after 1.5 s"
        assert [fetch(process.address).body for _ in range(4)] == [b"a"] * 4


class OnTerminal(LbgProcess):
    """Writes to a terminal; what is shown there is the log."""

    def output(self) -> BinaryIO:
        """Open a terminal, and copy what comes out of it to the log file."""
        person, descriptor = pty.openpty()
        threading.Thread(target=self._copy, args=(person,), daemon=True).start()
        return os.fdopen(descriptor, "wb", buffering=0)

    def _copy(self, person: int) -> None:
        with self.log_path.open("ab", buffering=0) as log, os.fdopen(person, "rb", buffering=0) as shown:
            try:
                while data := shown.read(65536):
                    log.write(data)
            except OSError:  # EIO: nobody has the terminal open any more
                return


def test_flips_are_shown_in_colour_on_a_terminal(tmp_path: Path, backend: Backend) -> None:
    with OnTerminal(one_pool(backend.url), tmp_path / "lbg") as process:
        backend.stop()
        down = rf"\x1b\[1;31mDOWN\x1b\[0m\S* main {backend.url}: connect refused, was up for \d"
        eventually(lambda: re.search(down, process.log()), NOTICED + SLACK, "a red DOWN")
        backend.start()
        up = rf"\x1b\[1;32mUP\x1b\[0m main {backend.url}: status 200 in \d+ ms, was down for \d"
        eventually(lambda: re.search(up, process.log()), NOTICED + SLACK, "a green UP")


def _tells_the_worker(body: bytes) -> Handler:
    """Answer with `body`, and in X-Worker with what the ids of all requests of a worker begin with."""

    def handle(connection: BackendConnection) -> None:
        request_id = connection.read_request().get("x-request-id") or ""
        connection.send(head(200, [("Content-Length", str(len(body))), ("X-Worker", request_id[:12])]) + body)

    return handle


@dataclass(frozen=True)
class Visit:
    """One request: when it was sent, when its answer had come, in UNIX time, and who answered."""

    begun: float
    ended: float
    body: bytes


@dataclass
class Visitor:
    """A client that asks one worker again and again."""

    client: RawClient
    visits: list[Visit] = field(default_factory=list)

    def run(self, stopping: threading.Event) -> None:
        """Ask until told to stop."""
        while not stopping.wait(0.002):
            begun = time.time()
            response = self.client.request()
            assert response.status == 200
            self.visits.append(Visit(begun, time.time(), response.body))

    def between(self, begin: float, end: float) -> list[bytes]:
        """Return who answered the visits in this time."""
        return [visit.body for visit in self.visits if begin < visit.begun and visit.ended < end]


@contextmanager
def _visitors(address: Address, workers: int) -> Iterator[list[Visitor]]:
    """Run a visitor of each worker."""
    with ExitStack() as closing:
        found: dict[str | None, Visitor] = {}
        for _ in range(500):
            client = closing.enter_context(RawClient(address))
            found.setdefault(client.request().get("x-worker"), Visitor(client))
            if len(found) == workers:
                break
        assert len(found) == workers
        stopping = threading.Event()
        threads = [threading.Thread(target=one.run, args=(stopping,)) for one in found.values()]
        for thread in threads:
            thread.start()
        try:
            yield list(found.values())
        finally:
            stopping.set()
            for thread in threads:
                thread.join()


def _moment(event: dict[str, str]) -> float:
    return datetime.fromisoformat(event["time"]).timestamp()


def test_all_workers_agree_on_every_flip_within_a_tenth_of_a_second(lbg: StartLbg) -> None:
    with Backend(_tells_the_worker(b"a")) as a, Backend(_tells_the_worker(b"b")) as b:
        process = lbg(one_pool(a.url, b.url, balance="round_robin", health=QUICK), workers=4)
        turns = []
        with _visitors(process.address, 4) as visitors:
            for status, state in [(503, "down"), (200, "up")] * 3:
                turns.append(time.time())
                b.probe_status = status  # requests are answered all the same: those that come are counted
                process.wait_for(b.url, state)
                enough = time.time() + 0.2
                eventually(
                    lambda: all(one.visits and one.visits[-1].begun > enough for one in visitors),  # noqa: B023
                    timeout=15.0,
                    what="more visits to each worker",
                )
            turns.append(time.time())
        _, *flips = process.events("down", "up", url=b.url)  # without the first check of all
    assert [flip["kind"] for flip in flips] == ["down", "up"] * 3
    for visitor, (flip, until) in itertools.product(visitors, zip(flips, turns[1:], strict=True)):
        settled = visitor.between(_moment(flip) + 0.1, until)
        if flip["kind"] == "down":
            assert set(settled) == {b"a"}, (flip, settled)
        else:
            assert set(settled[:2]) == {b"a", b"b"}, (flip, settled)


def test_a_killed_control_worker_forgets_nothing(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url)))
        b.probe_status = 503  # requests would be answered: any that came would be seen
        process.wait_for(b.url, "down", 2 * NOTICED + SLACK)
        before = process.endpoint(b.url)
        row = HealthRow(_shared(process), _slot(process, b))
        (control,) = pids(process, "control", 1)
        visits, seen = len(b.requests), set()
        with Load(process.address, concurrency=4, rate=100) as load:
            os.kill(control, signal.SIGKILL)
            checked = row[HealthField.CHECKS_FAILED]

            def checked_again() -> bool:
                seen.add((row.health, row[HealthField.SINCE]))
                return row[HealthField.CHECKS_FAILED] > checked + 1

            eventually(checked_again, 3.0 + 3.0 + SLACK, "two more checks by another control worker")
            after = process.endpoint(b.url)
        assert len(seen) == 1
        assert seen.pop()[0] is Health.DOWN
        assert (after["state"], after["since"]) == ("down", before["since"])
        assert pids(process, "control", 1) != [control]
        assert len(b.requests) == visits
    assert not load.failures


def test_proxies_without_a_control_worker_serve_and_eject_by_themselves(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url)))
        (control,) = pids(process, "control", 1)
        cells, slot = _shared(process), _slot(process, b)
        proxies = [f'"pid": {pid},' for pid in pids(process, "proxy", 2)]

        def said(what: str) -> None:
            def by_both() -> bool:
                lines = [line for line in process.log().splitlines() if what in line]
                return all(any(proxy in line for line in lines) for proxy in proxies)

            eventually(by_both, 10.0 + SLACK, f"both proxies to say {what!r}")

        with Load(process.address, concurrency=8, rate=100, keep_alive=False) as load:
            os.kill(control, signal.SIGSTOP)
            try:
                said("the control worker has been silent for")
                b.stop()
                said("by this worker alone")
                refused = cells.total(slot, Field.CONNECT_FAILURES)
                load.wait_for(50)
                assert cells.total(slot, Field.CONNECT_FAILURES) == refused
                b.start()
            finally:
                os.kill(control, signal.SIGCONT)
            said("the control worker is back")
            before = load.bodies[b"b"]
            eventually(lambda: load.bodies[b"b"] > before, NOTICED + SLACK, "the endpoint to be used again")
    assert not load.failures


def test_what_is_not_checked_any_more_is_stale_and_still_used(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url, health=QUICK)))
    (control,) = pids(process, "control", 1)
    cells, slot = _shared(process), _slot(process, backend)

    def state() -> str:
        wait = patience(HealthConfig.model_validate(QUICK))
        return read_condition(cells, slot, time.monotonic_ns(), wait).state

    eventually(lambda: state() == "up")
    os.kill(control, signal.SIGSTOP)
    try:
        eventually(lambda: state() == "stale")
        assert fetch(process.address).status == 200
    finally:
        os.kill(control, signal.SIGCONT)
    eventually(lambda: state() == "up")


def _reload(process: LbgProcess) -> None:
    (control,) = pids(process, "control", 1)
    proxies = pids(process, "proxy", 2)
    process.send_signal(signal.SIGHUP)
    eventually(lambda: pids(process, "control", 1) != [control], timeout=15.0, what="another control worker")
    eventually(lambda: not set(pids(process, "proxy", 2)) & set(proxies), timeout=15.0, what="other proxies")


def _replace_master(process: LbgProcess) -> None:
    process.send_signal(signal.SIGUSR2)
    new_master(process)
    process.stop(signal.SIGQUIT)
    pids(process, "proxy", 2)


def _two_pools(a: Backend, down: Backend, ejected: Backend) -> dict[str, object]:
    unchecked = {"type": "none"}  # a check that passes would end the ejection
    outlier = {"eject": 120.0}
    return {
        "pools": {
            "main": {"endpoints": [a.url, down.url], "health": QUICK},
            "other": {"endpoints": [a.url, ejected.url], "health": unchecked, "outlier": outlier},
        },
        "routes": [{"pool": "main"}, {"path": "/other", "pool": "other"}],
    }


@pytest.mark.parametrize("renew", [_reload, _replace_master], ids=["HUP", "USR2 and QUIT"])
def test_health_ejections_and_counters_outlive_all_workers(
    lbg: StartLbg, renew: Callable[[LbgProcess], None]
) -> None:
    with Backend() as a, Backend(answer(body=b"b")) as down, Backend(answer(500)) as ejected:
        process = booted(lbg(_two_pools(a, down, ejected)))
        down.probe_status = 503
        kept = ("state", "since", "ejected_until", "ejections", "responses")
        before = [process.wait_for(down.url, "down")]
        while process.endpoint(ejected.url)["state"] != "ejected":
            fetch(process.address, "/other")
        before.append(process.endpoint(ejected.url))
        ejected.handler = answer(body=b"c")
        with (
            Load(process.address, concurrency=4, rate=100) as load,
            Load(process.address, concurrency=4, rate=50, target="/other") as other,
        ):
            load.wait_for(50)
            renew(process)
            load.wait_for(50)
            other.wait_for(50)
            after = [process.wait_for(down.url, "down"), process.wait_for(ejected.url, "ejected")]
            checks = process.endpoint(down.url)["last_check"]["failed_total"]
            eventually(lambda: process.endpoint(down.url)["last_check"]["failed_total"] > checks)
        assert not load.failures
        assert not other.failures
        assert [[each[key] for key in kept] for each in after] == [
            [each[key] for key in kept] for each in before
        ]
        assert process.ask("/api/v1/pools/main")["requests"] >= load.done
        assert set(load.bodies) == set(other.bodies) == {b"ok"}
