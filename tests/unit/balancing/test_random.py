"""Random: how often each endpoint comes first, and second."""

import random
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.random import Random
from tests.unit.balancing.candidates import Weighed, endpoints, names


def seeded(ranked: Sequence[Weighed], seed: int = 1) -> Random[Weighed]:
    return Random(ranked, random.Random(seed).random)


@pytest.mark.parametrize("weights", [[1, 1, 1], [3, 2, 1], [1, 0.1], [100, *[1] * 20]])
def test_each_endpoint_comes_first_in_proportion_to_weight(weights: list[float]) -> None:
    balancer = seeded(endpoints(weights))
    firsts = Counter(next(balancer.order(None, 0.0)).name for _ in range(10_000))
    for name, weight in zip("abcdefghij", weights, strict=False):
        assert firsts[name] / 10_000 == pytest.approx(weight / sum(weights), abs=0.02)


def test_after_the_first_the_others_come_in_proportion_to_theirs() -> None:
    balancer = seeded(endpoints([6, 3, 1]))
    after_a = Counter(order[1] for order in (names(balancer) for _ in range(10_000)) if order[0] == "a")
    assert after_a["b"] / after_a.total() == pytest.approx(0.75, abs=0.03)


def test_that_holds_where_one_outweighs_all_others() -> None:
    # What is drawn here is almost always a, so that the others are put in order another way.
    balancer = seeded(endpoints([10_000, 3, 1]))
    after_a = Counter(order[1] for order in (names(balancer) for _ in range(5_000)) if order[0] == "a")
    assert after_a["b"] / after_a.total() == pytest.approx(0.75, abs=0.03)


@settings(deadline=None)
@given(st.lists(st.floats(0.05, 1000), max_size=30), st.integers(0, 1000))
def test_an_order_yields_each_endpoint_once(weights: list[float], seed: int) -> None:
    ranked = endpoints(weights)
    assert sorted(map(id, seeded(ranked, seed).order(None, 0.0))) == sorted(map(id, ranked))


def test_one_pick_draws_once() -> None:
    numbers = iter([0.5])
    assert next(Random(endpoints([1] * 1000), numbers.__next__).order(None, 0.0)).name == "500"


def test_load_does_not_matter() -> None:
    ranked = endpoints([1, 1])
    before = [names(balancer) for balancer in [seeded(ranked)] for _ in range(100)]
    ranked[0].requests = 1000
    assert [names(balancer) for balancer in [seeded(ranked)] for _ in range(100)] == before


def test_the_repr_names_the_endpoints() -> None:
    assert "'a'" in repr(Random(endpoints([1])))
