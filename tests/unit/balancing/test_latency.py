"""Latency: the published vectors of peak EWMA, what failures count for, and what is not known yet."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.balancing.latency import TAU, UNKNOWN, Latency

SAMPLES = st.lists(st.tuples(st.floats(0.0001, 100), st.floats(0, 30)), min_size=1, max_size=20)


def measured(*samples: tuple[float, float]) -> Latency:
    """Return a latency that took in (seconds, when)."""
    latency = Latency()
    for seconds, now in samples:
        latency.answered(seconds, now)
    return latency


@pytest.mark.parametrize(
    ("samples", "now", "cost"),
    [
        ([(0.1, 0)], 0, 0.1),
        ([(0.1, 0), (0.02, 1)], 1, 0.0924),
        ([(0.1, 0), (0.02, 1), (0.5, 2)], 2, 0.5),
        ([(0.1, 0), (0.02, 1), (0.5, 2)], 12, 0.1839),
    ],
)
def test_the_cost_is_that_of_the_published_algorithm(
    samples: list[tuple[float, float]], now: float, cost: float
) -> None:
    assert measured(*samples).at(now) == pytest.approx(cost, abs=5e-5)


@given(SAMPLES)
def test_the_cost_lies_between_the_last_sample_and_the_largest(samples: list[tuple[float, float]]) -> None:
    latency, now, largest = Latency(), 0.0, 0.0
    for seconds, pause in samples:
        now += pause
        largest = max(largest, seconds)
        latency.answered(seconds, now)
        assert seconds * (1 - 1e-9) <= latency.at(now) <= largest * (1 + 1e-9)


def test_looking_changes_nothing() -> None:
    latency = measured((0.1, 0))
    assert [latency.at(now) for now in (0, 30, 0)] == [0.1, pytest.approx(0.1 * math.exp(-30 / TAU)), 0.1]


def test_a_clock_that_lags_does_not_raise_the_cost() -> None:
    latency = measured((0.1, 100))
    assert latency.at(99) == 0.1
    latency.answered(0.05, 99)
    assert latency.at(99) == 0.1


@pytest.mark.parametrize(
    ("took", "retry_after", "counts"),
    [
        (0.001, 0.0, 5.0),  # none was given
        (0.001, 2.0, 2.0),
        (0.001, 120.0, 120.0),
        (0.001, 300.0, 300.0),
        (0.001, 86_400.0, 300.0),
        (8.0, 0.0, 8.0),
        (8.0, 2.0, 8.0),
    ],
)
def test_a_failure_counts_for_as_long_as_it_keeps_away(
    took: float, retry_after: float, counts: float
) -> None:
    latency = Latency()
    latency.failed(took, 0, retry_after)
    assert latency.at(0) == counts


def test_a_fast_failure_costs_more_than_a_slow_answer() -> None:
    failing, slow = measured((0.001, 0)), measured((1.0, 0))
    failing.failed(0.0001, 1)
    assert failing.at(1) > slow.at(1)


def test_what_nobody_waited_for_counts_if_it_took_longer_than_usual() -> None:
    latency = measured((0.1, 0))
    decayed = latency.at(5)
    latency.given_up(0.05, 5)
    assert latency.at(5) == decayed
    latency.given_up(2.0, 5)
    assert latency.at(5) == 2.0


def test_one_never_measured_is_tried_with_one_request_first() -> None:
    latency = Latency()
    assert latency.at(0) == 0
    latency.asked = 1
    assert latency.at(0) == UNKNOWN


def test_one_that_was_measured_is_not_unknown_while_it_is_asked() -> None:
    latency = measured((0.1, 0))
    latency.asked = 5
    assert latency.at(0) == 0.1


def test_the_repr_tells_cost_and_requests() -> None:
    assert repr(measured((0.25, 3))) == "<Latency 0.25 s at 3.000, 0 asked>"
