"""Counts of the last minute in one number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.state.last_minute import BITS, MINUTE, MOST, PART, PARTS, count, total

SECOND = 1_000_000_000
START = 777 * SECOND


def after(*times: float) -> int:
    """Return how many there were in the last minute, at the last of these times in seconds."""
    counts = began = 0
    for time in times:
        counts, began = count(counts, began, START + round(time * SECOND))
    return total(counts)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ((0,), 1),
        ((0, 0, 0), 3),
        ((0, 59.9), 2),
        ((0, 60), 1),
        ((0, 30, 59.9), 3),
        ((0, 50, 70, 80), 3),
        ((0, 1, 2, 3, 61), 1),
        ((0, 600), 1),
        ((4.9, 56), 2),
    ],
)
def test_events_of_the_last_minute_are_counted(times: tuple[float, ...], expected: int) -> None:
    assert after(*times) == expected


def test_a_clock_that_was_read_a_moment_earlier_counts_as_well() -> None:
    assert after(10, 9.999) == 2


def test_all_counts_fit_into_their_bits() -> None:
    counts = began = 0
    for number in range(MOST):
        counts, began = count(counts, began, START + number * MINUTE // (MOST + MOST // 10))
    assert total(counts) == MOST
    assert counts < 1 << BITS * PARTS


@given(st.lists(st.integers(0, 20 * SECOND), min_size=1, max_size=60))
def test_it_never_counts_what_is_older_and_forgets_only_what_is_almost_a_minute_old(steps: list[int]) -> None:
    counts = began = 0
    times: list[int] = []
    now = START
    for step in steps:
        now += step
        times.append(now)
        counts, began = count(counts, began, now)
    in_a_minute = sum(now - time < MINUTE for time in times)
    surely = sum(now - time <= MINUTE - PART for time in times)
    assert surely <= total(counts) <= in_a_minute
