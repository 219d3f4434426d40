"""Passive detection for one pool: failures are told one by one, successes are seen in the counters.

So a request that goes well costs nothing more than its counter. Each report says how many good responses
its worker had had, which tells for one worker what is in a row. Whether another worker had one between the
first server errors that are told together, nobody can see: of these only one counts. Failed connects all
count: a dead endpoint must be out before the requests that have to be tried again use up the budget for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.health.outlier import Outlier
from lbg.state.layout import GOOD, Field, Kind

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from lbg.config.pools import OutlierConfig
    from lbg.state.cells import Cells
    from lbg.state.layout import Cause
    from lbg.state.reports import Report


class PassiveDetection:
    """An `Outlier` over the slots of a pool, with its eyes on the counters of all workers."""

    def __init__(self, config: OutlierConfig, slots: Iterable[int], cells: Cells) -> None:
        self.slots = tuple(slots)
        self.outlier = Outlier(config, self.slots)
        self._cells = cells
        self._seen: dict[int, int] = {}  # good responses when a suspect failed for the first time
        self._new: set[int] = set()  # suspects since the last look
        self._unknown = set(self.slots)  # endpoints that were not seen to end a request so far
        self._learned = False  # since the last look
        self._told: dict[tuple[int, int], int] = {}  # good responses at the last report, by worker and slot

    def failed(self, report: Report, now: float, usable: Container[int]) -> Cause | None:
        """Count a failure; return the cause when the endpoint has to be ejected for it."""
        slot = report.endpoint
        if report.kind is Kind.SERVER_ERROR and not self._learned:
            self._learn()
        if self._was_good_before(report):
            self.outlier.succeeded(slot)
        elif report.kind is Kind.SERVER_ERROR and slot in self._new:
            return None
        if slot not in self._seen:
            self._seen[slot] = self._good(slot)
            self._new.add(slot)
        return self.outlier.failed(slot, report.kind, now, usable)

    def _was_good_before(self, report: Report) -> bool:
        """Return whether the worker had a good response since it last told of a failure."""
        key = report.worker, report.endpoint
        before, self._told[key] = self._told.get(key, report.good), report.good
        return report.good > before

    def _learn(self) -> None:
        """See which endpoints do well that nothing was known of: then errors are not shared by all."""
        self._learned = True
        for slot in list(self._unknown):
            known = self.outlier.state(slot).known
            if not known and self._good(slot):
                self.outlier.succeeded(slot)
                known = True
            if known:
                self._unknown.discard(slot)

    def look(self) -> None:
        """See which suspects have answered well meanwhile; called before the failures of each moment."""
        self._new.clear()
        self._learned = False
        for slot, seen in list(self._seen.items()):
            if self._good(slot) > seen:
                del self._seen[slot]
                self.outlier.succeeded(slot)

    def _good(self, slot: int) -> int:
        cut = self._cells.total(slot, Field.CUTS)
        return sum(self._cells.total(slot, field) for field in GOOD) - cut
