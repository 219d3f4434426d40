"""From `balance` to a balancer: each policy by its name, and the user's own."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from lbg.balancing.hashing import Rendezvous
from lbg.balancing.least_requests import LeastRequests
from lbg.balancing.peak_ewma import PeakEwma
from lbg.balancing.power_of_two import PowerOfTwo
from lbg.balancing.random import Random
from lbg.balancing.round_robin import RoundRobin
from lbg.config.pool_fields import BALANCE
from lbg.config.pools import PoolConfig
from lbg.upstream.policies import policy_of
from tests.unit.upstream.pools import Fleet

CLASSES = {
    "power_of_two": PowerOfTwo,
    "least_requests": LeastRequests,
    "round_robin": RoundRobin,
    "peak_ewma": PeakEwma,
    "random": Random,
    "hash": Rendezvous,
}
HERE = __name__


class Backwards:
    """A policy of the user's."""

    def __init__(self, endpoints: Sequence[Any]) -> None:
        self._endpoints = endpoints

    def order(self, key: bytes | None, now: float) -> list[Any]:
        """Return the last first."""
        return list(reversed(self._endpoints))


def config(balance: str, **more: Any) -> PoolConfig:
    return PoolConfig.model_validate({"endpoints": ["http://unused"], "balance": balance, **more})


def order(fleet: Fleet, config: PoolConfig, *, count: int = 3, key: bytes | None = None) -> list[int]:
    """Return the order of new endpoints, by their place."""
    made = [fleet.endpoint() for _ in range(count)]
    return [made.index(one) for one in policy_of("api", config)(made).order(key, 0.0)]  # type: ignore[arg-type]


def test_every_name_has_a_policy() -> None:
    assert set(CLASSES) == set(BALANCE)


@pytest.mark.parametrize("balance", BALANCE)
def test_a_name_makes_its_balancer(balance: str, fleet: Fleet) -> None:
    balancer = policy_of("api", config(balance))([fleet.endpoint(), fleet.endpoint()])
    assert type(balancer) is CLASSES[balance]


@pytest.mark.parametrize("balance", BALANCE)
def test_a_policy_orders_all_endpoints(balance: str, fleet: Fleet) -> None:
    assert sorted(order(fleet, config(balance), count=20, key=b"key")) == list(range(20))


def test_workers_begin_round_robin_at_different_endpoints(fleet: Fleet) -> None:
    made = [fleet.endpoint() for _ in range(5)]
    policy = policy_of("api", config("round_robin"))
    assert len({next(iter(policy(made).order(None, 0.0))) for _ in range(200)}) == 5


def test_only_a_pool_that_measures_has_its_endpoints_measured(fleet: Fleet) -> None:
    measured, other = fleet.endpoint(), fleet.endpoint()
    policy_of("api", config("peak_ewma"))([measured])
    policy_of("api", config("power_of_two"))([other])
    assert (measured.latency is None, other.latency is None) == (False, True)


def test_the_bound_of_a_pool_holds(fleet: Fleet) -> None:
    made = [fleet.endpoint(), fleet.endpoint()]
    policy = policy_of("api", config("hash", hash_bound=125))
    owner = next(iter(policy(made).order(b"key", 0.0)))
    owner.began()
    owner.began()  # of 2 requests, each may have 2
    assert next(iter(policy(made).order(b"key", 0.0))) is not owner


def test_a_policy_of_the_users_is_found_by_its_name(fleet: Fleet) -> None:
    assert order(fleet, config(f"{HERE}:Backwards")) == [2, 1, 0]


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("no_such_module:make", '"no_such_module"'),
        (f"{HERE}:Backward", f'module "{HERE}" has no attribute "Backward", did you mean "Backwards"?'),
        (f"{HERE}:HERE", f'"{HERE}:HERE" cannot be called, it is of type str'),
    ],
)
def test_without_it_power_of_two_takes_its_place_and_the_log_says_why(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, reference: str, why: str
) -> None:
    balancer = policy_of("api", config(reference))([fleet.endpoint()])
    assert isinstance(balancer, PowerOfTwo)
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    told = record.getMessage()
    assert told.startswith(f'balance "{reference}" of pool api is not used, power_of_two takes its place: ')
    assert why in told


def test_where_nothing_is_served_the_users_code_is_not_imported(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    policy = policy_of("api", config("no_such_module:make"), serves=False)
    assert isinstance(policy([fleet.endpoint()]), PowerOfTwo)
    assert caplog.records == []
