"""Peak EWMA: which of two is taken for what it costs, and what follows for the shares."""

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.latency import Latency
from lbg.balancing.peak_ewma import PeakEwma
from tests.unit.balancing.candidates import Weighed, endpoints, names, shares

WEIGHTS = st.lists(st.floats(0.05, 50), min_size=1, max_size=30)


def seeded(ranked: Sequence[Weighed], seed: int = 1) -> PeakEwma[Weighed]:
    return PeakEwma(ranked, random.Random(seed).random)


def drawing(*numbers: float) -> Callable[[], float]:
    return iter(numbers).__next__


def costing(*costs: float, weights: Sequence[float] = (), in_flight: Sequence[int] = ()) -> list[Weighed]:
    """Return endpoints with these costs at 0 s; 0 is one never measured."""
    ranked = endpoints(weights or [1] * len(costs))
    for endpoint, cost, requests in zip(ranked, costs, in_flight or [0] * len(costs), strict=True):
        endpoint.requests = requests
        endpoint.latency = Latency()
        if cost:
            endpoint.latency.answered(cost, 0.0)
    return ranked


def taken(ranked: Sequence[Weighed], now: float = 0.0) -> str:
    """Return which of two is taken, whichever of them is drawn first."""
    firsts = {next(PeakEwma(ranked, drawing(first, 0.0)).order(None, now)).name for first in (0.0, 0.99)}
    assert len(firsts) == 1
    return firsts.pop()


@pytest.mark.parametrize(
    ("costs", "in_flight", "name"),
    [
        ((0.1, 0.2), (0, 0), "a"),
        ((0.2, 0.1), (0, 0), "b"),
        ((0.1, 0.25), (1, 0), "a"),  # 0.2 against 0.25
        ((0.1, 0.25), (2, 0), "b"),  # 0.3 against 0.25
        ((0.1, 0.1), (3, 2), "b"),
        ((0.02, 0.1), (10, 1), "b"),
    ],
)
def test_the_lower_cost_for_the_requests_in_flight_is_taken(
    costs: tuple[float, ...], in_flight: tuple[int, ...], name: str
) -> None:
    assert taken(costing(*costs, in_flight=in_flight)) == name


def test_a_cost_counts_for_less_with_time() -> None:
    ranked = costing(0.3, 0.1)
    assert taken(ranked) == "b"
    assert ranked[1].latency is not None
    ranked[1].latency.answered(0.1, 20.0)
    assert taken(ranked, 20.0) == "a"


def test_of_two_with_the_same_load_the_one_taken_longer_ago_is_taken() -> None:
    ranked = costing(0.1, 0.1)
    ranked[0].picked, ranked[1].picked = 8, 7
    assert taken(ranked) == "b"


@pytest.mark.parametrize("in_flight", [(0, 0), (5, 0), (0, 5)])
def test_one_never_measured_is_tried(in_flight: tuple[int, int]) -> None:
    assert taken(costing(0.001, 0, in_flight=in_flight)) == "b"


def test_one_never_measured_is_not_tried_twice_at_once() -> None:
    ranked = costing(10.0, 0, in_flight=(100, 1))
    assert ranked[1].latency is not None
    ranked[1].latency.asked = 1
    assert taken(ranked) == "a"


def test_while_all_are_tried_the_less_busy_is_taken() -> None:
    ranked = costing(0, 0, in_flight=(2, 1))
    for endpoint in ranked:
        assert endpoint.latency is not None
        endpoint.latency.asked = endpoint.requests
    assert taken(ranked) == "b"


