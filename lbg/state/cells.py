"""64-bit cells that all processes map: each written by one process only, summed by readers.

No lock is needed: an aligned 8-byte store is atomic, and nobody else stores there. Measured:
0.15 µs an increment, against 1.3 µs for prometheus_client in multiprocess mode.
"""

from __future__ import annotations

import mmap
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lbg.state.cell_file import FILE, SIZE, make, open_sound
from lbg.state.cell_locks import CellLocks
from lbg.state.layout import (
    AREA,
    CELL,
    ENDPOINT_SLOTS,
    FIELDS,
    GOOD,
    HEALTH_FIELDS,
    MAX_WEIGHT,
    POOL_FIELDS,
    POOL_SLOTS,
    TEXT_CELLS,
    WORKER_SLOTS,
    Admin,
    Cause,
    Ejection,
    Field,
    Header,
    Health,
    HealthField,
    PoolField,
    WorkerField,
    area,
    counters,
    health_row,
    pool_row,
    text_at,
    worker_row,
)
from lbg.state.state_file import Damaged, Mappings, allocate

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

_TEXT_BYTES: Final = TEXT_CELLS * CELL - 1
_GENERATIONS: Final = 1 << 32  # more than there ever are

_WORKERS: Final = int(Header.WORKERS)
_EPOCH: Final = int(Header.EPOCH)
_GAUGES: Final = (Field.IN_FLIGHT, Field.AWAITING)
_POOL_GAUGES: Final = (PoolField.WAITING, PoolField.OLDEST)
_GREATEST: Final = {
    HealthField.HEALTH: max(Health),
    HealthField.EJECTION: max(Ejection),
    HealthField.EJECTED_FOR: max(Cause),
    HealthField.ADMIN: max(Admin),
    HealthField.WEIGHT: MAX_WEIGHT,
}

_MAPPED: Final[Mappings[Cells]] = Mappings()


