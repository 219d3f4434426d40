"""The better of two endpoints drawn at random: almost as even as the least loaded of all, for two looks.

Mitzenmacher, "The power of two choices in randomized load balancing", 1996. Two looks cost the same
for three endpoints and for thousands, and workers that see the same load do not all choose the same
endpoint.
"""

from __future__ import annotations

import random as stdlib_random
from typing import TYPE_CHECKING, Generic, TypeVar

from lbg.balancing.balancer import Candidate
from lbg.balancing.draw import Draw
from lbg.balancing.failover import others
from lbg.balancing.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E", bound=Candidate)


class PowerOfTwo(Generic[E]):
    """Takes the one with the lower (requests in flight + 1) / weight; of equals, the one not taken longest.

    Where weights differ, two are drawn in proportion to weight, and the second is taken only if it is
    also the one with the lower (requests in flight) / weight. Else the heavier one would always win
    while nothing is in flight, and the lighter get nothing. nginx draws so in `random two least_conn`.
    """

    def __init__(self, endpoints: Sequence[E], random: Callable[[], float] = stdlib_random.random) -> None:
        self._endpoints = tuple(endpoints)
        self._random = random
        self._draw = Draw([endpoint.effective_weight for endpoint in self._endpoints], random)

    def __repr__(self) -> str:
        return f"<PowerOfTwo {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield the better of two, then, for failover, the other one and all that are left."""
        endpoints = self._endpoints
        if len(endpoints) < 2:
            yield from endpoints
            return
        drawn = first, second = self._draw.two()
        one, other = endpoints[first], endpoints[second]
        swap = self._is_better(other, one)
        yield other if swap else one
        yield one if swap else other
        yield from others(endpoints, drawn, load, self._random)

    def _is_better(self, one: E, other: E) -> bool:
        """Return whether `one` is to be taken in place of `other`, which was drawn first."""
        m, n = one.in_flight(), other.in_flight()
        v, w = one.effective_weight, other.effective_weight
        if v == w:
            return m < n or (m == n and one.picked < other.picked)
        return m * w < n * v and (m + 1) * w < (n + 1) * v
