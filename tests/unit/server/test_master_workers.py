"""The master: what it gives its workers, and what becomes of the state when they and it end."""

import errno
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lbg.server.master import Master
from lbg.server.roles import Role
from lbg.state.layout import WORKER_SLOTS, Field, counters
from tests.unit.server.arbiters import arbiter, opened
from tests.unit.state.processes import resting_after


@pytest.fixture
def master(master: Master) -> Master:
    return opened(master)


def test_a_worker_gets_role_slot_listeners_and_settings(master: Master) -> None:
    sockets = [SimpleNamespace(getsockname=lambda port=port: ("127.0.0.1", port)) for port in (8080, 9090)]
    running = arbiter("127.0.0.1:8080", "127.0.0.1:9090", LISTENERS=sockets)
    worker = SimpleNamespace(keeps_to_its_role=True)
    master.pre_fork(running, worker)
    assert (worker.role, worker.slot, worker.generation) == (Role.CONTROL, 0, 0)
    assert worker.listener_names == ["public", "admin"]
    assert worker.settings == master.config.server


def test_slots_of_live_workers_of_another_master_are_not_given_again(master: Master) -> None:
    with resting_after(lambda: None) as pid:
        master.state.cells.register(0, pid, 0, 0)
        worker = SimpleNamespace(keeps_to_its_role=True)
        master.pre_fork(arbiter(), worker)
    assert worker.slot == 1


def test_slots_of_our_own_workers_are_not_given_again(master: Master) -> None:
    sibling = SimpleNamespace(role=Role.CONTROL, slot=0, generation=0)
    master.state.cells.register(0, 4711, 0, 0)
    worker = SimpleNamespace(keeps_to_its_role=True)
    master.pre_fork(arbiter(workers={4711: sibling}), worker)
    assert worker.slot == 1
    assert len(list(master.state.cells.workers())) == 1


def test_workers_for_which_there_is_no_room_leave_the_first_slots_to_others(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    workers = {pid: SimpleNamespace(keeps_to_its_role=True) for pid in (4711, 4712, 4713)}
    alone, another, sharing = workers.values()
    with monkeypatch.context() as patched:
        patched.setattr(master.state.cells, "reserve", full)
        master.pre_fork(arbiter(), alone)
        master.pre_fork(arbiter(workers={4711: alone}), another)
    master.pre_fork(arbiter(workers={4711: alone, 4712: another}), sharing)
    assert [worker.slot for worker in workers.values()] == [WORKER_SLOTS - 1, WORKER_SLOTS - 2, 0]
    assert [worker.role for worker in workers.values()] == [Role.CONTROL, Role.PROXY, Role.PROXY]


def test_a_worker_registers_and_its_death_takes_its_gauges_away(master: Master, state: Path) -> None:
    worker = SimpleNamespace(slot=2, role=Role.PROXY, pid=os.getpid())
    running = arbiter()
    master.post_fork(running, worker)
    assert worker.early_signals is running.SIG_QUEUE
    assert (os.environ["LBG_STATE_DIR"], os.environ["LBG_WORKER_SLOT"]) == (str(state), "2")
    cells = master.state.cells
    assert list(cells.workers()) == [(2, os.getpid(), 1, 0)]
    cells.view[counters(2, 0) + Field.IN_FLIGHT] = 5
    master.child_exit(running, worker)
    assert (list(cells.workers()), cells.total(0, Field.IN_FLIGHT)) == ([], 0)


def test_a_reload_begins_a_generation_of_workers(master: Master) -> None:
    master.on_reload(arbiter())
    assert master.generation == 1


def test_the_end_prints_the_summary_and_keeps_a_configured_directory(
    master: Master, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master.on_exit(arbiter())
    assert capsys.readouterr().err.startswith("lbg answered 0 requests")
    assert state.exists()


def test_an_upgrade_takes_the_state_directory_along(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = arbiter()
    master.pre_exec(running)
    monkeypatch.setattr(os, "environ", {**os.environ, **running.cfg.env_orig})
    successor = Master()
    successor.load()
    assert opened(successor).state.path == state
    assert successor.state.published.snapshot.generation == 2


def test_the_summary_is_of_this_master_only(
    master: Master, state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    master.state.cells.register(0, 4711, 1, 0)
    cell = counters(0, 0) + Field.RESPONSES_2XX
    master.state.cells.view[cell] = 5
    master.state.leave()
    successor = Master()
    successor.load()
    opened(successor).state.cells.view[cell] += 2
    successor.on_exit(arbiter())
    assert capsys.readouterr().err.startswith("lbg answered 2 requests")


def test_the_end_leaves_the_state_directory(master: Master, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[bool] = []
    monkeypatch.setattr(master.state, "leave", lambda: left.append(True))
    master.on_exit(arbiter())
    assert left == [True]


def test_an_end_without_anybody_at_the_terminal_is_no_error(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", Gone())
    master.on_exit(arbiter())
