"""What happens to requests, listeners and state when processes are killed, reloaded, replaced and stopped."""

import fcntl
import os
import re
import signal
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.handlers import answer, slow, sse
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.processes import booted, new_master, pids
from tests.support.waiting import eventually

BIN = Path(sys.executable).parent
RUNTIME = Path("/run/lbg")
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def _refused(address: Address) -> bool:
    try:
        with RawClient(address, timeout=2.0):
            return False
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:  # caught in the backlog while the listener was closed
        return False


def _exit_code(process: LbgProcess) -> int:
    """Wait for the end of a master that was told to stop; signal 0 says nothing to it."""
    return process.stop(0)


def _state_directory(pid: int) -> Path:
    """Return the directory of the cell file that a worker has mapped."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    match = re.search(r"(/\S+)/cells$", maps, re.MULTILINE)
    assert match, maps
    return Path(match[1])


@pytest.fixture
def fresh_state() -> Iterator[dict[str, str]]:
    """Give the environment of an lbg that makes a state directory of its own: the usual one is in use."""
    with ExitStack() as closing:
        with suppress(PermissionError):  # then lbg cannot use it either
            RUNTIME.mkdir(mode=0o700, exist_ok=True)
            lock = closing.enter_context((RUNTIME / "master").open("a"))
            with suppress(BlockingIOError):  # some other lbg uses it
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield {"LBG_STATE_DIR": ""}


def test_a_killed_proxy_worker_takes_only_its_own_requests_along(lbg: StartLbg) -> None:
    with Backend(slow(0.02)) as backend:
        process = lbg(one_pool(backend.url))
        victim, other = pids(process, "proxy", 2)
        with Load(process.address, concurrency=16) as load:
            load.wait_for(200)
            os.kill(victim, signal.SIGKILL)

            def replaced() -> bool:
                now = pids(process, "proxy", 2)
                return victim not in now and other in now

            eventually(replaced, timeout=10.0, what="a worker in place of the killed one")
            lost = len(load.failures) + load.stale
            load.wait_for(200)
        assert lost <= load.concurrency
        assert len(load.failures) + load.stale == lost


def test_a_killed_proxy_worker_leaves_counters_and_takes_its_gauges_along(lbg: StartLbg) -> None:
    with Backend() as backend:
        process = lbg(one_pool(backend.url), workers=1)
        (victim,) = pids(process, "proxy", 1)
        for _ in range(10):
            fetch(process.address)
        backend.handler = slow(30.0)
        with RawClient(process.address) as client:
            client.send(GET)

            def counts() -> tuple[int, int]:
                (endpoint,) = process.status()["pools"]["main"]["endpoints"]
                return endpoint["requests"], endpoint["in_flight"]

            eventually(lambda: counts() == (10, 1), what="one request in flight")
            os.kill(victim, signal.SIGKILL)
            eventually(lambda: counts() == (10, 0), what="no request in flight")


def test_a_killed_control_worker_is_back_soon_and_no_client_notices(lbg: StartLbg) -> None:
    with Backend() as backend:
        process = lbg(one_pool(backend.url))
        proxies = pids(process, "proxy", 2)
        (victim,) = pids(process, "control", 1)
        with Load(process.address, concurrency=4) as load:
            load.wait_for(50)
            os.kill(victim, signal.SIGKILL)
            begun = time.monotonic()
            assert pids(process, "control", 1) != [victim]
            took = time.monotonic() - begun
            load.wait_for(50)
        assert not load.failures
        assert not load.stale
        assert took < 3.0
        assert pids(process, "proxy", 2) == proxies


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "a connection each"])
def test_a_reload_under_load_loses_no_request_and_takes_the_new_file(lbg: StartLbg, keep_alive: bool) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url)))
        before = pids(process, "proxy", 2)
        with Load(process.address, concurrency=8, keep_alive=keep_alive) as load:
            load.wait_for(100)
            for url, body in ((b.url, b"b"), (a.url, b"a"), (b.url, b"b")):
                seen = load.bodies[body]
                process.write_config(one_pool(url))
                process.send_signal(signal.SIGHUP)

                def only_new(body: bytes = body) -> bool:
                    earlier = load.bodies.copy()
                    load.wait_for(50)
                    return set(load.bodies - earlier) == {body}

                eventually(only_new, timeout=15.0, what="answers from the new endpoint only")
                assert load.bodies[body] > seen
        assert not load.failures
        assert not set(before) & set(pids(process, "proxy", 2))
        assert process.status()["config"]["generation"] == 4


def test_a_reload_lets_an_open_response_finish(lbg: StartLbg) -> None:
    with Backend(sse(events=10, interval=0.15)) as backend:
        process = booted(lbg(one_pool(backend.url)))
        with RawClient(process.address) as client:
            client.send(GET)
            eventually(lambda: backend.requests, what="the request at the backend")
            process.send_signal(signal.SIGHUP)
            response = client.read_response()
        assert response.complete
        assert response.body.count(b"data:") == 10


def test_a_reload_keeps_the_counters(lbg: StartLbg) -> None:
    with Backend() as backend:
        process = booted(lbg(one_pool(backend.url)))
        (control,) = pids(process, "control", 1)
        for _ in range(20):
            fetch(process.address)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: pids(process, "control", 1) != [control], timeout=10.0)
        fetch(process.address)
        (endpoint,) = process.status()["pools"]["main"]["endpoints"]
        assert endpoint["requests"] == 21


BROKEN = {
    "syntax": "[pools",
    "unknown key": '[server]\nwokers = 1\n[pools.main]\nendpoints = ["http://127.0.0.1:1"]\n',
    "nothing": "",
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN.keys())
def test_a_reload_of_a_broken_file_changes_nothing_and_says_so(lbg: StartLbg, text: str) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url)))
        with Load(process.address, concurrency=4) as load:
            load.wait_for(20)
            process.write_config(text)
            process.send_signal(signal.SIGHUP)
            eventually(
                lambda: any('"ERROR"' in line and "lbg.toml" in line for line in process.log().splitlines()),
                timeout=10.0,
                what="a word about the broken file",
            )
            load.wait_for(20)
            assert process.status()["config"]["generation"] == 1
            process.write_config(one_pool(b.url))
            process.send_signal(signal.SIGHUP)
            eventually(lambda: load.bodies[b"b"], timeout=10.0, what="an answer from the new endpoint")
        assert not load.failures
        assert process.log().count('"ERROR"') == 1


class ByFile(LbgProcess):
    """Takes addresses and the number of workers from its file."""

    def command(self) -> list[str]:
        """Return the command line."""
        names = ("SERVER__BIND", "ADMIN__BIND", "SERVER__WORKERS")
        return ["env", *(f"--unset=LBG_{name}" for name in names), *super().command()]

    def configure(self, url: str, public: Sequence[Address], *, workers: int = 1) -> None:
        """Write a file with these public addresses."""
        self.workers = workers
        server = {"bind": [addresses.authority(each) for each in public], "workers": workers}
        admin = {"bind": addresses.authority(self.admin_address)}
        self.write_config({"server": server, "admin": admin, **one_pool(url)})


@pytest.fixture
def by_file(tmp_path: Path, backend: Backend) -> Iterator[ByFile]:
    """Run lbg with one proxy worker on one address that its file says."""
    process = ByFile("", tmp_path / "lbg")
    process.configure(backend.url, [process.address])
    with process:
        yield process


@pytest.fixture
def free_address() -> Iterator[Address]:
    """Reserve an address."""
    with addresses.bound_socket(("127.0.0.1", 0)) as reserved:
        yield addresses.local_address(reserved)


def test_a_reload_takes_another_number_of_workers(by_file: ByFile, backend: Backend) -> None:
    booted(by_file)
    for workers in (3, 1):
        by_file.configure(backend.url, [by_file.address], workers=workers)
        by_file.send_signal(signal.SIGHUP)
        pids(by_file, "proxy", workers)
        pids(by_file, "control", 1)
    assert fetch(by_file.address).body == b"ok"


def test_a_reload_with_other_addresses_keeps_the_old_ones_and_says_so(
    by_file: ByFile, backend: Backend, free_address: Address
) -> None:
    with Load(booted(by_file).address, concurrency=4) as load:
        load.wait_for(20)
        by_file.configure(backend.url, [free_address])
        by_file.send_signal(signal.SIGHUP)
        eventually(
            lambda: "server.bind: in force after a restart or USR2" in by_file.log(),
            timeout=10.0,
            what="a word about it",
        )
        eventually(lambda: by_file.status()["config"]["generation"] == 2, what="the rest to be reloaded")
        load.wait_for(20)
    assert not load.failures
    assert _refused(free_address)
    assert fetch(by_file.admin_address, "/health/live").status == 200


class ByScript(LbgProcess):
    """Runs gunicorn's own script, as the documentation says."""

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(BIN / "gunicorn"), *super().command()[3:]]


