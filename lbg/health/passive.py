"""Passive detection for one pool: failures are told one by one, successes are seen in the counters.

So a request that goes well costs nothing more than its counter. Failures that came in the same moment as
a success count as before it: an endpoint that fails every second request is not ejected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.health.outlier import Outlier
from lbg.state.layout import Field

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from lbg.config.pools import OutlierConfig
    from lbg.state.cells import Cells
    from lbg.state.layout import Cause, Kind

_GOOD: Final = (Field.RESPONSES_2XX, Field.RESPONSES_3XX, Field.RESPONSES_4XX)


class PassiveDetection:
    """An `Outlier` over the slots of a pool, with its eyes on the counters of all workers."""

    def __init__(self, config: OutlierConfig, slots: Iterable[int], cells: Cells) -> None:
        self.slots = tuple(slots)
        self.outlier = Outlier(config, self.slots)
        self._cells = cells
        self._seen: dict[int, int] = {}  # good responses when a suspect was last looked at
        self._unknown = set(self.slots)  # endpoints without a good response so far

    def failed(self, slot: int, kind: Kind, now: float, usable: Container[int]) -> Cause | None:
        """Count a failure; return the cause when the endpoint has to be ejected for it."""
        for other in [other for other in self._unknown if self._good(other)]:
            self._unknown.discard(other)
            self.outlier.succeeded(other)
        self._seen.setdefault(slot, self._good(slot))
        return self.outlier.failed(slot, kind, now, usable)

    def look(self) -> None:
        """See which suspects have answered well meanwhile."""
        for slot, seen in list(self._seen.items()):
            if self._good(slot) != seen:
                del self._seen[slot]
                self.outlier.succeeded(slot)

    def _good(self, slot: int) -> int:
        return sum(self._cells.total(slot, field) for field in _GOOD)
