"""Pools and leases for tests, without a network."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from lbg.balancing.round_robin import RoundRobin
from lbg.config.pools import PoolConfig
from lbg.errors import UpstreamError
from lbg.http.headers import ResponseRules
from lbg.state.cells import Cells
from lbg.state.layout import Field, Kind, PoolField
from lbg.state.reports import ReportReader
from lbg.upstream.connection import Connection
from lbg.upstream.lease import Lease
from lbg.upstream.pool import Pool
from lbg.upstream.tally import PoolTally
from tests.unit.upstream.scripted_endpoint import Answer, ScriptedEndpoint

if TYPE_CHECKING:
    from lbg.upstream.rotation import Policy


def pool_of(
    *endpoints: ScriptedEndpoint,
    underscores: bool = False,
    policy: "Policy" = RoundRobin,
    worker: int = 0,
    **config: Any,
) -> Pool:
    """Return a pool that hands out `endpoints` in turn, as the worker in slot `worker` has it."""
    assert len({endpoint.slot for endpoint in endpoints}) == len(endpoints)
    cells = endpoints[0].cells if endpoints else Cells.private()
    assert all(endpoint.cells is cells for endpoint in endpoints)
    checked = PoolConfig.model_validate({"endpoints": ["http://unused"], **config})
    tally = PoolTally(cells, slot=0, worker=worker)
    return Pool("api", checked, endpoints, policy, ResponseRules(underscores=underscores), tally)


class Fleet:
    """Endpoints of one pool, on the cells that `workers` workers share."""

    def __init__(self, workers: int = 1) -> None:
        self.cells = Cells.private()
        for worker in range(workers):
            self.cells.register(worker, pid=100 + worker, role=0, generation=1)
        self.endpoints: list[ScriptedEndpoint] = []
        self._reader = ReportReader(self.cells)

    def endpoint(self, *answers: Answer | UpstreamError, **config: Any) -> ScriptedEndpoint:
        """Return an endpoint with these behaviours, in the next slot."""
        config.setdefault("slot", len({endpoint.slot for endpoint in self.endpoints}))
        self.endpoints.append(ScriptedEndpoint(*answers, cells=self.cells, **config))
        return self.endpoints[-1]

    def in_worker(self, worker: int, endpoint: ScriptedEndpoint, **config: Any) -> ScriptedEndpoint:
        """Return the same endpoint as another worker has it."""
        return self.endpoint(slot=endpoint.slot, worker=worker, max_requests=endpoint.max_requests, **config)

    def reports(self) -> list[tuple[int, Kind]]:
        """Return what was reported since the last call: slots and kinds."""
        return [(report.endpoint, report.kind) for report in self._reader.take()]

    def pool_counts(self) -> dict[str, int]:
        """Return what the cells count of the pool, without what is zero."""
        fields = set(PoolField) - {PoolField.OLDEST}
        totals = {field.name.lower(): self.cells.pool_total(0, field) for field in fields}
        return {name: total for name, total in totals.items() if total}

    def in_flight(self) -> int:
        """Return how many requests have not ended."""
        slots = {endpoint.slot for endpoint in self.endpoints}
        return sum(self.cells.total(slot, Field.IN_FLIGHT) for slot in slots)

    def shut(self) -> None:
        """End all connections and their greenlets."""
        for endpoint in self.endpoints:
            endpoint.shut()


@contextmanager
def a_fleet(workers: int = 1) -> Iterator[Fleet]:
    """Lend a fleet without endpoints."""
    fleet = Fleet(workers)
    try:
        yield fleet
    finally:
        fleet.shut()


class NotedLease:
    """A lease that only notes how it ends."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.ends: list[UpstreamError | None] = []

    def release(self, connection: Connection, failure: UpstreamError | None) -> None:
        """Note the end."""
        self.ends.append(failure)

    def as_lease(self) -> Lease:
        """Return this under the type the product asks for."""
        return cast("Lease", self)
