"""The master: what it gives its workers, and what becomes of the state when they and it end."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from lbg.server.master import Master
from lbg.server.roles import Role
from lbg.state import directory
from lbg.state.cells import Cells
from lbg.state.layout import Field, counters
from tests.unit.server.arbiters import arbiter

DEAD_PID = 2**22 + 1  # above the greatest pid that Linux gives


def test_a_worker_gets_role_slot_listeners_and_settings(master: Master) -> None:
    sockets = [SimpleNamespace(getsockname=lambda port=port: ("127.0.0.1", port)) for port in (8080, 9090)]
    running = arbiter("127.0.0.1:8080", "127.0.0.1:9090", LISTENERS=sockets)
    worker = SimpleNamespace()
    master.pre_fork(running, worker)
    assert (worker.role, worker.slot, worker.generation) == (Role.CONTROL, 0, 0)
    assert worker.listener_names == ["public", "admin"]
    assert worker.settings == master.config.server


def test_slots_of_live_workers_of_another_master_are_not_given_again(master: Master, state: Path) -> None:
    cells = Cells.open(state)
    cells.register(0, os.getpid(), 0, 0)
    cells.register(1, DEAD_PID, 1, 0)
    worker = SimpleNamespace()
    master.pre_fork(arbiter(), worker)
    assert worker.slot == 1


def test_a_worker_registers_and_its_death_takes_its_gauges_away(master: Master, state: Path) -> None:
    worker = SimpleNamespace(slot=2, role=Role.PROXY, pid=os.getpid())
    master.post_fork(arbiter(), worker)
    assert (os.environ["LBG_STATE_DIR"], os.environ["LBG_WORKER_SLOT"]) == (str(state), "2")
    cells = Cells.open(state)
    assert list(cells.workers()) == [(2, os.getpid(), 1, 0)]
    cells.view[counters(2, 0) + Field.IN_FLIGHT] = 5
    master.child_exit(arbiter(), worker)
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


@pytest.fixture
def fresh(state: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Master, Path]]:
    """Give a master with a state directory of its own, and that."""
    monkeypatch.delenv("LBG_STATE_DIR")
    made = Master()
    made.load()
    running = arbiter()
    made.pre_exec(running)
    path = Path(running.cfg.env_orig["LBG_STATE_DIR"])
    yield made, path
    directory.remove(path)


def test_the_end_removes_a_fresh_directory(fresh: tuple[Master, Path]) -> None:
    made, path = fresh
    assert path.exists()
    made.on_exit(arbiter())
    assert not path.exists()


def test_a_directory_the_other_master_of_an_upgrade_uses_stays(fresh: tuple[Master, Path]) -> None:
    made, path = fresh
    made.on_exit(arbiter(reexec_pid=4711))
    assert path.exists()
    made.on_exit(arbiter(master_pid=os.getppid()))
    assert path.exists()


def test_an_end_without_anybody_at_the_terminal_is_no_error(
    master: Master, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(sys, "stderr", Gone())
    master.on_exit(arbiter())
