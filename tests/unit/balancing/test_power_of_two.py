"""Power of two choices: which two are drawn, which of them is taken, and what follows for the shares."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.power_of_two import PowerOfTwo
from tests.unit.balancing.candidates import Weighed, endpoints, idle_shares, names, shares

WEIGHTS = st.lists(st.floats(0.05, 50), min_size=1, max_size=30)


def seeded(ranked: Sequence[Weighed], seed: int = 1) -> PowerOfTwo[Weighed]:
    return PowerOfTwo(ranked, random.Random(seed).random)


def drawing(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


def first(balancer: PowerOfTwo[Weighed]) -> str:
    return next(balancer.order(None, 0.0)).name


@pytest.mark.parametrize(
    ("drawn", "pair"),
    [
        ((0.0, 0.0), "ab"),
        ((0.0, 0.999), "ad"),
        ((0.3, 0.0), "ba"),
        ((0.3, 0.4), "bc"),
        ((0.999, 0.999), "dc"),
        ((0.5, 0.7), "cd"),
    ],
)
def test_two_different_endpoints_are_drawn(drawn: tuple[float, float], pair: str) -> None:
    order = PowerOfTwo(endpoints([1, 1, 1, 1]), drawing(*drawn)).order(None, 0.0)
    assert next(order).name + next(order).name == pair


@pytest.mark.parametrize("equal", [True, False])
def test_every_pair_is_drawn(equal: bool) -> None:
    balancer = seeded(endpoints([1, 1, 1, 1] if equal else [1, 2, 3, 0.5]))
    pairs = {names(balancer)[:2] for _ in range(1000)}
    assert len(pairs) == 12


@pytest.mark.parametrize(
    ("in_flight", "taken"), [((3, 2, 0), "b"), ((2, 3, 0), "a"), ((0, 1, 0), "a"), ((1, 0, 0), "b")]
)
def test_the_less_loaded_of_the_two_is_taken(in_flight: tuple[int, ...], taken: str) -> None:
    ranked = endpoints([1, 1, 1])
    for endpoint, requests in zip(ranked, in_flight, strict=True):
        endpoint.requests = requests
    for drawn in ((0.0, 0.0), (0.4, 0.0)):  # a and b, b and a
        assert first(PowerOfTwo(ranked, drawing(*drawn))) == taken


@pytest.mark.parametrize("drawn", [(0.0, 0.0), (0.4, 0.0)])
def test_of_two_equally_loaded_the_one_taken_longer_ago_is_taken(drawn: tuple[float, float]) -> None:
    ranked = endpoints([2, 2, 2])
    ranked[0].picked, ranked[1].picked = 8, 7
    ranked[0].requests = ranked[1].requests = 4
    assert first(PowerOfTwo(ranked, drawing(*drawn))) == "b"


@pytest.mark.parametrize(
    ("weights", "in_flight", "drawn_first", "taken"),
    [
        # Before and after the request, the load per weight is lower on the one that wins.
        ((2, 1), (2, 2), "b", "a"),
        ((2, 1), (6, 2), "a", "b"),
        ((10, 1), (5, 0), "a", "a"),  # a has 0.6 with it, b would have 1
        ((10, 1), (10, 0), "a", "b"),
        # Where one is better only before and the other only after it, the draw decides.
        ((2, 1), (0, 0), "b", "b"),
        ((2, 1), (0, 0), "a", "a"),
        ((10, 1), (0, 0), "b", "b"),
        ((2, 1), (2, 1), "b", "b"),
        ((2, 1), (5, 2), "a", "a"),
    ],
)
def test_of_two_weights_the_less_loaded_for_its_weight_is_taken(
    weights: tuple[int, int], in_flight: tuple[int, int], drawn_first: str, taken: str
) -> None:
    ranked = endpoints(weights)
    ranked[0].requests, ranked[1].requests = in_flight
    assert first(PowerOfTwo(ranked, drawing(0.0 if drawn_first == "a" else 0.99, 0.0))) == taken


def test_two_endpoints_are_always_both_looked_at() -> None:
    ranked = endpoints([1, 1])
    ranked[0].requests = 1
    balancer = seeded(ranked)
    assert {first(balancer) for _ in range(100)} == {"b"}


def test_one_endpoint_needs_no_draw() -> None:
    assert names(PowerOfTwo(endpoints([1]), drawing())) == "a"


def test_no_endpoints_give_an_empty_order() -> None:
    assert names(PowerOfTwo[Weighed]([])) == ""


@settings(deadline=None)
@given(WEIGHTS, st.data(), st.integers(0, 1000))
def test_an_order_yields_each_endpoint_once(weights: list[float], data: st.DataObject, seed: int) -> None:
    ranked = endpoints(weights)
    for endpoint in ranked:
        endpoint.requests = data.draw(st.integers(0, 5))
    seen = list(seeded(ranked, seed).order(None, 0.0))
    assert sorted(map(id, seen)) == sorted(map(id, ranked))


@settings(deadline=None)
@given(WEIGHTS, st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_whatever_is_drawn_the_two_are_different(weights: list[float], one: float, other: float) -> None:
    ranked = endpoints([*weights, 1.0, 2.0])
    order = PowerOfTwo(ranked, drawing(one, other)).order(None, 0.0)
    assert next(order) is not next(order)


def test_in_a_small_pool_failover_goes_on_with_the_other_and_then_by_load() -> None:
    ranked = endpoints([1] * 5)
    for endpoint, requests in zip(ranked, (1, 2, 9, 0, 5), strict=True):
        endpoint.requests = requests
    assert names(PowerOfTwo(ranked, drawing(0.0, 0.0))) == "abdec"


def test_in_a_large_pool_failover_goes_on_anywhere() -> None:
    ranked = endpoints([1] * 100)
    thirds = {[endpoint.name for endpoint in seeded(ranked, seed).order(None, 0.0)][2] for seed in range(300)}
    assert len(thirds) > 50


def test_the_first_pick_looks_at_two_endpoints_only() -> None:
    looked: Counter[str] = Counter()

    class Seen(Weighed):
        def in_flight(self) -> int:
            looked[self.name] += 1
            return 0

    next(seeded([Seen(str(at)) for at in range(1000)]).order(None, 0.0))
    assert sorted(looked.values()) == [1, 1]


@pytest.mark.parametrize("count", [2, 3, 7, 50])
def test_an_idle_pool_is_shared_evenly(count: int) -> None:
    taken = idle_shares(seeded(endpoints([1] * count)), 200 * count)
    assert min(taken.values()) > 150
    assert max(taken.values()) < 250


def test_two_idle_endpoints_take_turns() -> None:
    taken = idle_shares(seeded(endpoints([1, 1])), 100)
    assert taken == {"a": 50, "b": 50}


@pytest.mark.parametrize("clients", [1, 2, 5, 20, 200])
@pytest.mark.parametrize("weights", [[2, 1], [5, 1, 1], [10, 1], [1, 0.1, 1], [100, *[1] * 20]])
def test_the_share_is_in_proportion_to_weight_at_any_load(weights: list[float], clients: int) -> None:
    shared = shares(seeded(endpoints(weights)), clients=clients, count=5000)
    # Requests come whole: with few of them in flight the heavier ones get somewhat more.
    assert shared["a"] == pytest.approx(weights[0] / sum(weights), abs=0.13)
    assert shared["b"] == pytest.approx(weights[1] / sum(weights), abs=0.13)
    assert all(shared.values())


@pytest.mark.parametrize(("count", "about"), [(2, 0.091), (3, 0.054)])
def test_an_endpoint_ten_times_slower_gets_about_a_tenth_of_what_another_gets(
    count: int, about: float
) -> None:
    shared = shares(seeded(endpoints([1] * count)), clients=50, count=20_000, latency={"a": 10.0})
    assert shared["a"] == pytest.approx(about, abs=0.012)


def test_neither_key_nor_time_matters() -> None:
    ranked = endpoints([1, 2, 3, 4, 5])
    one, other = seeded(ranked), seeded(ranked)
    assert list(one.order(b"key", 9.0)) == list(other.order(None, 0.0))


def test_the_repr_names_the_endpoints() -> None:
    assert "'a'" in repr(PowerOfTwo(endpoints([1])))
