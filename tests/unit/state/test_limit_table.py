"""The names of the limits and their counters."""

import pytest

from lbg.state.bucket_layout import LIMITS, Count, Kind, counts
from lbg.state.bucket_memory import BucketMemory
from lbg.state.limit_table import OTHERS, LimitTable, half, limit_digest
from tests.unit.state.limits import MINUTE, START


@pytest.fixture
def memory() -> BucketMemory:
    memory = BucketMemory.private()
    memory.reserve(3)
    return memory


@pytest.fixture
def table(memory: BucketMemory) -> LimitTable:
    return LimitTable(memory)


def names(table: LimitTable) -> list[tuple[str, Kind]]:
    return [(limit.name, limit.kind) for limit in table.limits()]


def test_a_limit_keeps_its_slot(table: LimitTable) -> None:
    slots = [table.slot(name, Kind.RATE, START) for name in ("a", "b", "a")]
    assert slots[0] == slots[2] != slots[1]
    assert names(table) == [("a", Kind.RATE), ("b", Kind.RATE)]


def test_limits_of_different_kinds_have_different_slots(table: LimitTable) -> None:
    assert table.slot("a", Kind.RATE, START) != table.slot("a", Kind.CONCURRENCY, START)
    assert names(table) == [("a", Kind.RATE), ("a", Kind.CONCURRENCY)]


def test_a_name_that_is_too_long_is_cut_and_yet_its_own(table: LimitTable) -> None:
    first, second = ("x" * 500 + end for end in "ab")
    assert table.slot(first, Kind.RATE, START) != table.slot(second, Kind.RATE, START)
    assert names(table) == [("x" * 95, Kind.RATE)] * 2


def test_counts_of_all_workers_are_added_up(memory: BucketMemory, table: LimitTable) -> None:
    table.slot("a", Kind.RATE, START)
    slot = table.slot("b", Kind.RATE, START)
    for worker in range(4):
        memory.view[counts(worker, slot) + Count.REJECTED] = 10 + worker
    by_name = {limit.name: limit.counts for limit in table.limits()}
    assert by_name["b"][Count.REJECTED] == 46
    assert by_name["a"][Count.REJECTED] == 0


def test_a_limit_can_be_found_by_half_of_its_digest(table: LimitTable) -> None:
    digest = limit_digest("a", Kind.RATE)
    assert (table.name(half(digest)), table.digest(half(digest))) == (OTHERS, b"")
    table.slot("a", Kind.RATE, START)
    assert (table.name(half(digest)), table.digest(half(digest))) == ("a", digest)


def test_a_full_table_gives_the_place_of_the_limit_that_was_not_applied_for_longest(
    memory: BucketMemory, table: LimitTable
) -> None:
    for number in range(1, LIMITS):
        assert table.slot(f"{number}", Kind.RATE, START + number) == number
    memory.view[counts(2, 5) + Count.PASSED] = 7
    for number in range(1, 5):
        table.slot(f"{number}", Kind.RATE, START + MINUTE)
    later = START + 2 * MINUTE
    assert table.slot("new", Kind.CONCURRENCY, later) == 5
    assert names(table)[4] == ("new", Kind.CONCURRENCY)
    assert memory.view[counts(2, 5) + Count.PASSED] == 0
    assert table.slot("5", Kind.RATE, later) == 6


def test_what_one_configuration_has_too_much_shares_a_slot(table: LimitTable) -> None:
    for number in range(1, LIMITS):
        table.slot(f"{number}", Kind.RATE, START)
    assert [table.slot(f"more {number}", Kind.RATE, START + 1) for number in range(3)] == [0, 0, 0]
    assert names(table)[0] == (OTHERS, Kind.RATE)
    assert names(table)[1] == ("1", Kind.RATE)
    assert table.slot("1", Kind.RATE, START + 1) == 1
