"""Numbers with labels that all processes map: each written by one worker only, summed by readers.

As with the cells, no lock is needed. A worker adds an entry when it first meets a combination of
labels, and knows it by an index from then on.
"""

from __future__ import annotations

import mmap
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from lbg.state.layout import CELL, WORKER_SLOTS
from lbg.state.series_file import FILE, SIZE, make, open_sound
from lbg.state.series_layout import (
    MAX_TEXT,
    REGION,
    SPARE,
    Header,
    RegionField,
    entries,
    head_of,
    region,
    row,
    text_cells,
)
from lbg.state.state_file import Damaged, Mappings, allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BETWEEN: Final = "\0"  # two labels
_FIRST: Final = SPARE  # cell of a region where entries begin

_MAPPED: Final[Mappings[Series]] = Mappings()

Labels = tuple[str, ...]


class Entry(NamedTuple):
    """An entry of a worker: what it counts, and where its values are."""

    worker: int
    kind: int
    labels: Labels
    at: int
    size: int


class Series:
    """The mapped numbers. `view` is the flat array of unsigned 64-bit numbers."""

    def __init__(self, memory: mmap.mmap, descriptor: int = -1) -> None:
        self._memory = memory
        self._descriptor = descriptor
        self.view = memoryview(memory).cast("Q")

    def __repr__(self) -> str:
        return f"<Series {'private' if self._descriptor < 0 else 'shared'}>"

    @classmethod
    def private(cls) -> Series:
        """Return series of this process alone, for servers that have no state directory."""
        series = cls(mmap.mmap(-1, region(1) * CELL, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        series.note_load(loaded=True)
        return series

    @classmethod
    def open(cls, directory: Path) -> Series:
        """Map the file in `directory`. Raises OSError, or Damaged when it is not a series file to trust.

        What the master had mapped is taken by its workers as it is, whatever became of the file.
        """
        path = directory / FILE

        def sound(memory: mmap.mmap, descriptor: int) -> Series:
            mapped = cls(memory, descriptor)
            mapped._check_entries(path)
            return mapped

        return _MAPPED.take(path, open_sound, SIZE, sound)

    @staticmethod
    def create(directory: Path) -> None:
        """Make a new file in `directory`, in place of one that may be there. Raises OSError."""
        path = directory / FILE
        make(path)
        _MAPPED.pop(path, None)

    def _check_entries(self, path: Path) -> None:
        try:
            for worker in range(WORKER_SLOTS):
                used = self.used(worker)
                if used > REGION:
                    raise ValueError("a region that is too long")
                for _ in self.entries(worker, used):
                    pass
        except ValueError as error:
            raise Damaged(f"{path} has entries that no worker wrote") from error

    def reserve(self, worker: int) -> None:
        """Take the disk space that `worker` needs. Raises OSError when there is none."""
        if self._descriptor >= 0:
            allocate(self._descriptor, region(worker) * CELL, REGION * CELL)

    def note_load(self, *, loaded: bool) -> None:
        """Note whether the configuration could be read just now. For the master only."""
        self.view[Header.LOADED] = loaded
        if loaded:
            self.view[Header.LOADED_AT] = time_ns()

    def used(self, worker: int) -> int:
        """Return how many cells of the region of `worker` are in use; 0 for a region nobody had."""
        return self.view[row(worker) + RegionField.USED]

    def lost(self) -> int:
        """Return how many values found no room, in any region."""
        return sum(self.view[row(worker) + RegionField.LOST] for worker in range(WORKER_SLOTS))

    def entries(self, worker: int, used: int, start: int = _FIRST) -> Iterator[Entry]:
        """Yield what `worker` has between cell `start` and cell `used`. Raises ValueError for damage."""
        for kind, text, size, index, values in entries(self.view, region(worker), start, used):
            data = self._memory[text * CELL : text * CELL + size]
            yield Entry(worker, kind, tuple(data.decode("utf-8").split(_BETWEEN)), index, values)

    def add(self, worker: int, kind: int, labels: Labels, values: int) -> int | None:
        """Add an entry; return the index of its values, None when the region is full. For its worker only."""
        text = _BETWEEN.join(label.replace(_BETWEEN, "?") for label in labels).encode("utf-8", "replace")
        used, first = self.used(worker) or _FIRST, region(worker)
        index = first + used + 1 + text_cells(len(text))
        end = index + values
        if end > first + REGION or len(text) > MAX_TEXT:
            return None
        start = (first + used + 1) * CELL
        # A worker that was killed may have left half an entry here.
        self._memory[start : end * CELL] = bytes(end * CELL - start)
        self._memory[start : start + len(text)] = text
        self.view[first + used] = head_of(kind, len(text), values)
        self.view[row(worker) + RegionField.USED] = end - first
        return index


class Region:
    """The series of one worker, as it writes them; it goes on with those that it finds there."""

    def __init__(self, series: Series, worker: int, is_gauge: Callable[[int], bool]) -> None:
        """`is_gauge` tells of a kind whether it says how things are now: what is left of it is zeroed."""
        self.view = series.view
        self._series = series
        self._worker = worker
        self._spare = region(worker)
        self._lost = row(worker) + RegionField.LOST
        self._known = {(entry.kind, entry.labels): entry.at for entry in self._found(is_gauge)}

    def __repr__(self) -> str:
        return f"<Region {self._worker} entries={len(self._known)}>"

    def _found(self, is_gauge: Callable[[int], bool]) -> Iterator[Entry]:
        for entry in self._series.entries(self._worker, self._series.used(self._worker)):
            if is_gauge(entry.kind):
                for cell in range(entry.at, entry.at + entry.size):
                    self.view[cell] = 0
            yield entry

    def find(self, kind: int, labels: Labels, values: int) -> int | None:
        """Return the index of the values of an entry, which is added if need be; None without room for it."""
        index = self._known.get((kind, labels))
        if index is None:
            index = self._series.add(self._worker, kind, labels, values)
            if index is not None:
                self._known[kind, labels] = index
        return index

    def spare(self) -> int:
        """Return the index of cells that nobody reads, for values without room, and count that."""
        self.view[self._lost] += 1
        return self._spare


class SeriesReader:
    """Reads all regions; what it has parsed once, it does not parse again."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self._seen = [_FIRST] * WORKER_SLOTS
        self._entries: list[Entry] = []

    def entries(self) -> list[Entry]:
        """Return all entries that there are now, those of dead workers included."""
        for worker, seen in enumerate(self._seen):
            used = self.series.used(worker)
            if used > seen:
                self._entries += self.series.entries(worker, used, seen)
                self._seen[worker] = used
        return self._entries

    def values(self, entry: Entry) -> list[int]:
        """Return the values of an entry as they are now."""
        return self.series.view[entry.at : entry.at + entry.size].tolist()
