"""One concurrency limit over all workers: how many requests of a key are in flight."""

from __future__ import annotations

import sys
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_layout import (
    AREA,
    DIGEST,
    HOLD_SET,
    HOLD_SETS,
    WAYS,
    Count,
    Header,
    Kind,
    hold_set,
    holds,
)
from lbg.state.layout import CELL
from lbg.state.limit_table import limit_digest

if TYPE_CHECKING:
    from lbg.state.bucket_memory import BucketMemory

FULL: Final = -1
"""The key has as many in flight as it may have."""
UNCOUNTED: Final = -2
"""There is no place for the key: the request passes."""

_STRIDE: Final = 2 * AREA  # half cells
_FIRST: Final = holds(0)


class Holder:
    """One limit. Each worker counts what it holds in cells of its own, so that they end with it."""

    __slots__ = ("_counts", "_hash", "_limit", "_memory", "_own")

    def __init__(self, memory: BucketMemory, name: str, limit: int, counts: int, worker: int) -> None:
        """Let `limit` requests of a key be in flight at once, counting from cell `counts` on."""
        digest = limit_digest(name, Kind.CONCURRENCY)
        self._memory = memory
        self._hash = blake2b(digest, digest_size=DIGEST, key=memory.secret)
        self._counts = counts
        self._limit = limit
        self._own = holds(worker)

    def acquire(self, key: bytes) -> int:
        """Count one more in flight; return what `release` wants then, FULL or UNCOUNTED.

        Raises OSError without locks.
        """
        number, digest = self._place(key)
        memory, view, base = self._memory, self._memory.view, hold_set(number)
        start = base * CELL
        memory.enter(base)
        try:
            at = memory.memory.find(digest, start, start + HOLD_SET * CELL)
            if at < 0:
                at = self._take(number, start, digest)
            if at < 0:
                view[self._counts + Count.UNCOUNTED] += 1
                return UNCOUNTED
            place = number * WAYS + (at - start) // DIGEST
            if self._in_flight(place) >= self._limit:
                view[self._counts + Count.REJECTED] += 1
                return FULL
            memory.halves[self._own + place] += 1
            view[self._counts] += 1
            return place
        finally:
            memory.leave(base)

    def release(self, place: int) -> None:
        """Count one less in flight of what `acquire` returned."""
        if place < 0:
            return
        memory, base = self._memory, hold_set(place // WAYS)
        memory.enter(base)
        try:
            if memory.halves[self._own + place]:
                memory.halves[self._own + place] -= 1
        finally:
            memory.leave(base)

    def _place(self, key: bytes) -> tuple[int, bytes]:
        """Return the set of a key, and its digest."""
        hashed = self._hash.copy()
        hashed.update(key)
        digest = hashed.digest()
        return int.from_bytes(digest[CELL:], sys.byteorder) % HOLD_SETS, digest

    def _take(self, number: int, start: int, digest: bytes) -> int:
        """Give a place to a key; return where its digest is, -1 when all are in use."""
        for at in range(start, start + WAYS * DIGEST, DIGEST):
            if not self._in_flight(number * WAYS + (at - start) // DIGEST):
                self._memory.memory[at : at + DIGEST] = digest
                return at
        return -1

    def _in_flight(self, place: int) -> int:
        memory = self._memory
        first = _FIRST + place
        return sum(memory.halves[first : first + memory.view[Header.WORKERS] * _STRIDE : _STRIDE])
