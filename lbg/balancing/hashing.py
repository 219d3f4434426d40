"""Rendezvous hashing: requests with the same key go to the same endpoint, in every process.

Each endpoint has a score for each key, and the highest one wins (Thaler and Ravishankar, "Using
name-based mappings to increase hit rates", 1998). One endpoint of n that comes or goes moves 1/n of the
keys and no others.
"""

from __future__ import annotations

import random as stdlib_random
from functools import lru_cache, partial
from hashlib import blake2b
from heapq import nsmallest
from math import ceil, log
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.balancing.balancer import Candidate
from lbg.balancing.load import load
from lbg.balancing.random import Random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

E = TypeVar("E", bound=Candidate)

_KEYS: Final = 16_384  # whose best endpoints are remembered, in some 5 MB
_BEST: Final = 8  # endpoints remembered of each key
_WHOLE_KEYS: Final = 16  # of which all endpoints are remembered
_LONG: Final = 64  # bytes of a key that is hashed once, not for each endpoint, and not remembered as it is
_ONE: Final = 2.0**-52  # so that the largest score is a float below 1
_EXACT: Final = 16  # endpoints up to which those in flight are counted anew for each request
_GOOD: Final = 1e-4  # seconds per endpoint for which a larger count is good: that is a hundred times its cost
_TINY: Final = 1e-9  # what rounding may add to a share


class Rendezvous(Generic[E]):
    """Takes the endpoint whose score for the key is the highest; without a key one at random.

    The score is -weight / ln(h), with h from 0 to 1 made of key and name: so each endpoint has its part of
    the keys in proportion to weight. With `bound` (percent) an endpoint is passed over while it has its
    share of that many percent of the requests in flight (Mirrokni, Thorup and Zadimoghaddam,
    "Consistent hashing with bounded loads", 2016; HAProxy's hash-balance-factor); 0 is no bound.
    The score of a thousand endpoints takes half a millisecond, so the best ones of a key are remembered.
    """

    def __init__(
        self, endpoints: Sequence[E], bound: int = 0, random: Callable[[], float] = stdlib_random.random
    ) -> None:
        self._endpoints = tuple(endpoints)
        self._bound = bound
        self._random = Random(self._endpoints, random)
        # Hashing goes on from the name; no name has a NUL, so name and key cannot run into each other.
        scored = [(blake2b(one.name.encode() + b"\0", digest_size=8), one) for one in self._endpoints]
        self._best = lru_cache(_KEYS)(partial(_ranked, scored, _BEST))
        self._all = lru_cache(_WHOLE_KEYS)(partial(_ranked, scored, len(scored)))
        self._weight = sum(one.effective_weight for one in self._endpoints)
        self._total = 0
        self._counted = -1.0

    def __repr__(self) -> str:
        return f"<Rendezvous {list(self._endpoints)}>"

    def order(self, key: bytes | None, now: float) -> Iterator[E]:
        """Yield by score those that have room, then the others, the least busy first."""
        if key is None:
            return self._random.order(None, now)
        if len(key) > _LONG:
            key = blake2b(key, digest_size=_LONG).digest()
        ranked = self._by_score(key)
        return self._bounded(ranked, now) if self._bound else ranked

    def _by_score(self, key: bytes) -> Iterator[E]:
        yield from self._best(key)
        if len(self._endpoints) > _BEST:
            yield from self._all(key)[_BEST:]

    def _bounded(self, ranked: Iterator[E], now: float) -> Iterator[E]:
        total = self._in_flight(now)
        full = []
        for endpoint in ranked:
            limit = share(total, self._bound, endpoint.effective_weight / self._weight)
            if endpoint.in_flight() < limit:
                yield endpoint
            else:
                full.append(endpoint)
        yield from sorted(full, key=load)

    def _in_flight(self, now: float) -> int:
        count = len(self._endpoints)
        if count <= _EXACT or not 0 <= now - self._counted < count * _GOOD:
            self._total = sum(endpoint.in_flight() for endpoint in self._endpoints)
            self._counted = now
        return self._total


def share(in_flight: int, bound: int, part: float) -> int:
    """Return how many requests an endpoint may have that is worth `part` of its pool, from 0 to 1.

    `in_flight` is the requests in the pool, `bound` percent. There is always one that has fewer.
    """
    slots = -(-(in_flight + 1) * bound // 100)  # with the one to come; rounded up
    return max(1, ceil(slots * part - _TINY))


def _ranked(scored: Sequence[tuple[blake2b, E]], count: int, key: bytes) -> tuple[E, ...]:
    """Return the `count` endpoints with the highest scores, best first."""
    inverse = []
    for name, endpoint in scored:
        digest = name.copy()
        digest.update(key)
        h = ((int.from_bytes(digest.digest(), "big") >> 12) + 0.5) * _ONE
        inverse.append(-log(h) / endpoint.effective_weight)
    return tuple(scored[at][1] for at in nsmallest(count, range(len(scored)), key=inverse.__getitem__))
