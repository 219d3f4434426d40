"""How a worker is now: its connections, its tunnels, how late its event loop comes; and what others count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from lbg.telemetry.metrics_kinds import SECOND, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sized

    from lbg.state.series import Labels, Region

_WINDOW: Final = 10.0  # seconds; the greatest lag is kept for one of them at least, two at most


class Server(Protocol):
    """What serves the clients of this worker."""

    @property
    def connections(self) -> Sized: ...
    @property
    def active(self) -> Sized: ...


def note_start(region: Region, worker: int, role: str) -> None:
    """Count that a worker started, of this number and role; once in a process."""
    at = region.find(Kind.STARTS, (str(worker), role), 1)
    if at is not None:
        region.view[at] += 1


class Followed:
    """Plain counters of this process, whose growth is added to the series of `kind`.

    So what counts them needs to know nothing of metrics, and what the worker before counted stays.
    """

    def __init__(self, region: Region, kind: Kind, counters: Callable[[], Mapping[Labels, int]]) -> None:
        self._region = region
        self._kind = kind
        self._counters = counters
        self._seen: dict[Labels, int] = {}

    def tick(self) -> None:
        """Add what came since the last tick; a counter that fell has begun anew."""
        for labels, count in self._counters().items():
            seen = self._seen.get(labels)
            if count == seen:
                continue
            self._seen[labels] = count
            at = self._region.find(self._kind, labels, 1)
            if at is None:
                at = self._region.spare()
            self._region.view[at] += count if seen is None or count < seen else count - seen


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
        self._followed: list[Followed] = []

    def follow(self, kind: Kind, counters: Callable[[], Mapping[Labels, int]]) -> None:
        """Tell what plain counters of this process say, from now on."""
        self._followed.append(Followed(self._region, kind, counters))

    def tick(self, now: float) -> None:
        """Write what is to be told; `now` is CLOCK_MONOTONIC seconds."""
        self._set(Kind.LOOP_LAG, (), int(self._lag(now) * SECOND))
        self._set(Kind.TUNNELS, (), self._tunnels())
        for followed in self._followed:
            followed.tick()
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
