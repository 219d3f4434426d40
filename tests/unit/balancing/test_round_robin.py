"""Smooth weighted round robin: its published vectors and what holds for any weights."""

import math
import random
from collections import Counter
from dataclasses import dataclass
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.round_robin import RoundRobin


@dataclass
class Weighed:
    """An endpoint as a policy sees it."""

    name: str
    weight: int


WEIGHTS = st.lists(st.integers(1, 20), min_size=1, max_size=8)


def endpoints(weights: list[int]) -> list[Weighed]:
    return [Weighed(chr(ord("a") + index), weight) for index, weight in enumerate(weights)]


def picks(balancer: RoundRobin[Weighed], count: int) -> str:
    return "".join(next(balancer.order(None, 0.0)).name for _ in range(count))


def period(weights: list[int]) -> int:
    return sum(weights) // math.gcd(*weights)


@pytest.mark.parametrize(
    ("weights", "sequence"),
    [
        ([5, 1, 1], "aabacaa"),
        ([3, 2, 1], "abacba"),
        ([4, 1], "aabaa"),
        ([2, 2, 1], "abcab"),
        ([1, 1, 1], "abc"),
        ([1], "a"),
    ],
)
def test_the_sequence_is_that_of_nginx_and_repeats(weights: list[int], sequence: str) -> None:
    assert picks(RoundRobin(endpoints(weights)), 3 * len(sequence)) == 3 * sequence


@settings(deadline=None)
@given(WEIGHTS, st.integers(0, 100_000))
def test_over_a_full_cycle_each_endpoint_gets_exactly_its_share(weights: list[int], start: int) -> None:
    ranked = endpoints(weights)
    share = Counter(picks(RoundRobin(ranked, start), period(weights)))
    divisor = math.gcd(*weights)
    assert share == {endpoint.name: endpoint.weight // divisor for endpoint in ranked}


@settings(deadline=None)
@given(WEIGHTS, st.integers(0, 100_000))
def test_a_start_is_a_place_in_the_same_cycle(weights: list[int], start: int) -> None:
    count = period(weights)
    cycle = picks(RoundRobin(endpoints(weights)), count)
    offset = start % count
    assert picks(RoundRobin(endpoints(weights), start), count) == cycle[offset:] + cycle[:offset]


@settings(deadline=None)
@given(WEIGHTS, st.integers(0, 1000), st.integers(1, 5))
def test_an_order_yields_each_endpoint_once(weights: list[int], start: int, rounds: int) -> None:
    ranked = endpoints(weights)
    balancer = RoundRobin(ranked, start)
    for _ in range(rounds):
        assert sorted(endpoint.name for endpoint in balancer.order(None, 0.0)) == [
            endpoint.name for endpoint in ranked
        ]


@settings(deadline=None)
@given(WEIGHTS)
def test_an_order_begins_with_the_pick_whose_turn_it_is(weights: list[int]) -> None:
    cycle = picks(RoundRobin(endpoints(weights)), period(weights))
    failing_over = RoundRobin(endpoints(weights))
    first, *rest = list(failing_over.order(None, 0.0))
    assert first.name == cycle[0]
    assert [endpoint.name for endpoint in rest] == sorted(set(cycle) - {first.name}, key=cycle.index)


def test_a_dead_endpoints_share_is_spread_over_all_others() -> None:
    balancer = RoundRobin(endpoints([1, 1, 1, 1]))
    served = Counter(
        next(endpoint.name for endpoint in balancer.order(None, 0.0) if endpoint.name != "a")
        for _ in range(300)
    )
    assert set(served) == {"b", "c", "d"}
    assert max(served.values()) - min(served.values()) <= 1


def test_orders_under_way_at_once_do_not_disturb_each_other() -> None:
    balancer = RoundRobin(endpoints([3, 1, 2]))
    orders = [balancer.order(None, 0.0) for _ in range(5)]
    seen: list[list[str]] = [[] for _ in orders]
    turns = [index for index in range(5) for _ in range(3)]
    random.Random(7).shuffle(turns)
    for index in turns:
        seen[index].append(next(orders[index]).name)
    assert all(sorted(names) == ["a", "b", "c"] for names in seen)


def test_no_endpoints_give_an_empty_order() -> None:
    assert list(RoundRobin[Weighed]([]).order(None, 0.0)) == []


def test_endpoints_of_equal_content_are_told_apart() -> None:
    twins = [Weighed("a", 1), Weighed("a", 1)]
    assert {id(endpoint) for endpoint in RoundRobin(twins).order(None, 0.0)} == set(map(id, twins))


def test_a_cycle_too_long_to_remember_shares_just_as_well() -> None:
    # Primes close to the greatest weight: the period is far above what is kept.
    weights = [997, 991, 983, 977, 971, 967, 953] * 10
    balancer = RoundRobin(endpoints(weights[:70]))
    total = sum(weights)
    assert period(weights) == total > 65536
    share = Counter(id(next(balancer.order(None, 0.0))) for _ in range(total))
    assert sorted(share.values()) == sorted(weights)


def test_a_pick_does_not_compute_the_rest_of_the_order() -> None:
    balancer = RoundRobin(endpoints([2, 1]))
    assert [next(islice(balancer.order(None, 0.0), 1)).name for _ in range(3)] == ["a", "b", "a"]
