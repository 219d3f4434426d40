"""Quantiles as Prometheus interpolates them."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.control.stats_quantile import quantile

BOUNDS = (0.1, 0.5, 1.0)


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, [10, 0, 0, 0], 0.05),
        (0.95, [10, 0, 0, 0], 0.095),
        (0.5, [0, 10, 0, 0], 0.3),
        (0.5, [5, 5, 0, 0], 0.1),
        (0.75, [5, 5, 0, 0], 0.3),
        (0.99, [90, 0, 10, 0], 0.95),
        (0.5, [1, 0, 0, 1], 0.1),
        (0.99, [1, 0, 0, 1], 1.0),
        (0.5, [0, 0, 0, 7], 1.0),
    ],
)
def test_a_value_lies_in_its_bucket_in_proportion(share: float, counts: list[int], expected: float) -> None:
    assert quantile(share, counts, BOUNDS) == pytest.approx(expected)


def test_nothing_is_known_of_no_values() -> None:
    assert quantile(0.5, [0, 0, 0, 0], BOUNDS) is None


@given(
    st.lists(st.integers(0, 10**9), min_size=4, max_size=4).filter(any),
    st.floats(0.001, 0.999),
)
def test_a_value_is_within_the_bucket_that_has_its_rank(counts: list[int], share: float) -> None:
    value = quantile(share, counts, BOUNDS)
    reached = list(accumulate(counts))
    index = next(index for index, count in enumerate(reached) if count >= share * sum(counts))
    ends = (0.0, *BOUNDS, BOUNDS[-1])
    assert value is not None
    assert ends[index] <= value <= ends[index + 1] + 1e-9
