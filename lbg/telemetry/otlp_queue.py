"""Spans on their way to the collector: requests put them here and go on, one thread sends them."""

from __future__ import annotations

import logging
from collections import deque
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.telemetry.spans import Span

log = logging.getLogger("lbg.tracing")

PLACES: Final = 2048
"""Spans that can wait, as many as in the SDKs of OpenTelemetry; some 4 MB."""
# To encode a span takes 30 µs, and under gevent all requests of the worker wait meanwhile.
TOGETHER: Final = 64
_INTERVAL: Final = 1.0  # seconds that a span waits for others
_COMPLAINT_INTERVAL: Final = 60.0  # seconds between two lines of the log about lost ones


class Collector(Protocol):
    """Where spans go; `trouble` is why the last could not be delivered."""

    @property
    def trouble(self) -> str: ...

    def send(self, spans: Sequence[Span]) -> bool:
        """Deliver some and return whether that worked; takes seconds at most, raises nothing."""

    def close(self) -> None:
        """Send nothing more, and end what is being sent."""


class SpanQueue:
    """Holds spans until `collector` has them; what finds no place is lost, and so is what cannot be sent.

    The thread begins with the first span, so never in a process that forks afterwards. Under gevent it is a
    greenlet.
    """

    def __init__(self, collector: Collector) -> None:
        self._collector = collector
        self._waiting: deque[Span] = deque()
        self._wake = Event()
        self._closing = False
        self._thread: Thread | None = None
        self._next_complaint = 0.0
        self._told = 0
        self.lost = 0

    def put(self, spans: Sequence[Span]) -> None:
        """Take the spans of a request, or count them as lost; never waits."""
        if len(self._waiting) + len(spans) > PLACES or self._closing:
            self.lost += len(spans)
            self._complain()  # the thread may be waiting for the collector
            return
        self._waiting.extend(spans)
        if self._thread is None:
            self._thread = Thread(target=self._run, name="lbg-spans", daemon=True)
            self._thread.start()
        if len(self._waiting) >= TOGETHER and not self._wake.is_set():
            self._wake.set()

    def close(self, timeout: float) -> None:
        """Send what waits, for so many seconds at most; the rest is lost."""
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        self.lost += len(self._waiting)
        self._waiting.clear()
        self._complain(at_last=True)
        self._collector.close()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(_INTERVAL)
            self._wake.clear()
            self._send()

    def _send(self) -> None:
        while self._waiting:
            count = min(TOGETHER, len(self._waiting))
            spans = [self._waiting.popleft() for _ in range(count)]
            if not self._collector.send(spans):
                self.lost += count
            self._complain()

    def _complain(self, *, at_last: bool = False) -> None:
        """Say at most once a minute how many were lost."""
        now = monotonic()
        if self.lost == self._told or (now < self._next_complaint and not at_last):
            return
        self._next_complaint = now + _COMPLAINT_INTERVAL
        count, self._told = self.lost - self._told, self.lost
        log.warning(
            "lost %d %s: %s",
            count,
            "span" if count == 1 else "spans",
            self._collector.trouble or "more came than could be sent",
            extra={"lost": count},
        )
