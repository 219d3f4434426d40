"""Workers whose counts tests write, as the sampler of the control worker reads them."""

from pathlib import Path

from lbg.server.roles import Role
from lbg.state.layout import Field, counters
from lbg.state.series import Region, Series
from lbg.telemetry.metrics_kinds import (
    GAUGES,
    REQUEST_VALUES,
    UPSTREAM_VALUES,
    Kind,
    RequestValue,
    UpstreamValue,
)
from tests.unit.control.control_app import SLOTS, cells_of


class Counting:
    """A control worker in slot 0 and proxy workers in slots 1 and 2."""

    def __init__(self, directory: Path) -> None:
        Series.create(directory)
        self.series = Series.open(directory)
        self.cells = cells_of(Role.CONTROL, Role.PROXY, Role.PROXY)
        self._regions: dict[int, Region] = {}

    def _find(self, worker: int, kind: Kind, labels: tuple[str, ...], size: int) -> int:
        if worker not in self._regions:
            self.series.reserve(worker)
            self._regions[worker] = Region(self.series, worker, GAUGES.__contains__)
        at = self._regions[worker].find(kind, labels, size)
        assert at is not None
        return at

    def attempts(self, name: str, *, worker: int = 1, bucket: int = 0, **fields: int) -> None:
        """Let attempts on `pool/endpoint` end, with durations in this bucket; `fields` are those of cells."""
        for field, number in fields.items():
            self.cells.view[counters(worker, SLOTS[name]) + Field[field.upper()]] += number
        pool, _, endpoint = name.partition("/")
        at = self._find(worker, Kind.UPSTREAM, (pool, endpoint), UPSTREAM_VALUES)
        self.series.view[at + UpstreamValue.DURATION + bucket] += sum(fields.values())

    def requests(
        self, pool: str, number: int, *, worker: int = 1, code: str = "200", bucket: int = 0
    ) -> None:
        """Let requests of clients end, with durations in this bucket."""
        at = self._find(worker, Kind.REQUESTS, ("all", pool, "GET", code), REQUEST_VALUES)
        self.series.view[at + bucket] += number
        self.series.view[at + RequestValue.SUM] += number * 1_000_000
        self.series.view[at + RequestValue.SENT] += number * 1000

    def tunnels(self, pool: str, number: int) -> None:
        """Let requests of clients become tunnels."""
        self.series.view[self._find(1, Kind.TUNNELED, ("all", pool, "GET", "101"), 1)] += number

    def open(self, number: int, *, worker: int = 1) -> None:
        """Let a worker have so many requests in flight."""
        self.series.view[self._find(worker, Kind.IN_FLIGHT, ("all",), 1)] = number
