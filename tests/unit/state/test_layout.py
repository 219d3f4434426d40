"""Which slot an endpoint or a pool has, and where its cells lie."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.state.layout import (
    AREA,
    AREAS,
    CELLS,
    ENDPOINT_SLOTS,
    FIELDS,
    HEALTH_FIELDS,
    POOL_FIELDS,
    POOL_SLOTS,
    REPORTS,
    TEXT_CELLS,
    WORKER_FIELDS,
    WORKER_SLOTS,
    Header,
    NoSlot,
    area,
    assign_slots,
    counters,
    health_row,
    identity,
    pool_row,
    reports,
    text_at,
    worker_row,
)

NAMES = st.lists(st.sampled_from([identity("p", f"10.0.0.{number}:80") for number in range(12)]), unique=True)
RELOADS = st.lists(NAMES, max_size=8)


def after(*reloads: list[str], limit: int = 100) -> dict[str, int]:
    """Return the slots after these reloads."""
    slots: dict[str, int] = {}
    for wanted in reloads:
        slots = assign_slots(slots, wanted, limit)
    return slots


def test_new_endpoints_get_the_lowest_free_slots() -> None:
    assert assign_slots({"p/b": 1}, ["p/a", "p/b", "p/c"], 10) == {"p/b": 1, "p/a": 0, "p/c": 2}


@settings(deadline=None)
@given(RELOADS)
def test_a_slot_never_changes_hands_while_there_are_others(reloads: list[list[str]]) -> None:
    slots: dict[str, int] = {}
    for wanted in reloads:
        before = slots
        slots = assign_slots(before, wanted, 12)
        assert before.items() <= slots.items()
        assert set(wanted) <= set(slots)


@settings(deadline=None)
@given(RELOADS, st.integers(1, 12))
def test_over_any_reloads_slots_are_below_the_limit_and_those_in_use_stay(
    reloads: list[list[str]], limit: int
) -> None:
    slots: dict[str, int] = {}
    in_use: set[str] = set()
    for wanted in reloads:
        if len(wanted) > limit:
            with pytest.raises(NoSlot):
                assign_slots(slots, wanted, limit)
            continue
        before, slots = slots, assign_slots(slots, wanted, limit)
        assert set(wanted) <= set(slots)
        assert all(0 <= slot < limit for slot in slots.values())
        assert len(set(slots.values())) == len(slots)
        assert all(slots[name] == before[name] for name in in_use & set(wanted))
        in_use = set(wanted)


def test_an_endpoint_that_returns_finds_its_slot_again() -> None:
    first = after(["p/a", "p/b"])
    assert after(["p/a", "p/b"], ["p/c"], ["p/b", "p/a"])["p/a"] == first["p/a"]


def test_the_one_that_is_gone_for_longest_loses_its_slot() -> None:
    before = after(["p/a", "p/b", "p/c"], ["p/a", "p/c"], ["p/c"], limit=3)
    slots = assign_slots(before, ["p/c", "p/new"], 3)
    assert slots == {"p/a": before["p/a"], "p/c": before["p/c"], "p/new": before["p/b"]}


def test_one_that_was_back_for_a_while_is_not_the_one_gone_for_longest() -> None:
    before = after(["p/a", "p/b"], [], ["p/a"], [], limit=2)
    assert "p/a" in assign_slots(before, ["p/new"], 2)


def test_what_was_handed_in_is_not_changed() -> None:
    previous = {"p/a": 0}
    assign_slots(previous, ["p/b"], 1)
    assert previous == {"p/a": 0}


def test_a_name_given_twice_has_one_slot() -> None:
    assert assign_slots({}, ["p/a", "p/a"], 1) == {"p/a": 0}


def test_more_than_there_can_be_is_said() -> None:
    with pytest.raises(NoSlot, match="3 are configured and 2 is the most"):
        assign_slots({}, ["p/a", "p/b", "p/c"], 2)


def test_an_address_in_two_pools_is_two_endpoints() -> None:
    assert identity("a", "h:80") != identity("b", "h:80")


ROWS: list[tuple[Callable[[int], int], int, int]] = [
    (worker_row, WORKER_SLOTS, WORKER_FIELDS),
    (health_row, ENDPOINT_SLOTS, HEALTH_FIELDS),
    (text_at, ENDPOINT_SLOTS, TEXT_CELLS),
]
AREA_ROWS: list[tuple[Callable[[int, int], int], int, int]] = [
    (counters, ENDPOINT_SLOTS, FIELDS),
    (pool_row, POOL_SLOTS, POOL_FIELDS),
    (lambda worker, report: reports(worker) + 2 * report, REPORTS, 2),
]


def test_no_rows_overlap_and_all_are_in_the_file() -> None:
    cells = [*Header]
    for start, count, size in ROWS:
        for row in range(count):
            cells += range(start(row), start(row) + size)
    assert len(set(cells)) == len(cells)
    assert max(cells) < AREAS


@pytest.mark.parametrize("worker", [0, 1, WORKER_SLOTS - 1])
def test_a_worker_writes_within_its_area(worker: int) -> None:
    cells: list[int] = []
    for start, count, size in AREA_ROWS:
        for row in range(count):
            cells += range(start(worker, row), start(worker, row) + size)
    assert len(set(cells)) == len(cells)
    assert min(cells) == area(worker)
    assert max(cells) < area(worker) + AREA <= CELLS
    assert area(worker) * 8 % 4096 == 0
