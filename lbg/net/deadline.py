"""One coarse timer for all the deadlines of a worker.

A gevent timeout per wait costs several microseconds a request. Here a wait only stores the time
it may last until; a timer looks at all live streams ten times a second and cancels the overdue.
"""

from __future__ import annotations

import os
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

import gevent

if TYPE_CHECKING:
    from collections.abc import Callable

TICK: Final = 0.1  # seconds: how late a timeout may fire
NEVER: Final = float("inf")


class Overdue(Protocol):
    """What a deadline can be set on."""

    deadline: float

    def expire(self) -> None:
        """End the current wait; called in the hub, so it must not block."""


class Deadlines:
    """Calls `expire()` on every watched object whose `deadline` (CLOCK_MONOTONIC seconds) has passed."""

    __slots__ = ("_on_tick", "_process", "_timer", "_watched")

    def __init__(self) -> None:
        self._watched: set[Overdue] = set()
        self._on_tick: list[Callable[[float], None]] = []
        self._timer: Any = None
        self._process = 0

    def watch(self, item: Overdue) -> None:
        """Look at `item.deadline` from now on; with the first one ticks begin."""
        self._watched.add(item)
        if self._timer is None:
            self.start()

    def start(self) -> None:
        """Let ticks come from now on in this process; further calls do nothing."""
        if self._timer is None or self._process != os.getpid():
            self._process = os.getpid()
            self._timer = gevent.get_hub().loop.timer(TICK, TICK, ref=False)
            self._timer.start(self._tick)

    def forget(self, item: Overdue) -> None:
        """Stop looking at `item`; unknown items are ignored."""
        self._watched.discard(item)

    def on_tick(self, call: Callable[[float], None]) -> None:
        """Call `call(now)` at every tick, in the hub."""
        self._on_tick.append(call)

    def _tick(self) -> None:
        now = monotonic()
        for item in [item for item in self._watched if item.deadline <= now]:
            item.expire()
        for call in self._on_tick:
            call(now)


DEADLINES: Final = Deadlines()
"""The worker's own; processes fork before the first stream exists, so each has its own timer."""