class ByLbgRun(LbgProcess):
    """Runs `lbg run`."""

    def command(self) -> list[str]:
        """Return the command line."""
        return [str(BIN / "lbg"), "run"]


@pytest.mark.parametrize("kind", [ByScript, LbgProcess, ByLbgRun], ids=["gunicorn", "-m gunicorn", "lbg run"])
def test_usr2_starts_another_master_however_the_first_was_started(
    tmp_path: Path, backend: Backend, kind: type[LbgProcess]
) -> None:
    with kind(one_pool(backend.url), tmp_path / "lbg") as process:
        booted(process).send_signal(signal.SIGUSR2)
        master = new_master(process)
        assert process.stop() == 0
        assert fetch(process.address).body == b"ok"
        assert set(pids(process, "proxy", 2)) < {child.pid for child in master.children()}


@pytest.mark.parametrize("keep_alive", [True, False], ids=["keep-alive", "a connection each"])
def test_usr2_and_quit_replace_the_master_without_a_lost_request(tmp_path: Path, keep_alive: bool) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        with ByScript(one_pool(a.url), tmp_path / "lbg") as process:
            booted(process)
            with Load(process.address, concurrency=4, keep_alive=keep_alive) as load:
                load.wait_for(50)
                process.write_config(one_pool(b.url))
                process.send_signal(signal.SIGUSR2)
                master = new_master(process)
                assert process.stop(signal.SIGQUIT) == 0
                earlier = load.bodies.copy()
                load.wait_for(50)
                assert set(load.bodies - earlier) == {b"b"}
            assert not load.failures
            workers = {worker["pid"] for worker in process.status()["workers"]}
            assert workers == {child.pid for child in master.children()}
            assert fetch(process.admin_address, "/health/ready").status == 200
            master.terminate()
            eventually(lambda: _refused(process.address), timeout=10.0, what="the second master to end")


