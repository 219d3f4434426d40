"""Cells that real processes share: nothing is lost, and what they decide together is exact."""

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbg.state import cell_locks
from lbg.state.cells import Cells
from lbg.state.layout import Field, Header, counters, health_row
from tests.unit.state.processes import kill, resting_after, run_together

PROCESSES = 4


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Give a directory with a new cell file."""
    Cells.create(tmp_path)
    return tmp_path


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a lock as long as it takes on a busy machine."""
    monkeypatch.setattr(cell_locks, "_PATIENCE", 30.0)


def linger(cells: Cells) -> None:
    """Do what takes long enough for others to come between."""
    for endpoint in range(50):
        cells.total(endpoint, Field.IN_FLIGHT)


Counts = st.dictionaries(
    st.tuples(st.sampled_from([0, 1, 2047]), st.sampled_from(Field)), st.integers(1, 3000), max_size=6
)


@settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(Counts, min_size=2, max_size=PROCESSES))
def test_no_count_is_lost_while_all_count_at_once(
    state: Path, plan: list[dict[tuple[int, Field], int]]
) -> None:
    Cells.create(state)

    def work(worker: int) -> None:
        cells = Cells.open(state)
        cells.register(worker, os.getpid(), 1, 1)
        for (endpoint, field), times in plan[worker].items():
            cell = counters(worker, endpoint) + field
            for _ in range(times):
                cells.view[cell] += 1

    run_together(*(partial(work, worker) for worker in range(len(plan))))
    cells = Cells.open(state)
    assert [slot for slot, _, _, _ in cells.workers()] == list(range(len(plan)))
    for key in {key for counts in plan for key in counts}:
        assert cells.total(*key) == sum(counts.get(key, 0) for counts in plan)


@pytest.mark.parametrize("limit", [1, 3])
@pytest.mark.usefixtures("patience")
def test_a_limit_that_is_checked_under_the_lock_is_never_passed(state: Path, limit: int) -> None:
    lock = health_row(0)
    for worker in range(PROCESSES):
        Cells.open(state).register(worker, 100 + worker, 1, 1)

    def work(worker: int) -> None:
        cells = Cells.open(state)
        own = counters(worker, 0)
        for _ in range(1000):
            with cells.locked(lock):
                if cells.total(0, Field.IN_FLIGHT) >= limit:
                    continue
                linger(cells)
                cells.view[own + Field.IN_FLIGHT] += 1
                peak = counters(worker, 1)
                cells.view[peak] = max(cells.view[peak], cells.total(0, Field.IN_FLIGHT))
            cells.view[own + Field.RESPONSES_2XX] += 1
            cells.view[own + Field.IN_FLIGHT] -= 1

    run_together(*(partial(work, worker) for worker in range(PROCESSES)))
    cells = Cells.open(state)
    assert max(cells.view[counters(worker, 1)] for worker in range(PROCESSES)) <= limit
    assert cells.total(0, Field.IN_FLIGHT) == 0
    assert cells.total(0, Field.RESPONSES_2XX) > 0


@pytest.mark.usefixtures("patience")
def test_a_number_of_permits_is_given_out_exactly(state: Path) -> None:
    cell = int(Header.EPOCH)

    def work() -> None:
        cells = Cells.open(state)
        for _ in range(1000):
            with cells.locked(cell):
                if cells.view[cell] < 2500:
                    linger(cells)
                    cells.view[cell] += 1

    run_together(*[work] * PROCESSES)
    assert Cells.open(state).view[cell] == 2500


def test_a_lock_is_of_one_process_and_of_one_cell(state: Path) -> None:
    cells = Cells.open(state)

    def take() -> None:
        assert Cells.open(state).try_lock(7)

    with resting_after(take):
        assert not cells.try_lock(7)
        assert cells.try_lock(6)
        assert cells.try_lock(8)


def test_a_lock_that_was_given_back_is_free(state: Path) -> None:
    cells = Cells.open(state)

    def take_and_give_back() -> None:
        mine = Cells.open(state)
        with mine.locked(7):
            pass
        assert mine.try_lock(8)
        mine.unlock(8)

    with resting_after(take_and_give_back):
        assert cells.try_lock(7)
        assert cells.try_lock(8)


def test_a_lock_dies_with_its_holder(state: Path) -> None:
    cells = Cells.open(state)

    def take() -> None:
        Cells.open(state).try_lock(7)

    with resting_after(take) as pid:
        assert not cells.try_lock(7)
        kill(pid)
        assert cells.try_lock(7)


def test_one_that_was_stopped_with_the_lock_stops_nobody_else(state: Path) -> None:
    cells = Cells.open(state)

    def take() -> None:
        Cells.open(state).try_lock(7)

    with resting_after(take) as pid:
        os.kill(pid, signal.SIGSTOP)
        begun = time.monotonic()
        for _ in range(100):
            with cells.locked(7):
                pass
        assert time.monotonic() - begun < 2.0
        kill(pid)
        assert cells.try_lock(7)


DEAD_PID = 2**22 + 1  # above the greatest pid that Linux gives


def test_dead_workers_are_forgotten_with_their_gauges_and_live_ones_are_not(state: Path) -> None:
    cells = Cells.open(state)

    def rest() -> None:
        Cells.open(state)

    with resting_after(rest) as living, resting_after(rest) as dying:
        for slot, pid in enumerate([DEAD_PID, living, dying, os.getpid(), 2**63]):
            cells.register(slot, pid, 1, 0)
            cells.view[counters(slot, 0) + Field.IN_FLIGHT] = 1
        assert cells.forget_dead() == [1, 2, 3]
        kill(dying)
        assert cells.forget_dead() == [1, 3]
        assert cells.total(0, Field.IN_FLIGHT) == 2


def test_those_known_to_live_are_not_asked_for(state: Path) -> None:
    cells = Cells.open(state)
    cells.register(0, DEAD_PID, 1, 0)
    assert cells.forget_dead({DEAD_PID}) == [0]


def test_a_process_with_the_number_of_a_dead_worker_is_no_worker(state: Path) -> None:
    cells = Cells.open(state)
    assert not cells.is_worker(os.getppid())  # it has not mapped the cells
    assert cells.is_worker(os.getpid())


def test_a_process_that_ended_and_was_not_reaped_is_no_worker(state: Path) -> None:
    cells = Cells.open(state)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not cells.is_worker(child)
    os.waitpid(child, 0)


def test_where_the_system_does_not_tell_what_a_process_has_mapped_it_is_believed(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(*_: object) -> None:
        raise PermissionError

    cells = Cells.open(state)
    monkeypatch.setattr(Path, "open", hidden)
    assert cells.is_worker(os.getppid())
    assert not cells.is_worker(DEAD_PID)
    assert not cells.is_worker(2**63)


def test_private_cells_are_nobody_elses(state: Path) -> None:
    cells = Cells.private()

    def work() -> None:
        cells.view[counters(0, 0)] += 1
        assert cells.view[counters(0, 0)] == 1

    run_together(work, work)
    assert cells.view[counters(0, 0)] == 0


@pytest.mark.parametrize("change", ["deleted", "replaced"])
def test_a_worker_shares_what_its_master_had_mapped_whatever_became_of_the_file(
    state: Path, change: str
) -> None:
    cells = Cells.open(state)
    (state / "cells").rename(state / "elsewhere")
    if change == "replaced":
        (state / "cells").write_text("rubbish")

    def work() -> None:
        Cells.open(state).view[counters(0, 0)] = 3

    run_together(work)
    assert cells.view[counters(0, 0)] == 3
