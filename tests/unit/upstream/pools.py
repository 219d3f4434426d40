"""Pools and leases for tests, without a network."""

from typing import Any, cast

from lbg.balancing.round_robin import RoundRobin
from lbg.config.schema import PoolConfig
from lbg.errors import UpstreamError
from lbg.http.headers import ResponseRules
from lbg.upstream.connection import Connection
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.lease import Lease
from lbg.upstream.pool import Pool


def pool_of(*endpoints: Endpoint, underscores: bool = False, **config: Any) -> Pool:
    """Return a pool that hands out `endpoints` in turn."""
    checked = PoolConfig.model_validate({"endpoints": ["http://unused"], **config})
    return Pool("api", checked, endpoints, RoundRobin(endpoints), ResponseRules(underscores=underscores))


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
