"""Least requests: the order of load, what decides among equals, and what follows for the shares."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.least_requests import LeastRequests
from tests.unit.balancing.candidates import Weighed, endpoints, idle_shares, names, shares

WEIGHTS = st.lists(st.floats(0.05, 50), min_size=1, max_size=30)


def seeded(ranked: Sequence[Weighed], seed: int = 1) -> LeastRequests[Weighed]:
    return LeastRequests(ranked, random.Random(seed).random)


def loaded(weights: Sequence[float], in_flight: Sequence[int]) -> list[Weighed]:
    ranked = endpoints(weights)
    for endpoint, requests in zip(ranked, in_flight, strict=True):
        endpoint.requests = requests
    return ranked


def drawing(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


@pytest.mark.parametrize(
    ("weights", "in_flight", "order"),
    [
        ([1, 1, 1], [2, 0, 1], "bca"),
        ([1, 1, 1], [0, 1, 2], "abc"),
        ([3, 3], [7, 6], "ba"),
        ([2, 1], [2, 2], "ab"),
        ([2, 1], [6, 2], "ba"),
        ([4, 2, 1], [20, 3, 3], "bca"),
    ],
)
def test_the_order_is_that_of_requests_for_the_weight(
    weights: list[float], in_flight: list[int], order: str
) -> None:
    assert names(LeastRequests(loaded(weights, in_flight), drawing(0.0))) == order


def test_of_equals_the_one_taken_longest_ago_comes_first() -> None:
    ranked = loaded([1, 1, 1, 1], [4, 4, 4, 5])
    for endpoint, picked in zip(ranked, (9, 7, 8, 1), strict=True):
        endpoint.picked = picked
    assert names(LeastRequests(ranked)) == "bcad"


@pytest.mark.parametrize(
    ("weights", "in_flight", "drawn", "taken"),
    [
        ((2, 1), (0, 0), 0.0, "a"),
        ((2, 1), (0, 0), 0.66, "a"),
        ((2, 1), (0, 0), 0.67, "b"),
        ((10, 1), (5, 0), 0.95, "b"),  # b has less now and a would have less then
        ((10, 1), (5, 1), 0.95, "a"),  # a has less now, too
        ((10, 1), (10, 0), 0.0, "b"),
        ((0.1, 1), (0, 5), 0.09, "a"),
        ((0.1, 1), (0, 5), 0.1, "b"),
    ],
)
def test_of_two_weights_a_draw_decides_where_neither_is_better(
    weights: tuple[float, float], in_flight: tuple[int, int], drawn: float, taken: str
) -> None:
    balancer = LeastRequests(loaded(weights, in_flight), drawing(drawn))
    assert next(balancer.order(None, 0.0)).name == taken


def test_no_endpoints_give_an_empty_order() -> None:
    assert names(LeastRequests[Weighed]([])) == ""


@settings(deadline=None)
@given(WEIGHTS, st.data(), st.integers(0, 1000))
def test_an_order_yields_each_endpoint_once(weights: list[float], data: st.DataObject, seed: int) -> None:
    ranked = endpoints(weights)
    for endpoint in ranked:
        endpoint.requests = data.draw(st.integers(0, 5))
    seen = list(seeded(ranked, seed).order(None, 0.0))
    assert sorted(map(id, seen)) == sorted(map(id, ranked))


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.1, 1, 2, 3]), st.integers(0, 9)), min_size=1), st.integers(0, 99)
)
def test_no_endpoint_is_better_than_the_first(state: list[tuple[float, int]], seed: int) -> None:
    ranked = loaded([weight for weight, _ in state], [requests for _, requests in state])
    best = next(seeded(ranked, seed).order(None, 0.0))

    def loads(endpoint: Weighed) -> tuple[float, float]:
        weight = endpoint.effective_weight
        return endpoint.requests / weight, (endpoint.requests + 1) / weight

    before, after = loads(best)
    assert not any(loads(other)[0] < before - 1e-9 and loads(other)[1] < after - 1e-9 for other in ranked)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_idle_endpoints_take_turns(count: int) -> None:
    taken = idle_shares(seeded(endpoints([1] * count)), 50 * count)
    assert set(taken.values()) == {50}


@pytest.mark.parametrize("clients", [1, 2, 5, 20, 200])
@pytest.mark.parametrize("weights", [[2, 1], [5, 1, 1], [10, 1], [1, 0.1, 1], [100, *[1] * 20]])
def test_the_share_is_in_proportion_to_weight_at_any_load(weights: list[float], clients: int) -> None:
    shared = shares(seeded(endpoints(weights)), clients=clients, count=5000)
    # Requests come whole: with few of them in flight the heavier ones get somewhat more.
    assert shared["a"] == pytest.approx(weights[0] / sum(weights), abs=0.13)
    assert shared["b"] == pytest.approx(weights[1] / sum(weights), abs=0.13)
    assert all(shared.values())


@pytest.mark.parametrize(("count", "about"), [(2, 0.091), (3, 0.05), (10, 0.011)])
def test_an_endpoint_ten_times_slower_gets_about_a_tenth_of_what_another_gets(
    count: int, about: float
) -> None:
    shared = shares(seeded(endpoints([1] * count)), clients=50, count=20_000, latency={"a": 10.0})
    assert shared["a"] == pytest.approx(about, abs=0.01)


def test_neither_key_nor_time_matters() -> None:
    ranked = endpoints([1, 2, 3, 4, 5])
    one, other = seeded(ranked), seeded(ranked)
    assert list(one.order(b"key", 9.0)) == list(other.order(None, 0.0))


def test_the_repr_names_the_endpoints() -> None:
    assert "'a'" in repr(LeastRequests(endpoints([1])))
