"""What all workers have counted at one moment, of each endpoint, of each pool and in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from lbg.state.layout import RESPONSES, Field, identity
from lbg.state.series import SeriesReader
from lbg.telemetry.metrics_kinds import BOUNDS, UPSTREAM_BOUNDS, Kind, UpstreamValue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.state.cells import Cells
    from lbg.state.document import Published
    from lbg.state.series import Series

_REQUESTS: Final = len(BOUNDS) + 1
_DURATIONS: Final = len(UPSTREAM_BOUNDS) + 1
_KINDS: Final = frozenset({Kind.REQUESTS, Kind.TUNNELED, Kind.IN_FLIGHT, Kind.UPSTREAM})


class Counts(NamedTuple):
    """Requests that are over, those of them that went wrong, their durations by bucket; those in flight.

    All but `in_flight` only grow.
    """

    requests: int
    errors: int
    durations: list[int]
    in_flight: int


class Moment(NamedTuple):
    """All counts of one moment: by the name of a pool, and by `pool/endpoint`."""

    total: Counts
    pools: dict[str, Counts]
    endpoints: dict[str, Counts]


class _Place(NamedTuple):
    """Where a worker counts requests of a pool in the series."""

    at: int
    timed: bool
    wrong: bool


class CountsReader:
    """Reads cells and series; writes nothing. Counters of dead workers stay in the sums."""

    def __init__(self, published: Published, cells: Cells, series: Series) -> None:
        self._cells = cells
        self._series = SeriesReader(series)
        self._view = series.view
        self._sorted = 0  # entries of the series whose places are known
        self._durations: dict[str, list[int]] = {}
        self._requests: dict[str, list[_Place]] = {}
        self._open: list[tuple[int, int]] = []
        self.adopt(published)

    def adopt(self, published: Published) -> None:
        """Read what `published` has from now on."""
        pools = published.snapshot.config.pools
        self.slots = {
            name: published.slots[name]
            for pool, config in pools.items()
            for name in [identity(pool, endpoint.address.text) for endpoint in config.endpoints]
        }
        self._members = {
            pool: [identity(pool, endpoint.address.text) for endpoint in config.endpoints]
            for pool, config in pools.items()
        }

    def read(self) -> Moment:
        """Return what is counted now. Raises ValueError when the series are damaged."""
        self._sort_new_entries()
        endpoints = {name: self._of_endpoint(name, slot) for name, slot in self.slots.items()}
        cuts = {name: self._cells.total(slot, Field.CUTS) for name, slot in self.slots.items()}
        pools = {
            pool: self._of_requests(
                self._requests.get(pool, ()),
                sum(cuts[name] for name in names),
                sum(endpoints[name].in_flight for name in names),
            )
            for pool, names in self._members.items()
        }
        every = (place for places in self._requests.values() for place in places)
        return Moment(self._of_requests(every, sum(cuts.values()), self._in_flight()), pools, endpoints)

    def _sort_new_entries(self) -> None:
        entries = self._series.entries()
        for entry in entries[self._sorted :]:
            if entry.kind not in _KINDS:
                continue
            if entry.kind == Kind.UPSTREAM:
                pool, endpoint = entry.labels
                places = self._durations.setdefault(identity(pool, endpoint), [])
                places.append(entry.at + UpstreamValue.DURATION)
            elif entry.kind == Kind.IN_FLIGHT:
                self._open.append((entry.worker, entry.at))
            else:
                _, pool, _, code = entry.labels
                place = _Place(entry.at, entry.kind == Kind.REQUESTS, code[0] == "5")
                self._requests.setdefault(pool, []).append(place)
        self._sorted = len(entries)

    def _of_endpoint(self, name: str, slot: int) -> Counts:
        total = self._cells.total
        wrong = total(slot, Field.FAILURES)
        # A response that was cut short is counted as a response and as a failure.
        ended = sum(total(slot, field) for field in RESPONSES) + wrong - total(slot, Field.CUTS)
        durations = [0] * _DURATIONS
        for at in self._durations.get(name, ()):
            durations = _added(durations, self._view[at : at + _DURATIONS])
        errors = wrong + total(slot, Field.RESPONSES_5XX)
        return Counts(ended, errors, durations, total(slot, Field.IN_FLIGHT))

    def _of_requests(self, places: Iterable[_Place], cuts: int, in_flight: int) -> Counts:
        """Add up requests as clients see them; `cuts` are responses that broke off."""
        durations, untimed, wrong = [0] * _REQUESTS, 0, cuts
        for at, timed, is_wrong in places:
            if not timed:
                untimed += self._view[at]
                continue
            counted = self._view[at : at + _REQUESTS].tolist()
            durations = _added(durations, counted)
            if is_wrong:
                wrong += sum(counted)
        return Counts(sum(durations) + untimed, wrong, durations, in_flight)

    def _in_flight(self) -> int:
        live = {slot for slot, *_ in self._cells.workers()} or {0}  # without a master there is one alone
        return sum(self._view[at] for worker, at in self._open if worker in live)


def _added(one: Iterable[int], other: Iterable[int]) -> list[int]:
    return [mine + its for mine, its in zip(one, other, strict=True)]
