"""Smooth weighted round robin, as nginx does it (ngx_http_upstream_round_robin.c).

Each pick raises every endpoint's current weight by its own weight, takes the greatest, and lowers
that one by the total: 5,1,1 gives a a b a c a a, not a a a a a b c. The sequence repeats after
sum(weights) / gcd(weights) picks, so it is computed once and then read from a list.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.balancing.balancer import Weighted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

E = TypeVar("E", bound=Weighted)

_REMEMBERED: Final = 65536  # picks; a longer cycle is computed as it goes


class RoundRobin(Generic[E]):
    """Shares requests in proportion to weight; `start` is where in the cycle the first pick lies.

    Workers start at different points, or all would send their first requests to the same endpoint.
    """

    def __init__(self, endpoints: Sequence[E], start: int = 0) -> None:
        self._endpoints = tuple(endpoints)
        self._weights = [endpoint.weight for endpoint in self._endpoints]
        self._current = [0] * len(self._endpoints)
        self._total = sum(self._weights)
        self._period = self._total // math.gcd(*self._weights) if self._weights else 0
        self._cycle: list[E] = []
        self._next = 0
        for _ in range(start % self._period if self._period else 0):
            self._pick()

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield the next pick, then, for failover, further picks, each endpoint once."""
        if not self._endpoints:
            return
        first = self._pick()
        yield first
        seen = {id(first)}
        while len(seen) < len(self._endpoints):
            # Going on in the cycle, not down a fixed list, spreads a dead endpoint's share over all.
            endpoint = self._pick()
            if id(endpoint) not in seen:
                seen.add(id(endpoint))
                yield endpoint

    def _pick(self) -> E:
        at = self._next
        if at < len(self._cycle):
            endpoint = self._cycle[at]
        else:
            endpoint = self._compute()
            if self._period <= _REMEMBERED:
                self._cycle.append(endpoint)
        self._next = at + 1 if at + 1 < self._period else 0
        return endpoint

    def _compute(self) -> E:
        best = 0
        current = self._current
        for index, weight in enumerate(self._weights):
            current[index] += weight
            if current[index] > current[best]:
                best = index
        current[best] -= self._total
        return self._endpoints[best]
