"""Which slot an endpoint has, and where its cells lie."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.state.layout import (
    ENDPOINT_SLOTS,
    FIELDS,
    HEADER,
    WORKER_FIELDS,
    WORKER_SLOTS,
    NoSlot,
    assign_slots,
    counters,
    identity,
    worker_row,
)

NAMES = st.lists(st.sampled_from([identity("p", f"10.0.0.{number}:80") for number in range(30)]), unique=True)


def test_new_endpoints_get_the_lowest_free_slots() -> None:
    assert assign_slots({"p/b": 1}, ["p/a", "p/b", "p/c"]) == {"p/b": 1, "p/a": 0, "p/c": 2}


@settings(deadline=None)
@given(st.lists(NAMES, max_size=6))
def test_a_slot_never_changes_hands_over_any_reloads(reloads: list[list[str]]) -> None:
    slots: dict[str, int] = {}
    for wanted in reloads:
        before = slots
        slots = assign_slots(before, wanted)
        assert before.items() <= slots.items()
        assert set(wanted) <= set(slots)
        assert len(set(slots.values())) == len(slots)
        assert all(0 <= slot < ENDPOINT_SLOTS for slot in slots.values())


def test_an_endpoint_that_returns_finds_its_slot_again() -> None:
    first = assign_slots({}, ["p/a", "p/b"])
    second = assign_slots(first, ["p/c"])
    assert assign_slots(second, ["p/b", "p/a"])["p/a"] == first["p/a"]


def test_what_was_handed_in_is_not_changed() -> None:
    previous = {"p/a": 0}
    assign_slots(previous, ["p/b"])
    assert previous == {"p/a": 0}


def test_a_full_table_is_said_and_known_endpoints_still_fit() -> None:
    full = assign_slots({}, (f"p/{number}" for number in range(ENDPOINT_SLOTS)))
    assert assign_slots(full, ["p/7"]) == full
    with pytest.raises(NoSlot, match=f"more than {ENDPOINT_SLOTS} endpoints"):
        assign_slots(full, ["p/new"])


def test_an_address_in_two_pools_is_two_endpoints() -> None:
    assert identity("a", "h:80") != identity("b", "h:80")


def test_no_rows_overlap() -> None:
    rows = [*range(HEADER)]
    for worker in range(WORKER_SLOTS):
        rows += range(worker_row(worker), worker_row(worker) + WORKER_FIELDS)
    assert rows == list(range(counters(0, 0)))
    assert counters(0, 1) - counters(0, 0) == FIELDS
    assert counters(1, 0) - counters(0, ENDPOINT_SLOTS - 1) == FIELDS