def test_requests_open_during_usr2_are_answered_and_counted(tmp_path: Path) -> None:
    with (
        Backend(slow(1.5)) as backend,
        ByScript(one_pool(backend.url), tmp_path / "lbg") as process,
        ExitStack() as closing,
    ):
        booted(process)
        clients = [closing.enter_context(RawClient(process.address)) for _ in range(4)]
        for client in clients:
            client.send(GET)
        eventually(lambda: backend.open_connections == 4, what="the requests at the backend")
        process.send_signal(signal.SIGUSR2)
        new_master(process)
        (endpoint,) = process.status()["pools"]["main"]["endpoints"]
        assert endpoint["in_flight"] == 4
        assert [client.read_response().body for client in clients] == [b"ok"] * 4

        def counts() -> tuple[int, int]:
            (endpoint,) = process.status()["pools"]["main"]["endpoints"]
            return endpoint["requests"], endpoint["in_flight"]

        eventually(lambda: counts() == (4, 0), what="the counters")


def test_two_masters_share_the_state_with_a_slot_for_each_worker(tmp_path: Path, backend: Backend) -> None:
    with ByScript(one_pool(backend.url), tmp_path / "lbg") as process:
        old = [worker["pid"] for worker in booted(process).status()["workers"]]
        process.send_signal(signal.SIGUSR2)
        new = [child.pid for child in new_master(process).children()]

        def all_listed() -> bool:
            workers = process.status()["workers"]
            assert {worker["pid"] for worker in workers} == {*old, *new}
            return len({worker["slot"] for worker in workers}) == len(workers)

        eventually(all_listed, what="the workers of both masters, each in a slot of its own")


def test_a_fresh_state_directory_outlives_usr2_and_ends_with_the_last_master(
    tmp_path: Path, backend: Backend, fresh_state: dict[str, str]
) -> None:
    with ByScript(one_pool(backend.url), tmp_path / "lbg", env=fresh_state) as process:
        state = _state_directory(pids(booted(process), "proxy", 2)[0])
        process.send_signal(signal.SIGUSR2)
        master = new_master(process)
        assert process.stop() == 0
        assert state.exists()
        assert _state_directory(pids(process, "proxy", 2)[0]) == state
        master.terminate()
        eventually(lambda: not state.exists(), timeout=10.0, what="the state directory to be removed")


