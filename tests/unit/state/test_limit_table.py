"""The names of the limits and their counters."""

import pytest

from lbg.state.bucket_layout import LIMITS, Count, Kind, counts
from lbg.state.bucket_memory import BucketMemory
from lbg.state.limit_table import OTHERS, LimitTable
from tests.unit.state.limits import MINUTE, START


@pytest.fixture
def memory() -> BucketMemory:
    memory = BucketMemory.private()
    memory.reserve(3)
    return memory


@pytest.fixture
def table(memory: BucketMemory) -> LimitTable:
    return LimitTable(memory)


def known(table: LimitTable, *names: str, kind: Kind = Kind.RATE) -> list[str]:
    """Return the names of what the table has of these limits."""
    return [limit.name for limit in table.limits((name, kind) for name in names)]


def test_a_limit_keeps_its_slot(table: LimitTable) -> None:
    slots = [table.slot(name, Kind.RATE, START) for name in ("a", "b", "a")]
    assert slots[0] == slots[2] != slots[1]
    assert known(table, "b", "a") == ["b", "a"]


def test_limits_of_different_kinds_have_different_slots(table: LimitTable) -> None:
    assert table.slot("a", Kind.RATE, START) != table.slot("a", Kind.CONCURRENCY, START)
    limits = table.limits([("a", Kind.CONCURRENCY), ("a", Kind.RATE)])
    assert [(limit.name, limit.kind) for limit in limits] == [("a", Kind.CONCURRENCY), ("a", Kind.RATE)]


def test_a_long_name_is_one_of_its_own(table: LimitTable) -> None:
    first, second = ("x" * 500 + end for end in "ab")
    assert table.slot(first, Kind.RATE, START) != table.slot(second, Kind.RATE, START)
    assert known(table, first, second) == [first, second]


def test_only_limits_that_are_asked_for_and_applied_are_told(table: LimitTable) -> None:
    for name in ("earlier", "a"):
        table.slot(name, Kind.RATE, START)
    assert known(table, "a", "not yet") == ["a"]


def test_counts_of_all_workers_are_added_up(memory: BucketMemory, table: LimitTable) -> None:
    table.slot("a", Kind.RATE, START)
    slot = table.slot("b", Kind.RATE, START)
    for worker in range(4):
        memory.view[counts(worker, slot) + Count.REJECTED] = 10 + worker
    limits = table.limits([("a", Kind.RATE), ("b", Kind.RATE)])
    assert [limit.counts[Count.REJECTED] for limit in limits] == [0, 46]


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
    assert known(table, "new", kind=Kind.CONCURRENCY) == ["new"]
    assert known(table, "5") == []
    assert memory.view[counts(2, 5) + Count.PASSED] == 0
    assert table.slot("5", Kind.RATE, later) == 6


def test_what_one_configuration_has_too_much_shares_a_slot(table: LimitTable) -> None:
    for number in range(1, LIMITS):
        table.slot(f"{number}", Kind.RATE, START)
    assert [table.slot(f"more {number}", Kind.RATE, START + 1) for number in range(3)] == [0, 0, 0]
    assert known(table, "more 0", "1", "more 1") == ["1", OTHERS]
    assert known(table, "1") == ["1"]
    assert table.slot("1", Kind.RATE, START + 1) == 1
