"""Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c).

Each pick raises every endpoint's current weight by its own weight, takes the greatest, and lowers
that one by the total: 5,1,1 gives a a b a c a a, not a a a a a b c. Endpoints of equal weight take
turns, so one look at each distinct weight finds the pick.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.balancing.balancer import Candidate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

E = TypeVar("E", bound=Candidate)

_SKIPPED: Final = 64  # picks at most before the first one; each costs about a microsecond
_PARTS: Final = 100  # of a weight during slow start


class RoundRobin(Generic[E]):
    """Shares requests in proportion to weight; `start` is where in the cycle the first pick lies.

    Workers start at different points, or all would send their first requests to the same endpoint.
    """

    def __init__(self, endpoints: Sequence[E], start: int = 0) -> None:
        weights = _whole([endpoint.effective_weight for endpoint in endpoints])
        self._endpoints = list(endpoints)
        self._total = sum(weights)
        period = self._total // math.gcd(*weights) if weights else 0
        equal = len(set(weights)) == 1
        if equal or period > _SKIPPED:
            # Going along a long cycle takes time; turning round who comes first of equals does not.
            at = start % len(weights)
            weights = weights[at:] + weights[:at]
            self._endpoints = self._endpoints[at:] + self._endpoints[:at]
        self._groups = _grouped(weights, self._endpoints)
        self._picks = 0
        if period and not equal:
            for _ in range(start % min(period, _SKIPPED)):
                self._pick()

    def __repr__(self) -> str:
        return f"<RoundRobin {self._endpoints} after {self._picks} picks>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield the next pick, then, for failover, further picks, each endpoint once."""
        if not self._endpoints:
            return
        first = self._pick()
        yield first
        seen = {id(first)}
        # Going on in the cycle, not down a fixed list, spreads a dead endpoint's share over all. But
        # the cycle may hold thousands of turns of the heaviest before the lightest has one.
        for _ in range(len(self._endpoints)):
            if len(seen) == len(self._endpoints):
                return
            endpoint = self._pick()
            if id(endpoint) not in seen:
                seen.add(id(endpoint))
                yield endpoint
        yield from (endpoint for endpoint in self._endpoints if id(endpoint) not in seen)

    def _pick(self) -> E:
        self._picks += 1
        picks, total = self._picks, self._total
        best, most = self._groups[0], None
        for group in self._groups:
            current = picks * group.weight - total * group.laps
            if most is None or current > most or (current == most and group.place < best.place):
                best, most = group, current
        return best.take()


class _Group(Generic[E]):
    """The endpoints of one weight; they take turns. `laps` is how often each has had its turn.

    `place` is where among all endpoints the next of them stands.
    """

    __slots__ = ("_at", "_members", "laps", "place", "weight")

    def __init__(self, weight: int, members: list[tuple[int, E]]) -> None:
        self.weight = weight
        self.laps = 0
        self._at = 0
        self._members = members
        self.place = members[0][0]

    def take(self) -> E:
        """Return the endpoint whose turn it is, and pass the turn on."""
        _, endpoint = self._members[self._at]
        self._at += 1
        if self._at == len(self._members):
            self._at = 0
            self.laps += 1
        self.place, _ = self._members[self._at]
        return endpoint


def _grouped(weights: Sequence[int], endpoints: Sequence[E]) -> list[_Group[E]]:
    members: dict[int, list[tuple[int, E]]] = {}
    for place, (weight, endpoint) in enumerate(zip(weights, endpoints, strict=True)):
        members.setdefault(weight, []).append((place, endpoint))
    return [_Group(weight, group) for weight, group in members.items()]


def _whole(weights: Sequence[float]) -> list[int]:
    """Return `weights` as whole numbers; the parts of a weight below one are kept to two places."""
    if all(weight == int(weight) for weight in weights):
        return [int(weight) for weight in weights]
    return [max(1, round(weight * _PARTS)) for weight in weights]
