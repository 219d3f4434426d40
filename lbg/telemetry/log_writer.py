"""Writes log lines in a thread of its own, so that a slow or full disk holds up no request."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.monkey import get_original

if TYPE_CHECKING:
    from lbg.telemetry.log_target import LogTarget

BACKLOG: Final = 8 * 2**20
"""Bytes of lines that may wait: a few seconds of a worker's busiest, and a bound to its memory."""
GATHER: Final = 0.05

_BATCH: Final = 65536  # bytes
_POLL: Final = 0.01

# gevent replaces the functions that the modules offer; here is a thread that it knows nothing of.
_sleep: Final = get_original("time", "sleep")
_start_thread: Final = get_original("_thread", "start_new_thread")
_SimpleQueue: Final = get_original("queue", "SimpleQueue")


class LogWriter:
    """Takes lines from the loop and never makes it wait; what it has no room for is `lost`.

    `trouble` says in words why lines were lost the last time. The thread starts with the first line of this
    process.
    """

    def __init__(self, target: LogTarget, backlog: int = BACKLOG, gather: float = GATHER) -> None:
        """`backlog` is in characters; for `gather` seconds lines come together for one write."""
        self._target = target
        self._backlog = backlog
        self._gather = gather
        self._queue: Any = _SimpleQueue()
        self.trouble = ""
        self._started = self._ending = self._ended = self._reopening = False
        # Each is changed by one thread only: the first two by the loop's, the others by the writer's.
        self._taken = self._refused = 0
        self._over = self._failed = 0

    def __repr__(self) -> str:
        return f"<LogWriter {self._target!r} lost={self.lost} waiting={self._taken - self._over}>"

    @property
    def lost(self) -> int:
        """The lines that were not written, for whatever reason."""
        return self._refused + self._failed

    @property
    def full(self) -> bool:
        """Whether further lines are lost for want of room."""
        return self._taken - self._over > self._backlog or self._ending

    def put(self, line: str) -> None:
        """Take a line with its line feed, to be written soon."""
        if self.full:
            self._refused += 1
            self.trouble = f"{self._target.name} takes them too slowly"
            return
        self._taken += len(line)
        self._queue.put(line)
        if not self._started:
            self._start()

    def drain(self, timeout: float) -> None:
        """Hold up the whole process, for `timeout` seconds at most, until what waits is written."""
        ends = monotonic() + timeout
        while self._started and self._taken > self._over and monotonic() < ends:
            _sleep(_POLL)

    def reopen(self) -> None:
        """Close the file after what is being written, and go on in a new one."""
        self._reopening = True
        self._queue.put("")

    def close(self, timeout: float) -> None:
        """Write what waits, for `timeout` seconds at most; further lines are lost."""
        self._ending = True
        self._queue.put("")
        ends = monotonic() + timeout
        while self._started and not self._ended and monotonic() < ends:
            gevent.sleep(_POLL)

    def _start(self) -> None:
        self._started = True
        _start_thread(self._run, ())

    def _run(self) -> None:
        try:
            while not self._ending or not self._queue.empty():
                line = self._queue.get()
                if self._gather and not self._ending:
                    _sleep(self._gather)
                self._write_from(line)
        finally:
            self._ended = True

    def _write_from(self, line: str) -> None:
        """Write `line` and all that have come after it."""
        while True:
            if self._reopening:
                self._reopening = False
                self._target.reopen()
            lines, size = self._batch(line)
            if lines:
                lost = self._target.write(lines)
                if lost:
                    self._failed += lost
                    self.trouble = self._target.trouble
                self._over += size
            if self._queue.empty():
                return
            line = self._queue.get()

    def _batch(self, line: str) -> tuple[list[bytes], int]:
        lines = []
        size = 0
        while True:
            if line:
                lines.append(line.encode("utf-8", "backslashreplace"))
                size += len(line)
            if size >= _BATCH or self._queue.empty():
                return lines, size
            line = self._queue.get()
