"""Drawing places: in proportion to weight, and two of them never the same."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.draw import Draw

BELOW_ONE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(("weights", "even"), [([], True), ([3], True), ([2, 2], True), ([2, 1], False)])
def test_equal_weights_are_even(weights: list[float], even: bool) -> None:
    assert Draw(weights, random.random).even is even


@pytest.mark.parametrize(
    ("weights", "drawn", "place"),
    [
        ([1, 1, 1, 1], 0.0, 0),
        ([1, 1, 1, 1], 0.25, 1),
        ([1, 1, 1, 1], 0.999, 3),
        ([1, 2, 1], 0.24, 0),
        ([1, 2, 1], 0.25, 1),
        ([1, 2, 1], 0.74, 1),
        ([1, 2, 1], 0.75, 2),
    ],
)
def test_one_number_decides_on_a_place(weights: list[float], drawn: float, place: int) -> None:
    assert Draw(weights, lambda: drawn).one() == place


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 1000), min_size=2, max_size=30), BELOW_ONE, BELOW_ONE)
def test_two_places_are_different_whatever_is_drawn(weights: list[float], one: float, other: float) -> None:
    first, second = Draw(weights, iter([one, other]).__next__).two()
    assert first != second
    assert {first, second} <= set(range(len(weights)))


def test_the_second_of_two_is_drawn_by_weight_among_the_rest() -> None:
    draw = Draw([6, 3, 1], random.Random(1).random)
    pairs = [draw.two() for _ in range(10_000)]
    seconds = Counter(second for first, second in pairs if first == 0)
    assert seconds[1] / seconds.total() == pytest.approx(0.75, abs=0.03)