@pytest.mark.parametrize(
    ("weights", "costs", "in_flight", "drawn_first", "name"),
    [
        # Better for its weight and by itself.
        ((10, 1), (0.1, 0.2), (0, 0), "b", "a"),
        ((10, 1), (0.1, 0.1), (10, 0), "a", "b"),
        ((2, 1), (0.3, 0.1), (3, 0), "a", "b"),
        ((10, 1), (5.0, 0.01), (0, 0), "a", "b"),
        # Better in one way only: the draw decides.
        ((10, 1), (0.1, 0.1), (0, 0), "a", "a"),
        ((10, 1), (0.1, 0.1), (0, 0), "b", "b"),
        ((10, 1), (0.2, 0.1), (0, 0), "a", "a"),
        ((10, 1), (0.2, 0.1), (0, 0), "b", "b"),
    ],
)
def test_of_two_weights_the_second_must_be_better_in_both_ways(
    weights: tuple[int, int],
    costs: tuple[float, float],
    in_flight: tuple[int, int],
    drawn_first: str,
    name: str,
) -> None:
    ranked = costing(*costs, weights=weights, in_flight=in_flight)
    balancer = PeakEwma(ranked, drawing(0.0 if drawn_first == "a" else 0.99, 0.0))
    assert next(balancer.order(None, 0.0)).name == name


def test_what_was_measured_outlives_the_policy() -> None:
    ranked = costing(0.1)
    before = ranked[0].latency
    PeakEwma(ranked)
    assert ranked[0].latency is before


def test_an_endpoint_without_a_measure_gets_one_of_its_own() -> None:
    ranked = endpoints([1, 1])
    PeakEwma(ranked)
    assert ranked[0].latency is not None
    assert ranked[0].latency is not ranked[1].latency


@pytest.mark.parametrize(("weights", "order"), [([], ""), ([1], "a")])
def test_with_fewer_than_two_nothing_is_drawn(weights: list[float], order: str) -> None:
    assert names(PeakEwma(endpoints(weights), drawing())) == order


@settings(deadline=None)
@given(WEIGHTS, st.data(), st.integers(0, 1000))
def test_an_order_yields_each_endpoint_once(weights: list[float], data: st.DataObject, seed: int) -> None:
    costs = data.draw(st.lists(st.floats(0, 9), min_size=len(weights), max_size=len(weights)))
    ranked = costing(*costs, weights=weights)
    seen = list(seeded(ranked, seed).order(None, 0.0))
    assert sorted(map(id, seen)) == sorted(map(id, ranked))


def test_in_a_small_pool_failover_goes_on_with_the_other_and_then_by_cost() -> None:
    ranked = costing(0.1, 0.2, 0.9, 0.01, 0.5)
    assert names(PeakEwma(ranked, drawing(0.0, 0.0))) == "abdec"


def test_the_first_pick_looks_at_two_endpoints_only() -> None:
    looked: Counter[str] = Counter()

    class Seen(Weighed):
        def in_flight(self) -> int:
            looked[self.name] += 1
            return 0

    next(seeded([Seen(str(at)) for at in range(1000)]).order(None, 0.0))
    assert sorted(looked.values()) == [1, 1]


@pytest.mark.parametrize("clients", [1, 2, 5, 20, 200])
@pytest.mark.parametrize("weights", [[1, 1], [1, 1, 1], [2, 1], [5, 1, 1], [10, 1], [1, 0.1, 1]])
def test_of_equally_fast_ones_each_has_its_share_by_weight(weights: list[float], clients: int) -> None:
    shared = shares(seeded(endpoints(weights)), clients=clients, count=5000)
    assert shared["a"] == pytest.approx(weights[0] / sum(weights), abs=0.13)
    assert all(shared.values())


@pytest.mark.parametrize("weights", [[1, 1, 1], [5, 1, 1]])
def test_a_slow_endpoint_gets_almost_nothing(weights: list[float]) -> None:
    shared = shares(seeded(endpoints(weights)), clients=50, count=10_000, latency={"a": 10.0})
    assert 0 < shared["a"] < 0.1


def test_an_endpoint_that_fails_fast_attracts_nothing() -> None:
    ranked = costing(0.1, 0.1, 0.1)
    assert ranked[0].latency is not None
    ranked[0].latency.failed(0.0001, 0.0)
    balancer = seeded(ranked)
    assert {next(balancer.order(None, 1.0)).name for _ in range(100)} == {"b", "c"}


def test_the_repr_names_the_endpoints() -> None:
    assert "'a'" in repr(PeakEwma(endpoints([1])))
