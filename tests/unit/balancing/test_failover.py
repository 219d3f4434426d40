"""Failover after two drawn endpoints: who is next, in small pools and in large ones."""

import pytest

from lbg.balancing.failover import others
from lbg.balancing.load import load
from tests.unit.balancing.candidates import endpoints


def test_in_a_small_pool_the_others_come_by_load() -> None:
    ranked = endpoints([1] * 5)
    for endpoint, requests in zip(ranked, (1, 2, 9, 0, 5), strict=True):
        endpoint.requests = requests
    assert "".join(one.name for one in others(ranked, (0, 1), load, float)) == "dec"


@pytest.mark.parametrize(("drawn", "first"), [(0.0, "0"), (0.5, "50"), (0.999, "99")])
def test_in_a_large_pool_they_come_from_anywhere_on(drawn: float, first: str) -> None:
    ranked = endpoints([1] * 100)
    names = [one.name for one in others(ranked, (3, 7), load, lambda: drawn)]
    assert names[0] == first
    assert set(names) == {one.name for one in ranked} - {"3", "7"}