class Cells(CellLocks):
    """The mapped cells. `view` is the flat array of unsigned 64-bit numbers."""

    def __init__(self, memory: mmap.mmap, descriptor: int = -1) -> None:
        super().__init__(descriptor)
        self._memory = memory
        self.view = memoryview(memory).cast("Q")

    def __repr__(self) -> str:
        return f"<Cells workers={[pid for _, pid, _, _ in self.workers()]}>"

    @classmethod
    def private(cls) -> Cells:
        """Return cells of this process alone, for servers that have no state directory."""
        # Not shared with children either: two of them would count in the same cells.
        cells = cls(mmap.mmap(-1, SIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        cells.view[_WORKERS] = 1
        return cells

    @classmethod
    def open(cls, directory: Path) -> Cells:
        """Map the file in `directory`. Raises OSError, or Damaged when it is not a cell file to trust.

        What the master had mapped is taken by its workers as it is, whatever became of the file.
        """
        path = directory / FILE

        def sound(memory: mmap.mmap, descriptor: int) -> Cells:
            mapped = cls(memory, descriptor)
            mapped._check_rows(path)
            return mapped

        return _MAPPED.take(path, open_sound, SIZE, sound)

    def _check_rows(self, path: Path) -> None:
        if self.view[_WORKERS] > WORKER_SLOTS or self.view[Header.GENERATION] >= _GENERATIONS:
            raise Damaged(f"{path} has a header that no master wrote")
        first = health_row(0)
        for field, greatest in _GREATEST.items():
            rows = self.view[first + field : first + ENDPOINT_SLOTS * HEALTH_FIELDS : HEALTH_FIELDS]
            if max(rows) > greatest:
                raise Damaged(f"{path} has rows that no control worker wrote")

    @staticmethod
    def create(directory: Path) -> None:
        """Make a new file in `directory`, in place of one that may be there. Raises OSError."""
        path = directory / FILE
        make(path)
        _MAPPED.pop(path, None)

    def is_file(self, directory: Path) -> bool:
        """Return whether the file in `directory` is the one that is mapped here. Raises OSError."""
        try:
            there = (directory / FILE).lstat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._descriptor))

    def reserve(self, worker: int) -> None:
        """Take the disk space that `worker` needs. Raises OSError when there is none."""
        if self._descriptor >= 0:
            allocate(self._descriptor, area(worker) * CELL, AREA * CELL)

    def total(self, endpoint: int, field: Field) -> int:
        """Return the sum over all workers, the dead ones included."""
        first = counters(0, endpoint) + field
        return sum(self.view[first : first + self.view[_WORKERS] * AREA : AREA])

    def good(self, endpoint: int, worker: int) -> int:
        """Return how many responses below 500, and not cut short, `worker` has had of `endpoint`."""
        row = counters(worker, endpoint)
        good = sum(self.view[row + field] for field in GOOD)
        # Not below 0: a slot that changed hands was cleared between a response and its cut.
        return max(0, good - self.view[row + Field.CUTS])

    def pool_total(self, pool: int, field: PoolField) -> int:
        """Return the sum over all workers, the dead ones included."""
        return sum(self.pool_each(pool, field))

    def pool_each(self, pool: int, field: PoolField) -> list[int]:
        """Return what each worker, the dead ones included, says of `pool`."""
        first = pool_row(0, pool) + field
        return self.view[first : first + self.view[_WORKERS] * AREA : AREA].tolist()

    def changed(self) -> None:
        """Tell all workers that the row of an endpoint has changed. For the control worker only."""
        self.view[_EPOCH] += 1

    def text(self, endpoint: int) -> str:
        """Return what the control worker last said of `endpoint` in words."""
        start = text_at(endpoint) * CELL
        length = min(self._memory[start], _TEXT_BYTES)
        return self._memory[start + 1 : start + 1 + length].decode("utf-8", "replace")

    def set_text(self, endpoint: int, text: str) -> None:
        """Write the text of `endpoint`; what is over 127 bytes is cut. For the control worker only."""
        data = text.encode("utf-8", "replace")[:_TEXT_BYTES].decode("utf-8", "ignore").encode()
        start = text_at(endpoint) * CELL
        self._memory[start : start + 1 + len(data)] = bytes([len(data)]) + data

    def clear_endpoint(self, endpoint: int) -> None:
        """Forget all about `endpoint`: its slot goes to another one.

        What is in flight stays: it ends where it began, in old workers that know the old endpoint.
        """
        for row, size in [(health_row(endpoint), HEALTH_FIELDS), (text_at(endpoint), TEXT_CELLS)]:
            self._clear(range(row, row + size))
        for worker in range(self.view[_WORKERS]):
            row = counters(worker, endpoint)
            self._clear(row + field for field in Field if field not in _GAUGES)

    def clear_pool(self, pool: int) -> None:
        """Forget all about `pool` but who is waiting: its slot goes to another one."""
        for worker in range(self.view[_WORKERS]):
            row = pool_row(worker, pool)
            self._clear(row + field for field in PoolField if field not in _POOL_GAUGES)

    def _clear(self, cells: Iterable[int]) -> None:
        for index in cells:
            if self.view[index]:
                self.view[index] = 0

    def register(self, worker: int, pid: int, role: int, generation: int) -> None:
        """Note which process holds slot `worker`; gauges that a predecessor left behind are zeroed."""
        self._clear_gauges(worker)
        self.enlist(worker, pid, role, generation)
        with self.locked(_WORKERS):  # workers begin at the same time
            self.view[_WORKERS] = max(self.view[_WORKERS], worker + 1)

    def enlist(self, worker: int, pid: int, role: int, generation: int) -> None:
        """Note that a process lives which counts elsewhere: its slot is in no sum."""
        row = worker_row(worker)
        self.view[row + WorkerField.ROLE] = role
        self.view[row + WorkerField.GENERATION] = generation
        self.view[row + WorkerField.PID] = pid

    def workers(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield (slot, pid, role, generation) of every live worker."""
        for slot in range(WORKER_SLOTS):
            row = worker_row(slot)
            pid, role, generation = self.view[row : row + WorkerField.REPORTED]
            if pid:
                yield slot, pid, role, generation

    def role(self, worker: int) -> int:
        """Return the number of the role of the worker in a slot."""
        return self.view[worker_row(worker) + WorkerField.ROLE]

    def forget(self, worker: int, pid: int) -> None:
        """Take a dead worker's row and gauges away, unless another process has the slot by now."""
        row = worker_row(worker)
        with self.locked(row):  # a new worker may take the slot at this moment
            if self.view[row + WorkerField.PID] == pid:
                self._clear_gauges(worker)
                self.view[row + WorkerField.PID] = 0

    def forget_dead(self, known: Container[int] = ()) -> list[int]:
        """Forget the workers that have died; return the slots of the others. Those `known` to live do."""
        living = []
        for slot, pid, _, _ in self.workers():
            if pid in known or self.is_worker(pid):
                living.append(slot)
            else:
                self.forget(slot, pid)
        return living

    def is_worker(self, pid: int) -> bool:
        """Return whether `pid` lives and, where the system tells, has mapped these cells.

        Numbers of processes come again: in a container that is started anew, the same ones at once.
        """
        inode = os.fstat(self._descriptor).st_ino
        try:
            with Path("/proc", str(pid), "maps").open("rb") as maps:
                return any(int(line.split(maxsplit=5)[4]) == inode for line in maps)
        except OSError:
            pass  # no such process, or nothing to learn about it
        try:
            os.kill(pid, 0)
        except (OSError, OverflowError):
            return False
        return True

    def _clear_gauges(self, worker: int) -> None:
        if worker >= self.view[_WORKERS]:
            return
        for field in _GAUGES:
            first = counters(worker, 0) + field
            self._clear(range(first, first + ENDPOINT_SLOTS * FIELDS, FIELDS))
        for gauge in _POOL_GAUGES:
            first = pool_row(worker, 0) + gauge
            self._clear(range(first, first + POOL_SLOTS * POOL_FIELDS, POOL_FIELDS))
