"""Which limits there are, and what the workers count of each."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_layout import (
    AREA,
    COUNTS,
    DIGEST,
    LIMIT_ROW,
    LIMITS,
    Count,
    Header,
    Kind,
    LimitField,
    counts,
    limit_row,
)
from lbg.state.layout import CELL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lbg.state.bucket_memory import BucketMemory

OTHERS: Final = "others"
"""Stands for all limits beyond the first thousand."""
_OTHERS: Final = 0  # the slot of all limits for which there is no other
_AT_ONCE: Final = 60_000_000_000  # ns in which all workers begin to apply a configuration


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit, and what all workers, the dead ones included, counted of it."""

    name: str
    kind: Kind
    counts: dict[Count, int]


def limit_digest(name: str, kind: Kind) -> bytes:
    """Return what a limit is known by."""
    return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=DIGEST, salt=bytes([kind])).digest()


def half(digest: bytes) -> int:
    """Return the first half of a digest as the number that its cell holds."""
    return int.from_bytes(digest[:CELL], sys.byteorder)


class LimitTable:
    """One row per limit. A limit that is not applied any more keeps its own until another needs it."""

    def __init__(self, memory: BucketMemory) -> None:
        self._memory = memory

    def slot(self, name: str, kind: Kind, now: int) -> int:
        """Return the slot of a limit that is applied from `now` on, CLOCK_MONOTONIC ns."""
        memory, view, digest = self._memory, self._memory.view, limit_digest(name, kind)
        lock = limit_row(_OTHERS)
        memory.enter(lock)
        try:
            slot = self._with(half(digest))
            if slot < 0:
                slot = self._free(now)
                if slot == _OTHERS:
                    digest = limit_digest(OTHERS, Kind.RATE)
                if view[limit_row(slot)] != half(digest):
                    self._give(slot, digest)
            view[limit_row(slot) + LimitField.SEEN] = now
        finally:
            memory.leave(lock)
        return slot

    def limits(self, wanted: Iterable[tuple[str, Kind]]) -> Iterator[Limit]:
        """Yield each of these limits that workers have applied; those without a row as OTHERS, together."""
        slots = {first_half: slot for slot, first_half in enumerate(self._halves()) if first_half}
        others = False
        for name, kind in wanted:
            slot = slots.get(half(limit_digest(name, kind)))
            if slot is None:
                others = True
            else:
                yield Limit(name, kind, self._sums(slot))
        if others and _OTHERS in slots.values():
            yield Limit(OTHERS, Kind.RATE, self._sums(_OTHERS))

    def _sums(self, slot: int) -> dict[Count, int]:
        view, first = self._memory.view, counts(0, slot)
        size = view[Header.WORKERS] * AREA
        return {field: sum(view[first + field : first + field + size : AREA]) for field in Count}

    def _halves(self) -> list[int]:
        first = limit_row(0)
        return self._memory.view[first : first + LIMITS * LIMIT_ROW : LIMIT_ROW].tolist()

    def _with(self, first_half: int) -> int:
        halves = self._halves()
        return halves.index(first_half) if first_half in halves else -1

    def _free(self, now: int) -> int:
        """Return an empty slot, else the one of the limit that was not applied for longest."""
        halves = self._halves()
        if 0 in halves[1:]:
            return halves.index(0, 1)
        first = limit_row(0) + LimitField.SEEN
        seen = self._memory.view[first : first + LIMITS * LIMIT_ROW : LIMIT_ROW].tolist()
        oldest = min(range(1, LIMITS), key=seen.__getitem__)
        return oldest if seen[oldest] < now - _AT_ONCE else _OTHERS

    def _give(self, slot: int, digest: bytes) -> None:
        memory, view, row = self._memory, self._memory.view, limit_row(slot)
        view[row + LimitField.DIGEST] = 0  # nobody's, should we end here
        for worker in range(view[Header.WORKERS]):
            first = counts(worker, slot)
            for cell in range(first, first + COUNTS):
                view[cell] = 0
        memory.memory[row * CELL : row * CELL + DIGEST] = digest
