"""Slow start: the part of the weight over time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.upstream.slow_start import factor


@pytest.mark.parametrize(
    ("now", "part"), [(100.0, 0.1), (110.0, 0.4), (115.0, 0.55), (120.0, 0.7), (130.0, 1.0), (900.0, 1.0)]
)
def test_it_rises_linearly_from_a_tenth(now: float, part: float) -> None:
    assert factor(now, 100.0, 30.0) == pytest.approx(part)


def test_a_time_just_before_the_beginning_is_the_beginning() -> None:
    assert factor(99.9, 100.0, 30.0) == pytest.approx(0.1)


def test_a_window_of_0_is_none() -> None:
    assert factor(100.0, 100.0, 0.0) == 1.0


def test_a_beginning_of_0_is_none_even_right_after_boot() -> None:
    assert factor(5.0, 0.0, 30.0) == 1.0


@given(st.floats(1, 1e6), st.floats(0.001, 1e5), st.floats(0, 2))
def test_it_is_a_part_of_the_weight_and_never_falls(began: float, window: float, share: float) -> None:
    earlier, later = (factor(began + at * window, began, window) for at in (share, share + 0.1))
    assert 0.1 <= earlier <= later <= 1.0
