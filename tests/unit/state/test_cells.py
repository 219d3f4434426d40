"""The shared cells: who writes where, what a sum holds, what is forgotten and when."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbg.state.cells import Cells
from lbg.state.layout import (
    ENDPOINT_SLOTS,
    POOL_SLOTS,
    WORKER_SLOTS,
    Field,
    Header,
    HealthField,
    PoolField,
    counters,
    health_row,
    pool_row,
    worker_row,
)


@pytest.fixture
def cells() -> Cells:
    """Cells with every worker slot in the sums."""
    made = Cells.private()
    made.view[Header.WORKERS] = WORKER_SLOTS
    return made


def count(cells: Cells, worker: int, endpoint: int, field: Field, amount: int = 1) -> None:
    cells.view[counters(worker, endpoint) + field] += amount


def count_pool(cells: Cells, worker: int, pool: int, field: PoolField, amount: int = 1) -> None:
    cells.view[pool_row(worker, pool) + field] += amount


def test_a_sum_is_over_all_workers_and_one_endpoint(cells: Cells) -> None:
    count(cells, 0, 3, Field.RESPONSES_2XX, 5)
    count(cells, WORKER_SLOTS - 1, 3, Field.RESPONSES_2XX, 2)
    count(cells, 1, 4, Field.RESPONSES_2XX, 100)
    count(cells, 1, 3, Field.FAILURES, 50)
    assert cells.total(3, Field.RESPONSES_2XX) == 7


def test_the_sum_of_a_pool_is_over_all_workers_and_one_pool(cells: Cells) -> None:
    count_pool(cells, 0, 3, PoolField.RETRIES, 5)
    count_pool(cells, WORKER_SLOTS - 1, 3, PoolField.RETRIES, 2)
    count_pool(cells, 1, 4, PoolField.RETRIES, 100)
    count_pool(cells, 1, 3, PoolField.QUEUED, 50)
    assert cells.pool_total(3, PoolField.RETRIES) == 7


def test_each_worker_is_asked_for_itself() -> None:
    cells = Cells.private()
    cells.register(2, 4711, 1, 1)
    for worker, since in ((0, 5), (2, 7), (3, 9)):
        count_pool(cells, worker, 3, PoolField.OLDEST, since)
    assert cells.pool_each(3, PoolField.OLDEST) == [5, 0, 7]


def test_a_sum_is_over_the_slots_that_were_ever_used() -> None:
    cells = Cells.private()
    cells.register(2, 4711, 1, 1)
    for worker in (2, 3):
        count(cells, worker, 0, Field.FAILURES)
    assert cells.total(0, Field.FAILURES) == 1
    cells.register(3, 4712, 1, 1)
    assert cells.total(0, Field.FAILURES) == 2


GAUGES = {Field.IN_FLIGHT, Field.AWAITING}
POOL_GAUGES = {PoolField.WAITING, PoolField.OLDEST}
NUMBER = st.integers(0, 2**40)
ENDPOINTS = st.sampled_from([0, 1, 2, ENDPOINT_SLOTS - 1])
POOLS = st.sampled_from([0, 1, POOL_SLOTS - 1])
WORKERS = st.integers(0, WORKER_SLOTS - 1)


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.tuples(WORKERS, ENDPOINTS, st.sampled_from(Field), NUMBER), max_size=20),
    st.lists(st.tuples(WORKERS, POOLS, st.sampled_from(PoolField), NUMBER), max_size=20),
)
def test_no_two_counters_share_a_cell(
    changes: list[tuple[int, int, Field, int]], pool_changes: list[tuple[int, int, PoolField, int]]
) -> None:
    cells = Cells.private()
    cells.view[Header.WORKERS] = WORKER_SLOTS
    expected: dict[tuple[int, Field], int] = {}
    for worker, endpoint, field, amount in changes:
        count(cells, worker, endpoint, field, amount)
        expected[endpoint, field] = expected.get((endpoint, field), 0) + amount
    of_pools: dict[tuple[int, PoolField], int] = {}
    for worker, pool, pool_field, amount in pool_changes:
        count_pool(cells, worker, pool, pool_field, amount)
        of_pools[pool, pool_field] = of_pools.get((pool, pool_field), 0) + amount
    assert {key: cells.total(*key) for key in expected} == expected
    assert {key: cells.pool_total(*key) for key in of_pools} == of_pools


def test_a_registered_worker_is_listed_until_it_is_forgotten() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 2, 7)
    cells.register(0, 4712, 0, 8)
    assert list(cells.workers()) == [(0, 4712, 0, 8), (1, 4711, 2, 7)]
    assert cells.role(1) == 2
    cells.forget(1, 4711)
    assert list(cells.workers()) == [(0, 4712, 0, 8)]


def test_workers_that_register_at_once_raise_their_number_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = Cells.private()
    locked: list[int] = []

    @contextmanager
    def lock(cell: int) -> Iterator[None]:
        before = cells.view[Header.WORKERS]
        yield
        locked.append(cell)
        assert cells.view[Header.WORKERS] == before + 1

    monkeypatch.setattr(cells, "locked", lock)
    cells.register(1, 4711, 1, 1)
    assert locked == [Header.WORKERS]


def test_a_worker_that_counts_elsewhere_is_listed_and_is_in_no_sum() -> None:
    cells = Cells.private()
    cells.enlist(WORKER_SLOTS - 1, 4711, 2, 7)
    assert list(cells.workers()) == [(WORKER_SLOTS - 1, 4711, 2, 7)]
    assert cells.view[Header.WORKERS] == 1
    cells.forget(WORKER_SLOTS - 1, 4711)
    assert list(cells.workers()) == []


def fill(cells: Cells, worker: int) -> None:
    """Count 5 of everything, for the first and the last endpoint and pool."""
    for endpoint in (0, ENDPOINT_SLOTS - 1):
        for field in Field:
            count(cells, worker, endpoint, field, 5)
    for pool in (0, POOL_SLOTS - 1):
        for pool_field in PoolField:
            count_pool(cells, worker, pool, pool_field, 5)


def test_a_dead_workers_gauges_leave_the_sum_and_its_counters_stay() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    fill(cells, 1)
    cells.forget(1, 4711)
    for endpoint in (0, ENDPOINT_SLOTS - 1):
        sums = {field: cells.total(endpoint, field) for field in Field}
        assert sums == {field: 0 if field in GAUGES else 5 for field in Field}
    for pool in (0, POOL_SLOTS - 1):
        pool_sums = {field: cells.pool_total(pool, field) for field in PoolField}
        assert pool_sums == {field: 0 if field in POOL_GAUGES else 5 for field in PoolField}


def test_forgetting_leaves_the_gauges_of_other_workers() -> None:
    cells = Cells.private()
    for worker in (0, 1, 2):
        cells.register(worker, 100 + worker, 1, 1)
        fill(cells, worker)
    cells.forget(1, 101)
    assert [cells.total(0, field) for field in GAUGES] == [10, 10]
    assert cells.pool_total(0, PoolField.WAITING) == 10


def test_a_successor_starts_with_gauges_at_zero() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    fill(cells, 1)
    cells.register(1, 4712, 1, 1)
    assert [cells.total(0, field) for field in GAUGES] == [0, 0]
    assert cells.pool_total(0, PoolField.WAITING) == 0
    assert cells.total(0, Field.FAILURES) == 5


def test_the_late_news_of_a_death_do_not_touch_the_successor() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    cells.register(1, 4712, 1, 1)
    count(cells, 1, 0, Field.IN_FLIGHT)
    cells.forget(1, 4711)
    assert list(cells.workers()) == [(1, 4712, 1, 1)]
    assert cells.total(0, Field.IN_FLIGHT) == 1


def test_a_worker_that_takes_the_slot_in_the_moment_of_forgetting_keeps_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    locked: list[int] = []
    unpatched = cells.locked

    @contextmanager
    def lock(cell: int) -> Iterator[None]:
        locked.append(cell)
        monkeypatch.setattr(cells, "locked", unpatched)
        cells.register(1, 4712, 1, 1)  # by the process that had the lock until now
        count(cells, 1, 0, Field.IN_FLIGHT)
        yield

    monkeypatch.setattr(cells, "locked", lock)
    cells.forget(1, 4711)
    assert locked == [worker_row(1)]
    assert list(cells.workers()) == [(1, 4712, 1, 1)]
    assert cells.total(0, Field.IN_FLIGHT) == 1


def test_an_endpoint_slot_that_changes_hands_begins_anew(cells: Cells) -> None:
    for field in HealthField:
        cells.view[health_row(5) + field] = 9
    cells.set_text(5, "connect refused")
    for worker in (0, WORKER_SLOTS - 1):
        for counter in Field:
            count(cells, worker, 5, counter, 3)
    cells.clear_endpoint(5)
    assert [cells.view[health_row(5) + field] for field in HealthField] == [0] * len(HealthField)
    assert cells.text(5) == ""
    assert [cells.total(5, field) for field in Field] == [6 if field in GAUGES else 0 for field in Field]


def test_a_pool_slot_that_changes_hands_begins_anew(cells: Cells) -> None:
    for worker in (0, WORKER_SLOTS - 1):
        for field in PoolField:
            count_pool(cells, worker, 5, field, 3)
    cells.clear_pool(5)
    kept = [6 if field in POOL_GAUGES else 0 for field in PoolField]
    assert [cells.pool_total(5, field) for field in PoolField] == kept


def test_gauges_of_a_slot_that_changes_hands_fall_as_old_workers_end_their_requests(cells: Cells) -> None:
    count(cells, 3, 5, Field.IN_FLIGHT)
    count_pool(cells, 3, 5, PoolField.WAITING)
    cells.clear_endpoint(5)
    cells.clear_pool(5)
    count(cells, 3, 5, Field.IN_FLIGHT, -1)
    count_pool(cells, 3, 5, PoolField.WAITING, -1)
    assert (cells.total(5, Field.IN_FLIGHT), cells.pool_total(5, PoolField.WAITING)) == (0, 0)


@pytest.mark.parametrize("neighbour", [4, 6])
def test_the_neighbours_of_a_slot_that_changes_hands_stay(cells: Cells, neighbour: int) -> None:
    fields = [*range(health_row(neighbour), health_row(neighbour) + len(HealthField))]
    fields += [*range(counters(0, neighbour), counters(0, neighbour) + len(Field))]
    fields += [*range(pool_row(0, neighbour), pool_row(0, neighbour) + len(PoolField))]
    for cell in fields:
        cells.view[cell] = 1
    cells.set_text(neighbour, "x" * 127)
    cells.clear_endpoint(5)
    cells.clear_pool(5)
    assert [cells.view[cell] for cell in fields] == [1] * len(fields)
    assert cells.text(neighbour) == "x" * 127


def test_a_change_is_seen_by_its_number() -> None:
    cells = Cells.private()
    before = cells.view[Header.EPOCH]
    cells.changed()
    assert cells.view[Header.EPOCH] == before + 1


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8"), max_size=31))
def test_a_short_text_is_read_as_it_was_written(cells: Cells, text: str) -> None:
    cells.set_text(3, text)
    assert cells.text(3) == text


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x" * 127, "x" * 127), ("x" * 128, "x" * 127), ("x" * 126 + "é", "x" * 126), ("é" * 90, "é" * 63)],
)
def test_a_long_text_is_cut_between_characters(text: str, kept: str) -> None:
    cells = Cells.private()
    cells.set_text(3, text)
    assert cells.text(3) == kept
    assert cells.text(4) == ""


def test_a_shorter_text_replaces_a_longer_one() -> None:
    cells = Cells.private()
    cells.set_text(3, "status 503, expected 200-399")
    cells.set_text(3, "ok")
    assert cells.text(3) == "ok"


def test_the_locks_of_private_cells_are_always_free() -> None:
    cells = Cells.private()
    assert cells.try_lock(9)
    with cells.locked(9):
        assert cells.try_lock(9)
    cells.unlock(9)
    cells.reserve(0)


def test_the_repr_names_the_live_workers() -> None:
    cells = Cells.private()
    cells.register(0, 4711, 0, 1)
    assert repr(cells) == "<Cells workers=[4711]>"
