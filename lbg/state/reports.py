"""What workers tell the control worker of failed requests: a ring per worker in the cell file.

Failures are rare, so they can be told one by one, in order and with their time. That lets the control
worker count consecutive ones over all workers, which sums could not.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from lbg.state.layout import REPORT_CELLS, REPORTS, Header, Kind, WorkerField, reports, worker_row

if TYPE_CHECKING:
    from lbg.state.cells import Cells

_KIND_BITS: Final = 8
_KIND_MASK: Final = (1 << _KIND_BITS) - 1


@dataclass(frozen=True, slots=True, order=True)
class Report:
    """One failure, or the end of a trial, as `worker` tells it. `time` is CLOCK_MONOTONIC ns.

    `good` is how many good responses the worker had had of the endpoint by then: whether there was one
    between two failures shows in it, however late they are read.
    """

    time: int
    endpoint: int
    kind: Kind
    worker: int
    good: int


class ReportWriter:
    """Writes the reports of one worker; the only one that does."""

    def __init__(self, cells: Cells, worker: int) -> None:
        self._cells = cells
        self._view = cells.view
        self._worker = worker
        self._count = worker_row(worker) + WorkerField.REPORTED
        self._ring = reports(worker)

    def report(self, endpoint: int, kind: Kind) -> Report:
        """Tell of the endpoint in slot `endpoint`. What nobody reads is overwritten in the end."""
        count = self._view[self._count]
        good = self._cells.good(endpoint, self._worker)
        told = Report(monotonic_ns(), endpoint, kind, self._worker, good)
        at = self._ring + count % REPORTS * REPORT_CELLS
        self._view[at] = told.time
        self._view[at + 1] = endpoint << _KIND_BITS | kind
        self._view[at + 2] = good
        self._view[self._count] = count + 1
        return told


class ReportReader:
    """Reads the new reports of all workers, from now on."""

    def __init__(self, cells: Cells) -> None:
        self._cells = cells.view
        self._read: dict[int, int] = {}
        for worker in range(self._cells[Header.WORKERS]):
            self._read[worker] = self._written(worker)

    def _written(self, worker: int) -> int:
        return self._cells[worker_row(worker) + WorkerField.REPORTED]

    def take(self) -> list[Report]:
        """Return what came since the last call, in the order of time."""
        found = []
        for worker in range(self._cells[Header.WORKERS]):
            written = self._written(worker)
            first = max(self._read.get(worker, 0), written - REPORTS)
            if first < written:
                self._read[worker] = written  # before they are decoded: a damaged one is not read again
                found += [self._at(worker, number) for number in range(first, written)]
        return sorted(found)

    def _at(self, worker: int, number: int) -> Report:
        at = reports(worker) + number % REPORTS * REPORT_CELLS
        time, content, good = self._cells[at : at + REPORT_CELLS]
        return Report(time, content >> _KIND_BITS, Kind(content & _KIND_MASK), worker, good)
