"""How a worker is now: its connections, its tunnels, how late its event loop comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from lbg.telemetry.metrics_kinds import SECOND, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from lbg.state.series import Labels, Region

_WINDOW: Final = 10.0  # seconds; the greatest lag is kept for one of them at least, two at most


class Server(Protocol):
    """What serves the clients of this worker."""

    @property
    def connections(self) -> Sized: ...
    @property
    def active(self) -> Sized: ...


class WorkerMetrics:
    """Written at every tick of the event loop. `interval` is its length in seconds."""

    def __init__(self, region: Region, interval: float, tunnels: Callable[[], int]) -> None:
        self._region = region
        self._interval = interval
        self._tunnels = tunnels
        self._last = 0.0
        self._window_ends = 0.0
        self._greatest = self._greatest_before = 0.0
        self.server: Server | None = None

    def tick(self, now: float) -> None:
        """Write what is to be told; `now` is CLOCK_MONOTONIC seconds."""
        self._set(Kind.LOOP_LAG, (), int(self._lag(now) * SECOND))
        self._set(Kind.TUNNELS, (), self._tunnels())
        if self.server is not None:
            active, every = len(self.server.active), len(self.server.connections)
            self._set(Kind.CONNECTIONS, ("active",), active)
            self._set(Kind.CONNECTIONS, ("idle",), max(0, every - active))

    def _lag(self, now: float) -> float:
        """Return the greatest lag of the last seconds: a scrape sees a moment in hundred only."""
        lag = max(0.0, now - self._last - self._interval) if self._last else 0.0
        self._last = now
        if now >= self._window_ends:
            self._greatest_before, self._greatest = self._greatest, 0.0
            self._window_ends = now + _WINDOW
        self._greatest = max(self._greatest, lag)
        return max(self._greatest, self._greatest_before)

    def _set(self, kind: Kind, labels: Labels, value: int) -> None:
        at = self._region.find(kind, labels, 1)
        if at is not None:
            self._region.view[at] = value
