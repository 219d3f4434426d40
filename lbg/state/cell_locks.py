"""Locks that belong to single cells: for what several workers decide together."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbg.state.layout import CELL

if TYPE_CHECKING:
    from collections.abc import Iterator

_PATIENCE: Final = 0.25  # seconds to wait for a lock that others keep for microseconds
_HASTE: Final = 0.001  # seconds to wait in the second after it was in vain
_PAUSE: Final = 0.0001  # seconds
_SPINS: Final = 20


class CellLocks:
    """Locks on ranges of the cell file, which the kernel takes from a process that dies.

    Without a file, `descriptor` is negative: the cells are of one process, and every lock is free.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._hasty_until = 0.0

    @contextmanager
    def locked(self, cell: int) -> Iterator[None]:
        """Hold the lock that belongs to `cell`, of this process and for a few microseconds.

        For what several workers decide together; nothing in it may wait. It dies with its holder.
        When somebody was stopped while holding it, waiting would stop all: then it is not waited for.
        """
        if not self.try_lock(cell):
            self._wait_for(cell)
        try:
            yield
        finally:
            self.unlock(cell)  # of what others hold, it takes nothing away

    def _wait_for(self, cell: int) -> None:
        if any(self.try_lock(cell) for _ in range(_SPINS)):
            return
        now = monotonic()
        ends = now + (_PATIENCE if now >= self._hasty_until else _HASTE)
        while monotonic() < ends:
            _pause()
            if self.try_lock(cell):
                return
        self._hasty_until = monotonic() + 1.0

    def try_lock(self, cell: int) -> bool:
        """Take the lock that belongs to `cell` unless another process has it; `unlock` gives it back."""
        if self._descriptor < 0:
            return True
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, CELL, cell * CELL)
        except BlockingIOError:
            return False
        return True

    def unlock(self, cell: int) -> None:
        """Give a lock back."""
        if self._descriptor >= 0:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN, CELL, cell * CELL)


def _pause() -> None:
    """Let the holder of a lock have the processor, and no other greenlet: time.sleep may be gevent's."""
    if sys.platform == "linux":
        signal.sigtimedwait((), _PAUSE)
    else:
        os.sched_yield()
