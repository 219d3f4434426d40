"""Rates and latencies of the last minutes, sampled from what all workers count."""

from __future__ import annotations

import logging
import threading
from collections import deque
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from lbg.control.stats_counts import CountsReader
from lbg.control.stats_track import KEPT, Track
from lbg.telemetry.metrics_kinds import BOUNDS, UPSTREAM_BOUNDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.state.cells import Cells
    from lbg.state.document import Published
    from lbg.state.series import Series

Document = dict[str, Any]

log = logging.getLogger("lbg.stats")

INTERVAL: Final = 2.0  # seconds
WINDOW: Final = 10.0  # seconds


class Stats:
    """Keeps samples of five minutes, in bounded memory.

    It is ordinary threaded Python, which gevent makes greenlets of. It outlives a configuration: `adopt`
    takes the next one. `clock` gives CLOCK_MONOTONIC seconds, `wall` UNIX time.
    """

    def __init__(
        self,
        published: Published,
        cells: Cells,
        series: Series,
        clock: Callable[[], float] = monotonic,
        wall: Callable[[], float] = time,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._counts = CountsReader(published, cells, series)
        self._times: deque[float] = deque(maxlen=KEPT)
        self._total = Track(BOUNDS)
        self._pools: dict[str, Track] = {}
        self._endpoints: dict[str, Track] = {}
        self._failing = False
        self._prepare()
        self._follow(published, {})

    def __repr__(self) -> str:
        return f"<Stats of {len(self._endpoints)} endpoints, {len(self._times)} samples>"

    def _prepare(self) -> None:
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def adopt(self, published: Published) -> None:
        """Go on with the pools and endpoints of another configuration; those that stay keep their history."""
        with self._lock:
            slots = self._counts.slots
            self._counts.adopt(published)
            self._follow(published, slots)

    def _follow(self, published: Published, slots: dict[str, int]) -> None:
        """Have a track for each pool and endpoint, a new one where `slots` had it in another place."""
        self._pools = {
            name: self._pools.get(name) or Track(BOUNDS) for name in published.snapshot.config.pools
        }
        self._endpoints = {
            name: self._endpoints[name] if slots.get(name) == slot else Track(UPSTREAM_BOUNDS)
            for name, slot in self._counts.slots.items()
        }

    def start(self) -> None:
        """Sample from now on, in a thread of its own. Called once more in a process forked since."""
        self._prepare()  # a lock that was held and the thread stay behind in the parent
        self._thread = threading.Thread(target=self._run, name="lbg-stats", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Sample no more."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _run(self) -> None:
        stopping = self._stopping
        while True:
            try:
                self.sample()
                self._failing = False
            except Exception:
                # A bug here must not end the numbers for good, nor fill the log.
                if not self._failing:
                    log.exception("the numbers of the last seconds are missing")
                self._failing = True
            if stopping.wait(INTERVAL):
                return

    def sample(self) -> None:
        """Take one more sample. Raises ValueError when the series are damaged."""
        with self._lock:
            at, moment = self._clock(), self._counts.read()
            self._times.append(round(self._wall(), 3))
            self._total.note(at, moment.total)
            for name, counts in moment.pools.items():
                self._pools[name].note(at, counts)
            for name, counts in moment.endpoints.items():
                self._endpoints[name].note(at, counts)

    def document(self, since: float | None = None) -> Document:
        """Return the document of `/api/v1/stats`: all samples, or those after `since`, UNIX time."""
        with self._lock:
            now = round(self._wall(), 3)
            newer = self._newer(None if since is None or since > now else since)
            return {
                "now": now,
                "interval": INTERVAL,
                "window": WINDOW,
                "times": list(self._times)[len(self._times) - newer :],
                "total": self._total.document(newer),
                "pools": {name: track.document(newer) for name, track in self._pools.items()},
                "endpoints": {name: track.document(newer) for name, track in self._endpoints.items()},
            }

    def _newer(self, since: float | None) -> int:
        if since is None:
            return len(self._times)
        return sum(1 for moment in self._times if moment > since)
