"""From the `balance` of a pool to what makes its balancers."""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from lbg.balancing.custom import SLOW, Custom
from lbg.balancing.hashing import Rendezvous
from lbg.balancing.least_requests import LeastRequests
from lbg.balancing.peak_ewma import PeakEwma
from lbg.balancing.power_of_two import PowerOfTwo
from lbg.balancing.random import Random
from lbg.balancing.round_robin import RoundRobin
from lbg.hooks.guard import Guard
from lbg.hooks.reference import HookError, load

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.balancing.balancer import Balancer
    from lbg.config.pools import PoolConfig
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.rotation import Policy

_START_RANGE: Final = 1 << 16


def policy_of(name: str, config: PoolConfig, *, serves: bool = True) -> Policy:
    """Return the policy of the pool `name`.

    The user's own is imported only where requests are served, and power_of_two takes its place if that fails.
    """
    match config.balance:
        case "power_of_two":
            return PowerOfTwo
        case "least_requests":
            return LeastRequests
        case "round_robin":
            return _round_robin
        case "peak_ewma":
            return PeakEwma
        case "random":
            return Random
        case "hash":
            return partial(Rendezvous, bound=config.hash_bound)
    return _custom(name, config.balance) if serves else PowerOfTwo


def _round_robin(endpoints: Sequence[Endpoint]) -> Balancer[Endpoint]:
    # Workers that began with the same endpoint would send it their bursts in step.
    return RoundRobin(endpoints, random.randrange(_START_RANGE))  # noqa: S311 - no secret


def _custom(pool: str, reference: str) -> Policy:
    guard = Guard(f'balance "{reference}" of pool {pool}', slow=SLOW)
    try:
        factory = load(reference)
    except HookError as error:
        # A worker that raised here would end the whole server.
        guard.fail(f"is not used, power_of_two takes its place: {error}")
        return PowerOfTwo
    return partial(Custom, factory=factory, guard=guard)
