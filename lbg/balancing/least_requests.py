"""The endpoint with the fewest requests in flight for its weight."""

from __future__ import annotations

import random as stdlib_random
from typing import TYPE_CHECKING, Generic, TypeVar

from lbg.balancing.balancer import Candidate
from lbg.balancing.load import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E", bound=Candidate)


class LeastRequests(Generic[E]):
    """Takes the one with the lowest (requests in flight + 1) / weight; of equals, the one not taken longest.

    Where weights differ, all whose (requests in flight) / weight is not above that one's are as good,
    and a draw in proportion to weight decides: else an idle pool would use only its heaviest endpoint.
    A pick looks at every endpoint.
    """

    def __init__(self, endpoints: Sequence[E], random: Callable[[], float] = stdlib_random.random) -> None:
        self._endpoints = tuple(endpoints)
        self._random = random
        self._even = len({endpoint.effective_weight for endpoint in self._endpoints}) <= 1

    def __repr__(self) -> str:
        return f"<LeastRequests {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield the best, then, for failover, the others by load."""
        if not self._endpoints:
            return
        best = self._least() if self._even else self._least_by_weight()
        yield best
        yield from sorted((one for one in self._endpoints if one is not best), key=load)

    def _least(self) -> E:
        best = self._endpoints[0]
        least = best.in_flight()
        for endpoint in self._endpoints:
            requests = endpoint.in_flight()
            if requests < least or (requests == least and endpoint.picked < best.picked):
                best, least = endpoint, requests
        return best

    def _least_by_weight(self) -> E:
        loads = [(one.in_flight(), one.effective_weight, one) for one in self._endpoints]
        requests, weight, _ = min(loads, key=lambda seen: (seen[0] + 1) / seen[1])
        as_good = [(own, one) for there, own, one in loads if there * weight <= requests * own]
        at = self._random() * sum(own for own, _ in as_good)
        for own, endpoint in as_good:
            at -= own
            if at < 0:
                return endpoint
        return as_good[-1][1]
