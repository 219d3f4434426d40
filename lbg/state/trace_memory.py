"""Traces that all processes map: each worker writes its own, anybody reads them without a lock.

A slot has a sequence number that is odd while it is written, and a checksum: what is being written, or was
when its worker died, is passed over. Traces outlive their worker; the next one in its slot goes on.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final, NamedTuple
from zlib import crc32

from lbg.state.layout import CELL, WORKER_SLOTS
from lbg.state.state_file import Mappings, allocate
from lbg.state.trace_file import FILE, make, open_sound
from lbg.state.trace_layout import (
    AREA,
    HEAD,
    LONGEST,
    SIZE,
    SLOTS,
    Ring,
    RowField,
    SlotField,
    area,
    row,
    slot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LENGTH: Final = (1 << 32) - 1

_MAPPED: Final[Mappings[TraceMemory]] = Mappings()


class Place(NamedTuple):
    """Where a trace was found; `at` is when its request came, UNIX ns. Sorts by that."""

    at: int
    worker: int
    first: int
    sequence: int


class TraceMemory:
    """The mapped rings."""

    def __init__(self, memory: mmap.mmap, descriptor: int = -1) -> None:
        self._memory = memory
        self._descriptor = descriptor
        self._view = memoryview(memory).cast("Q")

    def __repr__(self) -> str:
        return f"<TraceMemory {'private' if self._descriptor < 0 else 'shared'}>"

    @classmethod
    def private(cls) -> TraceMemory:
        """Return traces of this process alone, for servers that have no state directory."""
        memory = cls(mmap.mmap(-1, area(1), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        memory.reserve(0)
        return memory

    @classmethod
    def open(cls, directory: Path) -> TraceMemory:
        """Map the file in `directory`. Raises OSError, or Damaged when it is not a trace file to trust.

        What the master had mapped is taken by its workers as it is, whatever became of the file.
        """
        return _MAPPED.take(directory / FILE, open_sound, SIZE, cls)

    @staticmethod
    def create(directory: Path) -> None:
        """Make a new file in `directory`, in place of one that may be there. Raises OSError."""
        path = directory / FILE
        make(path)
        _MAPPED.pop(path, None)

    def reserve(self, worker: int) -> None:
        """Take the disk space that `worker` needs. Raises OSError when there is none."""
        if self._descriptor >= 0:
            allocate(self._descriptor, area(worker), AREA)
        self._view[row(worker) + RowField.RESERVED] = 1

    def reserved(self, worker: int) -> bool:
        """Return whether `worker` may write: a page without disk space would kill who touches it."""
        return self._view[row(worker) + RowField.RESERVED] == 1

    def write(self, worker: int, ring: Ring, at: int, document: bytes) -> None:
        """Keep a document of at most `LONGEST` bytes, in place of the oldest one. For its worker only.

        `at` is UNIX ns.
        """
        view, count = self._view, row(worker) + RowField.WRITTEN + ring
        number = view[count]
        first = slot(worker, ring, number)
        cell = first // CELL
        view[cell + SlotField.SEQUENCE] = 2 * number + 1
        view[cell + SlotField.AT] = at
        view[cell + SlotField.CHECK] = crc32(document) << 32 | len(document)
        self._memory[first + HEAD : first + HEAD + len(document)] = document
        view[cell + SlotField.SEQUENCE] = 2 * number + 2
        view[count] = number + 1

    def leave_out(self, worker: int) -> None:
        """Count a request that is not kept. For its worker only."""
        self._view[row(worker) + RowField.LEFT_OUT] += 1

    def left_out(self) -> int:
        """Return how many requests were not kept although they failed, by any worker."""
        return sum(self._view[row(worker) + RowField.LEFT_OUT] for worker in self._workers())

    def places(self, worker: int) -> list[Place]:
        """Return where the traces of `worker` are, in no order."""
        if not self.reserved(worker):
            return []
        return list(self._places(worker))

    def _places(self, worker: int) -> Iterator[Place]:
        view = self._view
        for ring in Ring:
            written = min(view[row(worker) + RowField.WRITTEN + ring], SLOTS[ring])
            for number in range(written):
                first = slot(worker, ring, number)
                cell = first // CELL
                sequence = view[cell + SlotField.SEQUENCE]
                if sequence and not sequence & 1:
                    yield Place(view[cell + SlotField.AT], worker, first, sequence)

    def read(self, place: Place, longest: int = LONGEST) -> bytes | None:
        """Return the document at `place`, None when it was overwritten meanwhile or is damaged.

        With a shorter `longest` it is the unchecked beginning of the document.
        """
        cell = place.first // CELL
        check = self._view[cell + SlotField.CHECK]
        length = min(check & _LENGTH, LONGEST)
        document = self._memory[place.first + HEAD : place.first + HEAD + min(length, longest)]
        if self._view[cell + SlotField.SEQUENCE] != place.sequence:
            return None
        if len(document) == length and crc32(document) != check >> 32:
            return None
        return document

    def workers(self) -> list[int]:
        """Return the slots of all workers, dead ones too, that may have written something."""
        return list(self._workers())

    def _workers(self) -> Iterator[int]:
        count = WORKER_SLOTS if self._descriptor >= 0 else 1
        return (worker for worker in range(count) if self.reserved(worker))
