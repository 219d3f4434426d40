"""A pool: whom it hands out."""

import pytest

from lbg.upstream.pool import NoEndpoint
from tests.unit.upstream.pools import pool_of
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint


def test_leases_go_round_the_endpoints() -> None:
    pool = pool_of(first := ScriptedEndpoint(), second := ScriptedEndpoint())
    assert [pool.acquire(None, [], 0.0).endpoint for _ in range(4)] == [first, second, first, second]


def test_an_endpoint_that_was_tried_is_not_handed_out_again() -> None:
    pool = pool_of(first := ScriptedEndpoint(), second := ScriptedEndpoint())
    assert [pool.acquire(None, [first], 0.0).endpoint for _ in range(3)] == [second] * 3


def test_when_all_were_tried_there_is_none() -> None:
    pool = pool_of(first := ScriptedEndpoint(), second := ScriptedEndpoint())
    with pytest.raises(NoEndpoint):
        pool.acquire(None, [first, second], 0.0)


def test_a_lease_counts_in_flight_from_its_beginning() -> None:
    pool = pool_of(endpoint := ScriptedEndpoint())
    pool.acquire(None, [], 0.0)
    pool.acquire(None, [], 0.0)
    assert endpoint.counts()["in_flight"] == 2


def test_a_refused_lease_counts_nothing() -> None:
    pool = pool_of(endpoint := ScriptedEndpoint())
    with pytest.raises(NoEndpoint):
        pool.acquire(None, [endpoint], 0.0)
    assert endpoint.counts()["in_flight"] == 0


def test_the_repr_names_the_endpoints() -> None:
    assert repr(pool_of(ScriptedEndpoint())) == "<Pool api [<Endpoint 127.0.0.1:8000 weight=1>]>"
