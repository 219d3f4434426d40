"""Rendezvous hashing: the score, what moves when endpoints come and go, and the bound."""

import math
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.balancing.hashing import Rendezvous, share
from tests.unit.balancing.candidates import Weighed, endpoints

KEYS = [b"key %d" % number for number in range(5000)]
WEIGHTS = st.lists(st.floats(0.05, 50), min_size=1, max_size=30)


def first(balancer: Rendezvous[Weighed], key: bytes) -> str:
    return next(balancer.order(key, 0.0)).name


def order(balancer: Rendezvous[Weighed], key: bytes) -> str:
    return "".join(endpoint.name for endpoint in balancer.order(key, 0.0))


def owners(ranked: Sequence[Weighed]) -> list[str]:
    """Return who gets each of the keys."""
    balancer = Rendezvous(ranked)
    return [first(balancer, key) for key in KEYS]


def score(endpoint: Weighed, key: bytes) -> float:
    """Return -weight / ln(h), as it is published."""
    digest = blake2b(endpoint.name.encode() + b"\0" + key, digest_size=8).digest()
    h = ((int.from_bytes(digest, "big") >> 12) + 0.5) / 2**52
    return -endpoint.effective_weight / math.log(h)


@settings(deadline=None)
@given(WEIGHTS, st.binary(max_size=64))
def test_the_order_is_that_of_the_scores(weights: list[float], key: bytes) -> None:
    ranked = endpoints(weights)
    expected = sorted(ranked, key=lambda endpoint: score(endpoint, key), reverse=True)
    assert list(map(id, Rendezvous(ranked).order(key, 0.0))) == list(map(id, expected))


def test_a_release_does_not_move_the_keys() -> None:
    balancer = Rendezvous(endpoints([1, 2, 3, 4]))
    assert [order(balancer, b"%d" % key) for key in range(5)] == ["dacb", "cdba", "cdab", "cbad", "abcd"]


SCRIPT = """
from lbg.balancing.hashing import Rendezvous
from tests.unit.balancing.candidates import endpoints
balancer = Rendezvous(endpoints([1, 2, 3, 4, 5]))
print("".join(next(balancer.order(b"%d" % key, 0.0)).name for key in range(200)))
"""


def test_every_process_chooses_the_same() -> None:
    def chosen(seed: str) -> str:
        environ = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", SCRIPT]
        return subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout

    assert len(set(chosen("1").strip())) == 5
    assert chosen("1") == chosen("2")


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_one_that_comes_takes_its_part_of_the_keys_and_moves_no_others(count: int) -> None:
    ranked = endpoints([1] * (count + 1))
    before, after = owners(ranked[:-1]), owners(ranked)
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {ranked[-1].name}
    assert len(moved) / len(KEYS) == pytest.approx(1 / (count + 1), abs=0.02)


def test_one_that_goes_leaves_its_keys_to_all_others() -> None:
    ranked = endpoints([1] * 5)
    before, after = owners(ranked), owners(ranked[1:])
    moved = Counter(new for old, new in zip(before, after, strict=True) if old == "a")
    assert all(old == new for old, new in zip(before, after, strict=True) if old != "a")
    assert all(moved[name] > 0.15 * moved.total() for name in "bcde")


@pytest.mark.parametrize("weights", [[1, 1, 1], [3, 2, 1], [10, 1], [1, 0.1]])
def test_each_endpoint_has_keys_in_proportion_to_weight(weights: list[float]) -> None:
    owned = Counter(owners(endpoints(weights)))
    for name, weight in zip("abc", weights, strict=False):
        assert owned[name] / len(KEYS) == pytest.approx(weight / sum(weights), abs=0.03)


def test_a_weight_that_grows_only_takes_keys() -> None:
    before = owners(endpoints([1, 0.5, 1]))
    after = owners(endpoints([1, 1, 1]))
    assert {new for old, new in zip(before, after, strict=True) if old != new} == {"b"}


def test_the_name_decides_and_not_the_place() -> None:
    ranked = endpoints([1, 2, 3])
    assert owners(ranked) == owners(ranked[::-1])


def test_what_ends_the_name_does_not_begin_the_key() -> None:
    one, other = Weighed("a1"), Weighed("a")
    assert score(one, b"2") != score(other, b"12")
    both = [order(Rendezvous([one, Weighed("b")]), b"%d" % key)[0] for key in range(10, 30)]
    assert both != [order(Rendezvous([other, Weighed("b")]), b"1%d" % key)[0] for key in range(10, 30)]


@pytest.mark.parametrize("bound", [0, 150])
def test_without_a_key_the_weight_decides(bound: int) -> None:
    balancer = Rendezvous(endpoints([3, 1]), bound, random.Random(1).random)
    firsts = Counter(next(balancer.order(None, 0.0)).name for _ in range(5000))
    assert firsts["a"] / 5000 == pytest.approx(0.75, abs=0.03)


@settings(deadline=None)
@given(WEIGHTS, st.binary(), st.sampled_from([0, 125, 200]), st.data())
def test_an_order_yields_each_endpoint_once(
    weights: list[float], key: bytes, bound: int, data: st.DataObject
) -> None:
    ranked = endpoints(weights)
    for endpoint in ranked:
        endpoint.requests = data.draw(st.integers(0, 5))
    seen = list(Rendezvous(ranked, bound).order(key, 0.0))
    assert sorted(map(id, seen)) == sorted(map(id, ranked))