def test_ttin_and_ttou_change_the_proxies_only(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url)))
    control = pids(process, "control", 1)
    process.send_signal(signal.SIGTTIN)
    pids(process, "proxy", 3)
    process.send_signal(signal.SIGTTOU)
    pids(process, "proxy", 2)
    process.send_signal(signal.SIGTTOU)
    pids(process, "proxy", 1)
    assert pids(process, "control", 1) == control
    assert fetch(process.address).status == 200


def test_ttou_leaves_a_worker_that_serves(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url), workers=1))
    for count in (1, 2, 3):
        process.send_signal(signal.SIGTTOU)
        eventually(lambda: process.log().count("signal: ttou") == count, what="the signal to be handled")  # noqa: B023
    for _ in range(20):
        time.sleep(0.02)
        assert fetch(process.address).status == 200


def test_a_stop_right_after_the_start_is_heard_by_every_worker(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=3)
    assert process.stop(timeout=8.0) == 0


def test_term_lets_an_open_request_finish(lbg: StartLbg) -> None:
    with Backend(slow(1.0)) as backend:
        process = booted(lbg(one_pool(backend.url)))
        with RawClient(process.address) as client:
            client.send(GET)
            eventually(lambda: backend.open_connections, what="the request at the backend")
            process.send_signal(signal.SIGTERM)
            eventually(lambda: _refused(process.address), what="new connections to be refused")
            response = client.read_response()
            assert (response.status, response.body, response.get("connection")) == (200, b"ok", "close")
            assert client.closed_by_peer()
        assert _exit_code(process) == 0


def test_a_client_that_had_just_connected_is_served_after_term(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url), workers=1))
    with RawClient(process.address) as client, RawClient(process.address) as later:
        for _ in range(3):  # turns of the worker's loop, in which it accepts `later`, too
            assert client.request().status == 200
        process.send_signal(signal.SIGTERM)
        eventually(lambda: _refused(process.address), what="new connections to be refused")
        later.send(GET)
        assert later.read_response().body == b"ok"


def test_term_closes_idle_connections_at_once(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url)))
    with RawClient(process.address) as client:
        assert client.request().status == 200
        process.send_signal(signal.SIGTERM)
        assert client.closed_by_peer(timeout=5.0)
    assert _exit_code(process) == 0


def test_term_cuts_what_is_open_after_the_grace_period(lbg: StartLbg) -> None:
    with Backend(sse(events=1000, interval=0.05)) as backend:
        process = booted(lbg({"server": {"shutdown_grace": 0.5}, **one_pool(backend.url)}))
        with RawClient(process.address) as client:
            client.send(GET)
            eventually(lambda: backend.requests, what="the request at the backend")
            process.send_signal(signal.SIGTERM)
            response = client.read_response()
        assert (response.status, response.complete) == (200, False)
        assert _exit_code(process) == 0
        eventually(lambda: not backend.open_connections, what="the upstream connection to be closed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["INT", "QUIT"])
def test_int_and_quit_wait_for_nobody_long(lbg: StartLbg, number: int) -> None:
    with Backend(slow(60.0)) as backend:
        process = booted(lbg(one_pool(backend.url)))
        with RawClient(process.address) as client:
            client.send(GET)
            eventually(lambda: backend.open_connections, what="the request at the backend")
            process.stop(number, timeout=10.0)


def test_int_prints_what_all_workers_have_done(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = booted(lbg(one_pool(a.url, b.url)))
        for _ in range(60):
            fetch(process.address)
        assert process.stop(signal.SIGINT) == 0
        shares = {backend.url[7:]: len(backend.requests) for backend in (a, b)}
    log = process.log()
    assert "lbg answered 60 requests" in log
    for name, share in shares.items():
        assert f"main/{name}: {share} requests" in log
    assert sum(shares.values()) == 60


def test_the_summary_counts_what_killed_and_reloaded_workers_have_done(lbg: StartLbg) -> None:
    with Backend() as backend:
        process = booted(lbg(one_pool(backend.url)))
        for _ in range(20):
            fetch(process.address)
        (control,) = pids(process, "control", 1)
        os.kill(pids(process, "proxy", 2)[0], signal.SIGKILL)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: pids(process, "control", 1) != [control], timeout=10.0)
        for _ in range(20):
            fetch(process.address)
        pids(process, "proxy", 2)
        process.stop(signal.SIGINT)
    assert "lbg answered 40 requests" in process.log()


def test_b_on_the_command_line_keeps_the_admin_listener(lbg: StartLbg, backend: Backend) -> None:
    with addresses.bound_socket(("127.0.0.1", 0)) as reserved:
        other = addresses.local_address(reserved)
        process = lbg(one_pool(backend.url), args=["-b", addresses.authority(other)])
        assert fetch(other).body == b"ok"
        assert fetch(process.admin_address, "/health/live").status == 200
        assert fetch(other, "/health/live").body == b"ok"
        assert _refused(process.address)


def test_b_on_the_command_line_keeps_the_admin_listener_over_a_reload(
    lbg: StartLbg, backend: Backend
) -> None:
    with addresses.bound_socket(("127.0.0.1", 0)) as reserved:
        other = addresses.local_address(reserved)
        process = booted(lbg(one_pool(backend.url), args=["-b", addresses.authority(other)]))
        (control,) = pids(process, "control", 1)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: pids(process, "control", 1) != [control], timeout=10.0)
        assert fetch(other).body == b"ok"
        assert fetch(other, "/health/live").body == b"ok"


