"""Requests that wait while every usable endpoint is at its `max_requests`.

First come, first served over all workers: each tells since when its first one waits. A request that ends
here wakes the first one if that is here, too; the others look two hundred times a second, and only while
somebody waits.
"""

from __future__ import annotations

import math
from collections import deque
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

import gevent
from gevent.event import AsyncResult

from lbg.errors import LbgError, LocalReply
from lbg.state.layout import PoolField

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.pools import QueueConfig
    from lbg.upstream.lease import Lease
    from lbg.upstream.tally import PoolTally

_LOOK: Final = 0.005  # seconds
_SLACK: Final = 1.0  # seconds after which somebody who waits for longer than allowed is not alive
_MIN_RETRY_AFTER: Final = 1
_MAX_RETRY_AFTER: Final = 30


class Waiter:
    """One request in the queue. `acquire` returns its lease, None while there is no room.

    A `choosy` one cannot take every endpoint: those behind it may find room when it does not.
    """

    __slots__ = ("acquire", "choosy", "since", "turn")

    def __init__(self, acquire: Callable[[], Lease | None], *, choosy: bool = False) -> None:
        self.acquire = acquire
        self.choosy = choosy
        self.since = monotonic_ns()
        self.turn = AsyncResult()

    def admit(self) -> bool:
        """Hand over the lease, or the reason why there is none any more; False while there is no room."""
        try:
            lease = self.acquire()
        except LbgError as error:
            self.turn.set_exception(error)
            return True
        if lease is None:
            return False
        self.turn.set(lease)
        return True


class Queue:
    """The waiting requests of one pool in one worker; `size` counts those of all workers."""

    def __init__(self, config: QueueConfig, tally: PoolTally) -> None:
        self._size = config.size
        self._timeout = config.timeout
        self._tally = tally
        self._waiters: deque[Waiter] = deque()
        self._looking = False
        self.completed_per_second = 0.0

    def adopt(self, config: QueueConfig) -> None:
        """Keep to other limits from now on; who waits already does so as long as it was told."""
        self._size = config.size
        self._timeout = config.timeout

    def __len__(self) -> int:
        return len(self._waiters)

    def __repr__(self) -> str:
        return f"<Queue {len(self)} here, {self.waiting} of {self._size} in all>"

    @property
    def waiting(self) -> int:
        """How many wait, over all workers."""
        return self._tally.total(PoolField.WAITING)

    def is_contended(self, now: float) -> bool:
        """Return whether somebody in any worker waits for just any endpoint, and so goes first."""
        alive = self._since_alive(int(now * 1e9))
        return any(since > alive for since in self._tally.each(PoolField.OLDEST))

    def wait(self, acquire: Callable[[], Lease | None], timeout: float, *, choosy: bool = False) -> Lease:
        """Return the lease that `acquire` gives when it is this request's turn.

        `timeout` is in seconds and shortens the configured one. Raises LocalReply when the queue is full
        or the time is over; whatever else interrupts the wait passes, and the place is given up.
        """
        waiter = Waiter(acquire, choosy=choosy)
        self._join(waiter)
        unused = True
        try:
            self.freed()
            lease: Lease = waiter.turn.get(timeout=max(0.0, min(self._timeout, timeout)))
            unused = False
        except gevent.Timeout:
            self._tally.add(PoolField.QUEUE_TIMEOUTS)
            raise self._refusal("queue_timeout", "No backend became free in time.") from None
        finally:
            self._leave(waiter)
            if unused and waiter.turn.successful():  # its turn came in the moment in which it left
                waiter.turn.get().cancel()
        return lease

    def _join(self, waiter: Waiter) -> None:
        with self._tally.deciding():
            if self.waiting >= self._size:
                self._tally.add(PoolField.QUEUE_FULL)
                raise self._refusal("queue_full", "All backends are busy and the queue is full.")
            self._tally.add(PoolField.WAITING)
        self._tally.add(PoolField.QUEUED)
        self._waiters.append(waiter)
        self._note_oldest()
        if not self._looking:
            self._looking = True
            gevent.spawn(self._look)

    def _leave(self, waiter: Waiter) -> None:
        self._tally.add(PoolField.WAITING, -1)
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._note_oldest()

    def _refusal(self, reason: str, detail: str) -> LocalReply:
        seconds = math.ceil(self.waiting / self.completed_per_second) if self.completed_per_second else 0
        after = min(max(seconds, _MIN_RETRY_AFTER), _MAX_RETRY_AFTER)
        return LocalReply(reason, detail, headers=(("Retry-After", str(after)),))

    def freed(self) -> None:
        """Let those in whose turn it is, as far as there is room."""
        for waiter in list(self._waiters):
            if (waiter.choosy or self._is_first(waiter)) and waiter.admit():
                self._waiters.remove(waiter)
                self._note_oldest()
            elif not waiter.choosy:
                return

    def _is_first(self, waiter: Waiter) -> bool:
        """Return whether nobody waits for longer in another worker, unless that was stopped."""
        alive = self._since_alive(waiter.since)
        return not any(alive < since < waiter.since for since in self._tally.each(PoolField.OLDEST))

    def _since_alive(self, now: int) -> int:
        """Return since when, in ns, those can have been waiting who have not been forgotten.

        At least 0, which is nobody: soon after a boot all times are small.
        """
        return max(0, now - int((self._timeout + _SLACK) * 1e9))

    def _note_oldest(self) -> None:
        oldest = next((waiter.since for waiter in self._waiters if not waiter.choosy), 0)
        self._tally.set(PoolField.OLDEST, oldest)

    def _look(self) -> None:
        try:
            while self._waiters:
                gevent.sleep(_LOOK)
                self.freed()
        finally:
            self._looking = False
