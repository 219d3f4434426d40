"""The names of the limits, and what the workers count of each."""

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
    LIMIT_TEXT,
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
    from collections.abc import Iterator

    from lbg.state.bucket_memory import BucketMemory

OTHERS: Final = "others"
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
                    name, kind, digest = OTHERS, Kind.RATE, limit_digest(OTHERS, Kind.RATE)
                if view[limit_row(slot)] != half(digest):
                    self._give(slot, name, kind, digest)
            view[limit_row(slot) + LimitField.SEEN] = now
        finally:
            memory.leave(lock)
        return slot

    def name(self, first_half: int) -> str:
        """Return the name of the limit whose digest begins so, OTHERS when it is forgotten."""
        slot = self._with(first_half)
        return OTHERS if slot < 0 else self._text(slot)

    def digest(self, first_half: int) -> bytes:
        """Return the digest that begins so, b"" when its limit is forgotten."""
        slot = self._with(first_half)
        return b"" if slot < 0 else self._memory.digest(limit_row(slot))

    def limits(self) -> Iterator[Limit]:
        """Yield every limit that is known."""
        view = self._memory.view
        size = view[Header.WORKERS] * AREA
        for slot, first_half in enumerate(self._halves()):
            if first_half:
                first = counts(0, slot)
                sums = {field: sum(view[first + field : first + field + size : AREA]) for field in Count}
                yield Limit(self._text(slot), Kind(view[limit_row(slot) + LimitField.KIND] & 1), sums)

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

    def _give(self, slot: int, name: str, kind: Kind, digest: bytes) -> None:
        memory, view, row = self._memory, self._memory.view, limit_row(slot)
        view[row + LimitField.DIGEST] = 0  # nobody's, should we end here
        for worker in range(view[Header.WORKERS]):
            first = counts(worker, slot)
            for cell in range(first, first + COUNTS):
                view[cell] = 0
        view[row + LimitField.KIND] = kind
        memory.set_text(row + LimitField.TEXT, name, LIMIT_TEXT)
        memory.memory[row * CELL : row * CELL + DIGEST] = digest

    def _text(self, slot: int) -> str:
        return self._memory.text(limit_row(slot) + LimitField.TEXT, LIMIT_TEXT)
