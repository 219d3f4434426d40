"""An endpoint at random, in proportion to weight."""

from __future__ import annotations

import random as stdlib_random
from math import log
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.balancing.balancer import Candidate
from lbg.balancing.draw import Draw

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E", bound=Candidate)

_DRAWS: Final = 8  # in which failover may hit only endpoints it had before


class Random(Generic[E]):
    """Draws by weight, and for failover again among those that are left."""

    def __init__(self, endpoints: Sequence[E], random: Callable[[], float] = stdlib_random.random) -> None:
        self._endpoints = tuple(endpoints)
        self._random = random
        self._draw = Draw([endpoint.effective_weight for endpoint in self._endpoints], random)

    def __repr__(self) -> str:
        return f"<Random {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:  # noqa: ARG002
        """Yield all in a random order: of those that are left, each comes next in proportion to weight."""
        endpoints, drawn = self._endpoints, set[int]()
        misses = 0
        while misses < _DRAWS and len(drawn) < len(endpoints):
            at = self._draw.one()
            if at in drawn:
                misses += 1
                continue
            drawn.add(at)
            yield endpoints[at]
        rest = [endpoint for at, endpoint in enumerate(endpoints) if at not in drawn]
        yield from sorted(rest, key=self._arrival)

    def _arrival(self, endpoint: E) -> float:
        """Return a time drawn from the exponential distribution of rate `weight`.

        Each is the first of any to come with probability weight / total, and so on among the rest
        (Efraimidis and Spirakis, "Weighted random sampling with a reservoir", 2006).
        """
        return -log(1.0 - self._random()) / endpoint.effective_weight
