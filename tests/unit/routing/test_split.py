"""Shares of requests for pools."""

import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.config.routes import SplitConfig
from lbg.routing.split import Split

KEYS = [b"client-%d" % number for number in range(4000)]


def split_of(**weights: int) -> Split:
    """Return a split over pools with these weights."""
    return Split([SplitConfig(pool=name, weight=weight) for name, weight in weights.items()])


def owners(split: Split) -> dict[bytes, str]:
    """Return which pool each key leads to."""
    return {key: split.pick(key) for key in KEYS}


@pytest.mark.parametrize("keyed", [True, False])
def test_each_pool_gets_its_share(keyed: bool) -> None:
    split = Split(
        [SplitConfig(pool=name, weight=weight) for name, weight in {"a": 70, "b": 25, "c": 5}.items()],
        random.Random(1).random,
    )
    picks = [split.pick(key if keyed else None) for key in KEYS]
    shares = [picks.count(name) / len(KEYS) for name in "abc"]
    assert shares == pytest.approx([0.70, 0.25, 0.05], abs=0.02)


def test_shares_are_told_as_parts_of_one() -> None:
    assert split_of(a=3, b=1, c=0).shares == {"a": 0.75, "b": 0.25, "c": 0.0}


def test_weight_zero_takes_no_request() -> None:
    split = split_of(a=0, b=1)
    assert {split.pick(key) for key in (*KEYS, *[None] * 100)} == {"b"}


def test_chance_at_its_ends_stays_within_the_pools() -> None:
    parts = [
        SplitConfig(pool="a", weight=1),
        SplitConfig(pool="b", weight=0),
        SplitConfig(pool="c", weight=2),
    ]
    assert Split(parts, lambda: 0.0).pick(None) == "a"
    assert Split(parts, lambda: 1.0 - 2**-53).pick(None) == "c"


def test_a_growing_canary_keeps_its_keys_and_only_it_gets_new_ones() -> None:
    five, ten = owners(split_of(main=95, canary=5)), owners(split_of(main=90, canary=10))
    assert {key for key, pool in five.items() if pool == "canary"} < {
        key for key, pool in ten.items() if pool == "canary"
    }
    moved = sum(five[key] != ten[key] for key in KEYS) / len(KEYS)
    assert moved == pytest.approx(0.05, abs=0.015)


def test_a_new_pool_takes_keys_and_gives_none() -> None:
    two, three = owners(split_of(a=50, b=30)), owners(split_of(a=50, c=20, b=30))
    assert {three[key] for key in KEYS if two[key] != three[key]} == {"c"}


def test_the_order_of_the_file_means_nothing() -> None:
    assert owners(split_of(a=3, b=1)) == owners(split_of(b=1, a=3))


def test_every_process_leads_a_key_to_the_same_pool() -> None:
    code = (
        "from lbg.routing.split import Split; from lbg.config.routes import SplitConfig as S;"
        "s = Split([S(pool='a', weight=2), S(pool='b', weight=3)]);"
        "print(''.join(s.pick(b'client-%d' % n) for n in range(64)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    split = split_of(a=2, b=3)
    assert other.stdout.strip() == "".join(split.pick(key) for key in KEYS[:64])


def test_all_weights_zero_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="above 0"):
        split_of(a=0)


@given(st.binary(), st.lists(st.integers(0, 1_000_000), min_size=1, max_size=5).filter(any))
def test_any_key_leads_to_a_pool_that_takes_requests(key: bytes, weights: list[int]) -> None:
    parts = [SplitConfig(pool=f"p{index}", weight=weight) for index, weight in enumerate(weights)]
    assert weights[int(Split(parts).pick(key)[1:])] > 0
