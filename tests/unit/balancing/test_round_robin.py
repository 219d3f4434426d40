"""Smooth weighted round robin: its published vectors and what holds for any weights."""

import math
import random
from collections import Counter
from itertools import islice

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lbg.balancing.round_robin import RoundRobin
from tests.unit.balancing.candidates import Weighed, endpoints, names

WEIGHTS = st.lists(st.integers(1, 20), min_size=1, max_size=8)
SHORT = 64  # picks in the longest cycle that is entered by going along it


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
    assert share == {endpoint.name: endpoint.effective_weight // divisor for endpoint in ranked}


@settings(deadline=None)
@given(WEIGHTS, st.integers(0, 100_000))
def test_a_start_is_a_place_in_the_same_short_cycle(weights: list[int], start: int) -> None:
    count = period(weights)
    assume(count <= SHORT)
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
def test_an_order_goes_on_in_the_cycle(weights: list[int]) -> None:
    cycle = picks(RoundRobin(endpoints(weights)), period(weights) + len(weights))
    order = names(RoundRobin(endpoints(weights)))
    soon = sorted(set(cycle[: len(weights) + 1]), key=cycle.index)
    assert order[: len(soon)] == "".join(soon)


def test_failing_over_does_not_go_through_all_turns_of_a_heavy_endpoint() -> None:
    balancer = RoundRobin(endpoints([1000, 1]))
    assert [names(balancer) for _ in range(3)] == ["ab", "ab", "ab"]
    # Such an order takes three picks; the 501st is b's.
    assert picks(balancer, 492) == "a" * 491 + "b"


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
    twins = [Weighed("a"), Weighed("a")]
    assert {id(endpoint) for endpoint in RoundRobin(twins).order(None, 0.0)} == set(map(id, twins))


def test_a_long_cycle_shares_just_as_well() -> None:
    weights = [997, 991, 983, 977, 971, 967, 953]
    total = sum(weights)
    assert period(weights) == total > SHORT
    assert sorted(Counter(picks(RoundRobin(endpoints(weights), 12345), total)).values()) == sorted(weights)


def nginx(weights: list[int], count: int) -> list[int]:
    """Return the picks of the published algorithm, step by step."""
    current, taken = [0] * len(weights), []
    for _ in range(count):
        current = [now + weight for now, weight in zip(current, weights, strict=True)]
        best = current.index(max(current))
        current[best] -= sum(weights)
        taken.append(best)
    return taken


@settings(deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=20))
def test_endpoints_of_equal_weight_change_nothing_of_the_sequence(weights: list[int]) -> None:
    ranked = endpoints(weights)
    expected = "".join(ranked[at].name for at in nginx(weights, 2 * sum(weights)))
    assert picks(RoundRobin(ranked), len(expected)) == expected


@pytest.mark.parametrize(
    ("weights", "sequence"),
    [([1, 0.5], "aba"), ([0.25, 0.25, 0.25], "abc"), ([0.1, 1.0], "bbbbbabbbbb"), ([0.001, 0.01], "ab")],
)
def test_fractions_share_like_whole_numbers(weights: list[float], sequence: str) -> None:
    assert picks(RoundRobin(endpoints(weights)), 3 * len(sequence)) == 3 * sequence


def test_among_equals_the_cycle_is_their_order_and_begins_at_the_start() -> None:
    balancer = RoundRobin(endpoints([3] * 1000), 998)
    assert [next(balancer.order(None, 0.0)).name for _ in range(5)] == ["998", "999", "0", "1", "2"]


def test_a_long_cycle_is_entered_at_another_of_the_equals() -> None:
    firsts = {
        next(RoundRobin(endpoints([1] * 999 + [0.5]), start).order(None, 0.0)).name for start in range(900)
    }
    assert len(firsts) > 400


def test_a_pick_does_not_compute_the_rest_of_the_order() -> None:
    balancer = RoundRobin(endpoints([2, 1]))
    assert [next(islice(balancer.order(None, 0.0), 1)).name for _ in range(3)] == ["a", "b", "a"]


def test_the_repr_tells_how_far_it_is() -> None:
    balancer = RoundRobin(endpoints([1]))
    picks(balancer, 2)
    assert repr(balancer).endswith("after 2 picks>")
