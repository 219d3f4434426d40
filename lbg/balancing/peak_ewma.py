"""The better of two endpoints drawn at random, by how long they take to answer and how busy they are.

finagle chooses so (P2CPeakEwma.scala). Two looks cost the same for three endpoints and for thousands,
and the requests of a moment do not all go to the one that is fastest.
"""

from __future__ import annotations

import random as stdlib_random
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from lbg.balancing.balancer import Candidate
from lbg.balancing.draw import Draw
from lbg.balancing.failover import others
from lbg.balancing.latency import Latency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


class Measured(Candidate, Protocol):
    """An endpoint that keeps its measure, None until a policy wants one; whoever asks it feeds that."""

    latency: Latency | None


E = TypeVar("E", bound=Measured)


class PeakEwma(Generic[E]):
    """Takes the one with the lower cost x (requests in flight + 1); of equals, the one not taken longest.

    Where weights differ, two are drawn in proportion to weight, and the second is taken only if it is
    the better one in two ways: with the new request counted for its weight, and with the new request
    counted as one for both. By the first alone the heavier one would win while nothing is in flight,
    and the lighter one get nothing; by the second alone both would get as many.
    """

    def __init__(self, endpoints: Sequence[E], random: Callable[[], float] = stdlib_random.random) -> None:
        self._endpoints = tuple(endpoints)
        self._random = random
        for endpoint in self._endpoints:
            if endpoint.latency is None:
                endpoint.latency = Latency()
        weights = [endpoint.effective_weight for endpoint in self._endpoints]
        self._draw = Draw(weights, random)
        self._heaviest = max(weights, default=1.0)

    def __repr__(self) -> str:
        return f"<PeakEwma {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield the better of two, then, for failover, the other one and all that are left."""
        endpoints = self._endpoints
        if len(endpoints) < 2:
            yield from endpoints
            return
        drawn = first, second = self._draw.two()
        one, other = endpoints[first], endpoints[second]
        swap = self._is_better(other, one, now)
        yield other if swap else one
        yield one if swap else other
        yield from others(endpoints, drawn, lambda endpoint: _load(endpoint, now), self._random)

    def _is_better(self, one: E, other: E, now: float) -> bool:
        """Return whether `one` is to be taken in place of `other`, which was drawn first."""
        mine, its = _cost(one, now), _cost(other, now)
        m, n = one.in_flight(), other.in_flight()
        v, w = one.effective_weight, other.effective_weight
        if v == w:
            load, limit = mine * (m + 1), its * (n + 1)
            return load < limit or (load == limit and one.picked < other.picked)
        whole = 1.0 / self._heaviest
        return mine * (m + 1) / v < its * (n + 1) / w and mine * (m / v + whole) < its * (n / w + whole)


def _cost(endpoint: Measured, now: float) -> float:
    return endpoint.latency.at(now) if endpoint.latency is not None else 0.0


def _load(endpoint: Measured, now: float) -> tuple[float, int]:
    return _cost(endpoint, now) * (endpoint.in_flight() + 1) / endpoint.effective_weight, endpoint.picked
