"""The shared cells: who writes where, what a sum holds, which files are refused."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.state.cells import FILE, SIZE, Cells
from lbg.state.layout import ENDPOINT_SLOTS, FIELDS, WORKER_SLOTS, Field, counters


def count(cells: Cells, worker: int, endpoint: int, field: Field, amount: int = 1) -> None:
    cells.view[counters(worker, endpoint) + field] += amount


def test_a_new_file_counts_nothing(tmp_path: Path) -> None:
    cells = Cells.open(tmp_path, create=True)
    assert [cells.total(endpoint, field) for endpoint in (0, ENDPOINT_SLOTS - 1) for field in Field] == [
        0
    ] * 2 * FIELDS
    assert list(cells.workers()) == []


def test_a_sum_is_over_all_workers_and_one_endpoint() -> None:
    cells = Cells.private()
    count(cells, 0, 3, Field.REQUESTS, 5)
    count(cells, WORKER_SLOTS - 1, 3, Field.REQUESTS, 2)
    count(cells, 1, 4, Field.REQUESTS, 100)
    count(cells, 1, 3, Field.FAILURES, 50)
    assert cells.total(3, Field.REQUESTS) == 7


CELL = st.tuples(
    st.integers(0, WORKER_SLOTS - 1), st.sampled_from([0, 1, 2, ENDPOINT_SLOTS - 1]), st.sampled_from(Field)
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(CELL, st.integers(0, 2**40)), max_size=20))
def test_no_two_counters_share_a_cell(changes: list[tuple[tuple[int, int, Field], int]]) -> None:
    cells = Cells.private()
    expected: dict[tuple[int, Field], int] = {}
    for (worker, endpoint, field), amount in changes:
        count(cells, worker, endpoint, field, amount)
        expected[endpoint, field] = expected.get((endpoint, field), 0) + amount
    assert {key: cells.total(*key) for key in expected} == expected


def test_processes_that_map_the_file_see_each_others_counts(tmp_path: Path) -> None:
    writer = Cells.open(tmp_path, create=True)
    reader = Cells.open(tmp_path)
    count(writer, 2, 9, Field.IN_FLIGHT, 4)
    assert reader.total(9, Field.IN_FLIGHT) == 4


def test_counts_outlive_a_master_that_keeps_its_directory(tmp_path: Path) -> None:
    count(Cells.open(tmp_path, create=True), 0, 0, Field.REQUESTS, 3)
    assert Cells.open(tmp_path, create=True).total(0, Field.REQUESTS) == 3


def test_private_cells_are_nobody_elses() -> None:
    ours, theirs = Cells.private(), Cells.private()
    count(ours, 0, 0, Field.REQUESTS)
    assert theirs.total(0, Field.REQUESTS) == 0


def test_a_registered_worker_is_listed_until_it_is_forgotten() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 2, 7)
    cells.register(0, 4712, 0, 7)
    assert list(cells.workers()) == [(0, 4712, 0, 7), (1, 4711, 2, 7)]
    cells.forget(1, 4711)
    assert list(cells.workers()) == [(0, 4712, 0, 7)]


def test_a_dead_workers_gauges_leave_the_sum_and_its_counters_stay() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    for field in Field:
        count(cells, 1, 0, field, 5)
        count(cells, 1, ENDPOINT_SLOTS - 1, field, 5)
    cells.forget(1, 4711)
    for endpoint in (0, ENDPOINT_SLOTS - 1):
        assert {field: cells.total(endpoint, field) for field in Field} == {
            Field.REQUESTS: 5,
            Field.FAILURES: 5,
            Field.CONNECT_FAILURES: 5,
            Field.IN_FLIGHT: 0,
        }


def test_forgetting_leaves_the_gauges_of_other_workers() -> None:
    cells = Cells.private()
    for worker in (0, 1, 2):
        cells.register(worker, 100 + worker, 1, 1)
        count(cells, worker, 5, Field.IN_FLIGHT)
    cells.forget(1, 101)
    assert cells.total(5, Field.IN_FLIGHT) == 2


def test_a_successor_starts_with_gauges_at_zero() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    count(cells, 1, 0, Field.IN_FLIGHT, 3)
    cells.register(1, 4712, 1, 1)
    assert cells.total(0, Field.IN_FLIGHT) == 0


def test_the_late_news_of_a_death_do_not_touch_the_successor() -> None:
    cells = Cells.private()
    cells.register(1, 4711, 1, 1)
    cells.register(1, 4712, 1, 1)
    count(cells, 1, 0, Field.IN_FLIGHT)
    cells.forget(1, 4711)
    assert list(cells.workers()) == [(1, 4712, 1, 1)]
    assert cells.total(0, Field.IN_FLIGHT) == 1


def test_a_directory_without_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a cell file"):
        Cells.open(tmp_path)


@pytest.mark.parametrize(
    "damage",
    [b"", b"short", b"\0" * 64, struct.pack("=4Q", 1, 2, 3, 4)],
    ids=["empty", "short", "zeros", "other"],
)
def test_a_file_that_holds_no_cells_is_refused_and_made_anew(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    with pytest.raises(ValueError, match="not a cell file"):
        Cells.open(tmp_path)
    assert Cells.open(tmp_path, create=True).total(0, Field.REQUESTS) == 0
    assert (tmp_path / FILE).stat().st_size == SIZE


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    Cells.open(tmp_path, create=True)
    with (tmp_path / FILE).open("r+b") as file:
        file.truncate(SIZE - 8)
    with pytest.raises(ValueError, match="not a cell file"):
        Cells.open(tmp_path)


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    Cells.open(tmp_path, create=True).view[1] += 1
    with pytest.raises(ValueError, match="of this version"):
        Cells.open(tmp_path)


def test_the_repr_names_the_live_workers() -> None:
    cells = Cells.private()
    cells.register(0, 4711, 0, 1)
    assert repr(cells) == "<Cells workers=[4711]>"
