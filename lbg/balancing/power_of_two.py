"""The better of two endpoints drawn at random: almost as even as the least loaded of all, for two looks.

Mitzenmacher, "The power of two choices in randomized load balancing", 1996. Two looks cost the same
for three endpoints and for thousands, and workers that see the same load do not all choose the same
endpoint.
"""

from __future__ import annotations

import random as stdlib_random
from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.balancing.balancer import Candidate
from lbg.balancing.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E", bound=Candidate)

_SORTED: Final = 16  # endpoints up to which failover looks at the load of all


class PowerOfTwo(Generic[E]):
    """Takes the one with the lower (requests in flight + 1) / weight; of equals, the one not taken longest.

    Where weights differ, two are drawn in proportion to weight, and the second is taken only if it is
    also the one with the lower (requests in flight) / weight. Else the heavier one would always win
    while nothing is in flight, and the lighter get nothing. nginx draws so in `random two least_conn`.
    """

    def __init__(self, endpoints: Sequence[E], random: Callable[[], float] = stdlib_random.random) -> None:
        self._endpoints = tuple(endpoints)
        self._random = random
        self._weights = [endpoint.effective_weight for endpoint in self._endpoints]
        self._even = len(set(self._weights)) <= 1
        self._sums = [] if self._even else list(accumulate(self._weights))

    def __repr__(self) -> str:
        return f"<PowerOfTwo {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield the better of two, then, for failover, the other one and all that are left."""
        endpoints = self._endpoints
        count = len(endpoints)
        if count < 2:
            yield from endpoints
            return
        if self._even:
            first, second = int(self._random() * count), int(self._random() * (count - 1))
            second += second >= first
        else:
            first, second = self._draw_by_weight()
        one, other = endpoints[first], endpoints[second]
        m, n = one.in_flight(), other.in_flight()
        if self._even:
            swap = n < m or (n == m and other.picked < one.picked)
        else:
            swap = self._is_better(second, n, first, m)
        yield other if swap else one
        yield one if swap else other
        yield from self._others(first, second)

    def _draw_by_weight(self) -> tuple[int, int]:
        sums, last = self._sums, len(self._sums) - 1
        first = bisect(sums, self._random() * sums[-1], 0, last)
        weight = self._weights[first]
        before = sums[first] - weight
        at = self._random() * (sums[-1] - weight)
        if at < before:
            return first, bisect(sums, at, 0, first - 1)
        return first, bisect(sums, at + weight, first + 1, last)

    def _is_better(self, one: int, m: int, other: int, n: int) -> bool:
        """Return whether `one` with `m` in flight is to be taken in place of `other` with `n`."""
        v, w = self._weights[one], self._weights[other]
        if v == w:
            a, b = self._endpoints[one], self._endpoints[other]
            return m < n or (m == n and a.picked < b.picked)
        return m * w < n * v and (m + 1) * w < (n + 1) * v

    def _others(self, first: int, second: int) -> Iterator[E]:
        endpoints = self._endpoints
        count = len(endpoints)
        if count <= _SORTED:
            others = [endpoint for at, endpoint in enumerate(endpoints) if at not in (first, second)]
            yield from sorted(others, key=load)
            return
        start = int(self._random() * count)
        for at in range(start - count, start):
            if at % count not in (first, second):
                yield endpoints[at]
