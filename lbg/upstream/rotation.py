"""Which endpoints of a pool take requests now: computed when one changes, not for each request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lbg.balancing.load import load
from lbg.net.deadline import NEVER
from lbg.state.layout import Admin, Ejection
from lbg.upstream.slow_start import factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from lbg.balancing.balancer import Balancer
    from lbg.upstream.endpoint import Endpoint

    Policy = Callable[[Sequence[Endpoint]], Balancer[Endpoint]]

_REMEMBERED: Final = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Rotation:
    """The balancers to ask, one after the other, and the endpoints that await a trial.

    First come the endpoints that nothing is held against, then those this worker could not connect to
    a moment ago, then the backups. `returnable` are the endpoints that a client may come back to: the
    usable ones and those that drain in good health. `held` counts the endpoints that an operator keeps
    new clients away from. It holds `until` then (CLOCK_MONOTONIC seconds)
    unless a row changes. `ramping` tells that weights still grow. `open` is set when nothing is usable
    and the pool sends requests all the same.
    """

    tiers: tuple[Balancer[Endpoint], ...]
    trials: tuple[Endpoint, ...]
    usable: tuple[Endpoint, ...]
    returnable: frozenset[Endpoint]
    held: int
    until: float
    ramping: bool
    open: bool


def rotation(
    endpoints: Iterable[Endpoint], policy: Policy, *, now: float, slow_start: float, fail_open: bool
) -> Rotation:
    """Return the rotation of a pool at `now`, CLOCK_MONOTONIC seconds; sets the effective weights."""
    endpoints = tuple(endpoints)
    ready = [one for one in endpoints if not one.held]
    held = len(endpoints) - len(ready)
    draining = _draining(endpoints) if held else []
    up = [one for one in ready if not one.down]
    # An ejected endpoint is better than none: it was ejected while there were others.
    usable = [one for one in up if one.ejection is Ejection.NONE] or up
    backups = [one for one in usable if one.backup]
    primaries = [one for one in usable if not one.backup]
    trials = tuple(
        one
        for one in up
        if one.ejection is Ejection.TRIAL and one not in usable and not (one.backup and primaries)
    )
    ramping = _set_weights(endpoints, now, slow_start)
    if not usable and fail_open and ready:
        everyone = LeastRecentlyFailed(ready)
        returnable = frozenset([*ready, *draining])
        return Rotation((everyone,), trials, tuple(ready), returnable, held, NEVER, ramping, open=True)
    suspects = [one for one in primaries if one.suspected_until > now]
    tiers = ([one for one in primaries if one.suspected_until <= now], suspects, backups)
    until = min((one.suspected_until for one in suspects), default=NEVER)
    balancers = tuple(policy(tier) for tier in tiers if tier)
    returnable = frozenset([*usable, *draining])
    return Rotation(balancers, trials, tuple(usable), returnable, held, until, ramping, open=False)


def _set_weights(endpoints: Iterable[Endpoint], now: float, slow_start: float) -> bool:
    """Set the weights in force; return whether one of them still grows."""
    ramping = False
    for endpoint in endpoints:
        share = factor(now, endpoint.ramp_began, slow_start) if slow_start else 1.0
        weight = endpoint.weight_in_force
        endpoint.effective_weight = weight * share if share < 1.0 else weight
        ramping = ramping or share < 1.0
    return ramping


def _draining(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """Return those that drain and can serve the clients they have."""
    draining = [one for one in endpoints if one.admin is Admin.DRAIN]
    return [one for one in draining if not one.down and one.ejection is Ejection.NONE]


class LeastRecentlyFailed:
    """The order of a pool that is down and sends requests all the same: some may well answer.

    Only failures of the last seconds before `now` count, and among equals the load.
    """

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints

    def order(self, key: bytes | None, now: float) -> Iterator[Endpoint]:  # noqa: ARG002
        """Yield first the endpoint whose last failure is the longest ago."""
        since = int((now - _REMEMBERED) * 1e9)
        return iter(sorted(self._endpoints, key=lambda one: (max(one.last_failed, since), load(one))))