@pytest.mark.parametrize("length", [64, 65, 100_000])
def test_a_key_may_be_long_but_is_hashed_as_a_whole(length: int) -> None:
    balancer = Rendezvous(endpoints([1] * 20))
    firsts = {first(balancer, b"x" * (length - 1) + b"%d" % digit) for digit in range(10)}
    assert len(firsts) > 3


def test_a_key_that_comes_again_is_not_scored_again(monkeypatch: pytest.MonkeyPatch) -> None:
    balancer = Rendezvous(endpoints([1] * 1000))
    chosen = [first(balancer, key) for key in KEYS[:50]]
    monkeypatch.setattr("lbg.balancing.hashing.log", None)
    assert [first(balancer, key) for key in KEYS[:50]] == chosen


def test_only_so_many_keys_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    balancer = Rendezvous(endpoints([1, 1]))
    for key in range(17_000):
        first(balancer, b"%d" % key)
    monkeypatch.setattr("lbg.balancing.hashing.log", None)
    with pytest.raises(TypeError):
        first(balancer, b"0")


# The bound.


@pytest.mark.parametrize(
    ("in_flight", "slots"),
    [(0, 1), (1, 1), (2, 2), (3, 2), (5, 3), (8, 5), (11, 6), (29, 15)],
)
def test_shares_of_three_equal_endpoints_with_a_bound_of_150(in_flight: int, slots: int) -> None:
    assert share(in_flight, 150, 1 / 3) == slots


@pytest.mark.parametrize(
    ("in_flight", "bound", "part", "slots"),
    [
        (99, 125, 0.5, 63),
        (99, 200, 0.5, 100),
        (99, 150, 0.9, 135),
        (99, 150, 0.1, 15),
        (0, 125, 0.001, 1),
        (9, 200, 1.0, 20),
        (43, 175, 9 / 11, 63),  # not 64 for the last bit of a float
    ],
)
def test_a_share_is_the_part_of_the_weight(in_flight: int, bound: int, part: float, slots: int) -> None:
    assert share(in_flight, bound, part) == slots


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0.05, 50), st.integers(0, 50)), min_size=1), st.integers(125, 200))
def test_there_is_always_one_below_its_share(state: list[tuple[float, int]], bound: int) -> None:
    total, weight = sum(requests for _, requests in state), sum(weight for weight, _ in state)
    assert any(requests < share(total, bound, own / weight) for own, requests in state)


def with_requests(*requests: int) -> list[Weighed]:
    """Return endpoints with so many requests, in the order of their scores for b"key"."""
    ranked = list(Rendezvous(endpoints([1] * len(requests))).order(b"key", 0.0))
    for endpoint, count in zip(ranked, requests, strict=True):
        endpoint.requests = count
    return ranked


@pytest.mark.parametrize(
    ("requests", "places"),
    [
        ((0, 0, 0), (0, 1, 2)),
        ((1, 0, 0), (1, 2, 0)),  # 1 in flight: shares of 1
        ((1, 1, 0), (0, 1, 2)),  # 2 in flight: shares of 2
        ((2, 1, 0), (1, 2, 0)),
        ((2, 2, 0), (0, 1, 2)),  # 4 in flight: shares of 3
        ((3, 1, 0), (1, 2, 0)),
        ((9, 3, 0), (1, 2, 0)),
    ],
)
def test_an_endpoint_that_has_its_share_is_passed_over(
    requests: tuple[int, ...], places: tuple[int, ...]
) -> None:
    ranked = with_requests(*requests)
    assert list(Rendezvous(ranked, 150).order(b"key", 0.0)) == [ranked[place] for place in places]


def test_of_those_that_have_their_share_the_less_busy_comes_first() -> None:
    ranked = with_requests(6, 5, 0)  # 11 in flight: shares of 5
    assert list(Rendezvous(ranked, 125).order(b"key", 0.0)) == ranked[::-1]


def test_without_a_bound_load_does_not_matter() -> None:
    ranked = with_requests(1000, 0, 0)
    assert first(Rendezvous(ranked), b"key") == ranked[0].name


def test_one_key_alone_is_spread_as_evenly_as_the_bound_says() -> None:
    ranked = endpoints([1] * 10)
    balancer = Rendezvous(ranked, 125)
    for _ in range(1000):
        next(balancer.order(b"key", 0.0)).requests += 1
    assert max(endpoint.requests for endpoint in ranked) <= 126


def test_a_large_pool_is_counted_now_and_then_only() -> None:
    looked: Counter[float] = Counter()
    now = 0.0

    class Seen(Weighed):
        def in_flight(self) -> int:
            looked[now] += 1
            return 0

    balancer = Rendezvous([Seen(str(at)) for at in range(1000)], 150)
    for now in (1.0, 1.05, 1.2):
        next(balancer.order(b"key", now))
    assert looked[1.0] == looked[1.2] == 1001
    assert looked[1.05] == 1


def test_a_small_pool_is_counted_for_each_request() -> None:
    ranked = with_requests(0, 0, 0)
    balancer = Rendezvous(ranked, 150)
    assert first(balancer, b"key") == ranked[0].name
    ranked[0].requests = ranked[1].requests = 1  # 2 in flight: shares of 2
    assert first(balancer, b"key") == ranked[0].name


def test_the_repr_names_the_endpoints() -> None:
    assert "'a'" in repr(Rendezvous(endpoints([1])))
