"""Passive detection for one pool: failures are told one by one, successes are seen in the counters.

So a request that goes well costs nothing more than its counter. Whether a success came between the first
server errors that are told together, nobody can see: of these only one counts, so an endpoint that fails
every second request is not ejected. Failed connects all count: a dead endpoint must be out before the
requests that have to be tried again use up the budget for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.health.outlier import Outlier
from lbg.state.layout import Field, Kind

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from lbg.config.pools import OutlierConfig
    from lbg.state.cells import Cells
    from lbg.state.layout import Cause

_GOOD: Final = (Field.RESPONSES_2XX, Field.RESPONSES_3XX, Field.RESPONSES_4XX)


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

    def failed(self, slot: int, kind: Kind, now: float, usable: Container[int]) -> Cause | None:
        """Count a failure; return the cause when the endpoint has to be ejected for it."""
        if kind is Kind.SERVER_ERROR:
            if slot in self._new:
                return None
            if not self._learned:
                self._learn()
        if slot not in self._seen:
            self._seen[slot] = self._good(slot)
            self._new.add(slot)
        return self.outlier.failed(slot, kind, now, usable)

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
        return sum(self._cells.total(slot, field) for field in _GOOD) - cut
