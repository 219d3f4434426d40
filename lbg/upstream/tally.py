"""What is counted of one pool: each worker in its own cells, summed over all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.state.layout import PoolField, pool_row

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lbg.state.cells import Cells


class PoolTally:
    """The cells of the pool in row `slot`, as the worker in slot `worker` writes them."""

    __slots__ = ("_row", "_slot", "_view", "cells")

    def __init__(self, cells: Cells, *, slot: int, worker: int) -> None:
        self.cells = cells
        self._view = cells.view
        self._slot = slot
        self._row = pool_row(worker, slot)

    def __repr__(self) -> str:
        return f"<PoolTally {[self.total(field) for field in PoolField]}>"

    def index(self, field: PoolField) -> int:
        """Return the index of the cell of this worker, for counting without a call."""
        return self._row + field

    def add(self, field: PoolField, count: int = 1) -> None:
        """Count `count` more."""
        self._view[self._row + field] += count

    def total(self, field: PoolField) -> int:
        """Return the sum over all workers, the dead ones included."""
        return self.cells.pool_total(self._slot, field)

    def set(self, field: PoolField, value: int) -> None:
        """Write what is no count."""
        self._view[self._row + field] = value

    def each(self, field: PoolField) -> list[int]:
        """Return what each worker has written, the dead ones included."""
        return self.cells.pool_each(self._slot, field)

    def deciding(self) -> AbstractContextManager[None]:
        """Return what keeps other workers from deciding on the same totals meanwhile."""
        return self.cells.locked(pool_row(0, self._slot))
