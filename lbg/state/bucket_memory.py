"""The mapped memory of the buckets, and the locks on its sets."""

from __future__ import annotations

import fcntl
import mmap
import threading
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_file import FILE, SIZE, make, new_header, open_sound
from lbg.state.bucket_layout import HOLD_PLACES, SECRET, Header, area, holds
from lbg.state.cell_locks import CellLocks
from lbg.state.layout import CELL, WORKER_SLOTS
from lbg.state.state_file import Damaged, Mappings, allocate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_EXCLUSIVE: Final = fcntl.LOCK_EX | fcntl.LOCK_NB
_HALF: Final = CELL // 2

_MAPPED: Final[Mappings[BucketMemory]] = Mappings()


class BucketMemory(CellLocks):
    """The numbers of all limits and keys: `view` as 64-bit cells, `halves` as 32-bit ones.

    `enter` and `leave` lock a set, given by its first cell; nothing between them may wait. `refused` tells
    the workers of a master that it found no room for all of them, so that none of them shares limits.
    """

    def __init__(self, memory: mmap.mmap, descriptor: int = -1) -> None:
        super().__init__(descriptor)
        self.refused = False
        self.memory = memory
        self.view = memoryview(memory).cast("Q")
        self.halves = memoryview(memory).cast("I")
        self.secret = memory[Header.SECRET * CELL : Header.SECRET * CELL + SECRET]
        self.enter: Callable[[int], object] = self._enter
        self.leave: Callable[[int], object] = self.unlock
        if descriptor < 0:  # the server underneath may use threads
            lock = threading.Lock()
            self.enter = lambda _: lock.acquire()
            self.leave = lambda _: lock.release()

    def __repr__(self) -> str:
        return f"<BucketMemory {'private' if self._descriptor < 0 else 'shared'}>"

    @classmethod
    def private(cls) -> BucketMemory:
        """Return memory of this process alone."""
        memory = mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        header = new_header()
        memory[: len(header)] = header
        return cls(memory)

    @classmethod
    def open(cls, directory: Path) -> BucketMemory:
        """Map the file in `directory`. Raises OSError, or Damaged when it is not a bucket file to trust.

        What the master had mapped is taken by its workers as it is, whatever became of the file.
        """
        path = directory / FILE

        def sound(memory: mmap.mmap, descriptor: int) -> BucketMemory:
            mapped = cls(memory, descriptor)
            mapped._check_header(path)
            return mapped

        return _MAPPED.take(path, open_sound, SIZE, sound)

    def _check_header(self, path: Path) -> None:
        if self.view[Header.WORKERS] > WORKER_SLOTS or self.view[Header.RESERVED] > 1:
            raise Damaged(f"{path} has a header that no master wrote")

    @staticmethod
    def create(directory: Path) -> None:
        """Make a new file in `directory`, in place of one that may be there. Raises OSError."""
        path = directory / FILE
        make(path)
        _MAPPED.pop(path, None)

    @property
    def reserved(self) -> bool:
        """Whether the sets may be touched: a page that the disk has no room for would kill who does."""
        return self.view[Header.RESERVED] != 0 and not self.refused

    def reserve(self, worker: int) -> None:
        """Take the disk space of the sets and of what workers up to `worker` count. Raises OSError."""
        if self._descriptor >= 0:
            allocate(self._descriptor, 0, area(worker + 1) * CELL)  # who adds up reads those before, too
        self.enter(Header.WORKERS)  # workers begin at the same time
        try:
            self.view[Header.WORKERS] = max(self.view[Header.WORKERS], worker + 1)
            self.view[Header.RESERVED] = 1
        finally:
            self.leave(Header.WORKERS)

    def forget(self, worker: int) -> None:
        """Let go of all that a dead worker held."""
        if worker < self.view[Header.WORKERS]:
            first, size = holds(worker) * _HALF, HOLD_PLACES * _HALF
            self.memory[first : first + size] = bytes(size)

    def _enter(self, cell: int) -> None:
        try:
            fcntl.lockf(self._descriptor, _EXCLUSIVE, CELL, cell * CELL)
        except BlockingIOError:
            self._wait_for(cell)

    def text(self, cell: int, longest: int) -> str:
        """Return the text at `cell`, which has at most `longest` bytes."""
        start = cell * CELL
        length = min(self.memory[start], longest)
        return self.memory[start + 1 : start + 1 + length].decode("utf-8", "replace")

    def set_text(self, cell: int, text: str, longest: int) -> None:
        """Write a text to `cell`; what is over `longest` bytes is cut."""
        data = text.encode("utf-8", "replace")[:longest].decode("utf-8", "ignore").encode()
        start = cell * CELL
        self.memory[start : start + 1 + len(data)] = bytes([len(data)]) + data