@pytest.mark.parametrize("workers", [2, 4])
def test_w_on_the_command_line_keeps_the_control_worker(
    lbg: StartLbg, backend: Backend, workers: int
) -> None:
    process = lbg(one_pool(backend.url), args=["-w", str(workers)])
    pids(process, "control", 1)
    pids(process, "proxy", workers - 1)
    assert fetch(process.address).status == 200


def test_a_reload_of_the_only_worker_loses_no_request(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), args=["-w", "1"])
    before = pids(process, "combined", 1)
    with Load(process.address, concurrency=4) as load:
        load.wait_for(20)
        process.send_signal(signal.SIGHUP)
        eventually(lambda: pids(process, "combined", 1) != before, timeout=10.0, what="another worker")
        load.wait_for(20)
    assert not load.failures


def test_workers_that_end_after_many_requests_lose_none(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url), args=["--max-requests", "100"]))
    before = pids(process, "proxy", 2)
    with Load(process.address, concurrency=4, keep_alive=False) as load:
        load.wait_for(600)
    assert not load.failures
    eventually(lambda: not set(before) & set(pids(process, "proxy", 2)), timeout=10.0)


def test_a_fresh_state_directory_is_private_and_removed_at_the_end(
    lbg: StartLbg, backend: Backend, fresh_state: dict[str, str]
) -> None:
    process = booted(lbg(one_pool(backend.url), env=fresh_state))
    state = _state_directory(pids(process, "control", 1)[0])
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert process.stop() == 0
    assert not state.exists()


def test_a_configured_state_directory_is_kept(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    state = tmp_path / "kept"
    process = booted(lbg(one_pool(backend.url), env={"LBG_STATE_DIR": str(state)}))
    assert _state_directory(pids(process, "control", 1)[0]) == state
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert process.stop() == 0
    assert (state / "cells").exists()


def test_counters_in_a_kept_state_directory_survive_a_restart(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    options = {"env": {"LBG_STATE_DIR": str(tmp_path / "kept")}}
    for requests in (5, 10):
        process = booted(lbg(one_pool(backend.url), **options))
        for _ in range(5):
            fetch(process.address)
        (endpoint,) = process.status()["pools"]["main"]["endpoints"]
        assert endpoint["requests"] == requests
        process.stop()


def test_workers_end_when_their_master_is_killed(lbg: StartLbg, backend: Backend) -> None:
    process = booted(lbg(one_pool(backend.url)))
    workers = [*pids(process, "proxy", 2), *pids(process, "control", 1)]
    os.kill(process.pid, signal.SIGKILL)

    def gone(pid: int) -> bool:
        try:
            return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    eventually(lambda: all(map(gone, workers)), timeout=10.0, what="the workers to end")
    assert _refused(process.address)
