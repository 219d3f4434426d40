"""What the processes of one master share, as one of them has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lbg.server.roles import Role
from lbg.state.buckets import Buckets
from lbg.state.cells import Cells
from lbg.state.series import Series
from lbg.state.trace_memory import TraceMemory

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Shared:
    """The memory of one process: shared with the others of its master, or private without a `directory`.

    `worker` is the slot that it counts in.
    """

    directory: Path | None
    worker: int
    role: Role
    cells: Cells
    buckets: Buckets
    series: Series
    traces: TraceMemory

    @classmethod
    def of(cls, directory: Path, worker: int) -> Self:
        """Map the files of a worker that has a slot. Raises OSError, Damaged."""
        cells = Cells.open(directory)
        role = list(Role)[cells.role(worker)]
        buckets, series = Buckets.open(directory, worker), Series.open(directory)
        return cls(directory, worker, role, cells, buckets, series, TraceMemory.open(directory))

    @classmethod
    def private(cls) -> Self:
        """Return the memory of a process that shares nothing and does everything."""
        buckets, series, traces = Buckets.private(), Series.private(), TraceMemory.private()
        return cls(None, 0, Role.COMBINED, Cells.private(), buckets, series, traces)

    @property
    def serves(self) -> bool:
        """Whether clients come to this process."""
        return "public" in self.role.listeners

    @property
    def controls(self) -> bool:
        """Whether operators come to this process."""
        return "admin" in self.role.listeners
