"""The pools of one process: what a new configuration leaves as it was stays as it is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakSet

from lbg.health.fallback import Fallback
from lbg.http.headers import ResponseRules
from lbg.net.deadline import DEADLINES
from lbg.state.layout import identity
from lbg.state.reports import ReportWriter
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.idle import IdleConnections
from lbg.upstream.policies import policy_of
from lbg.upstream.pool import Pool
from lbg.upstream.tally import PoolTally

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbg.app.shared import Shared
    from lbg.config.pools import PoolConfig
    from lbg.state.document import Published


@dataclass(frozen=True, slots=True)
class _Made:
    """A pool and what it was made of: its configuration, the slot of the pool, those of its endpoints."""

    pool: Pool
    config: PoolConfig
    slot: int
    slots: tuple[int, ...]

    def is_of(self, config: PoolConfig, slot: int, slots: tuple[int, ...]) -> bool:
        return (self.config, self.slot, self.slots) == (config, slot, slots)


class Pools:
    """Makes the pools of each configuration that comes into force, and keeps time for them.

    An endpoint that is there in both keeps its connections and whatever waits for it, also where its pool
    is made anew; a pool that is the same in both is the same object.
    """

    def __init__(self, published: Published, shared: Shared, *, serves: bool) -> None:
        """`serves` tells that code of the user has its say here."""
        self._shared = shared
        self._serves = serves
        self._made: dict[str, _Made] = {}
        # Requests that wait or try again in a pool that was replaced keep it alive.
        self._replaced: defaultdict[str, WeakSet[Pool]] = defaultdict(WeakSet)
        self.fallback = Fallback(shared.cells, ReportWriter(shared.cells, shared.worker))
        self.adopt(published)

    def keep_time(self) -> None:
        """Call all pools ten times a second from now on."""
        DEADLINES.on_tick(self._tick)
        DEADLINES.on_tick(self.fallback.tick)

    @property
    def by_name(self) -> dict[str, Pool]:
        """The pools of the configuration in force."""
        return {name: made.pool for name, made in self._made.items()}

    def adopt(self, published: Published) -> None:
        """Take up another configuration."""
        before = self._made
        server = published.snapshot.config.server
        rules = ResponseRules(underscores=server.underscore_headers)
        self._made = {
            name: self._next(name, config, published, before.get(name), rules)
            for name, config in published.snapshot.config.pools.items()
        }
        self.fallback.guard((made.pool, made.config.outlier) for made in self._made.values())
        gone = _endpoints(before) - _endpoints(self._made)
        self._forward_requests(before)
        for endpoint in gone:
            endpoint.retire()

    def _forward_requests(self, before: dict[str, _Made]) -> None:
        for name, made in before.items():
            after = self._made.get(name)
            if after is not None and after.pool is not made.pool:
                self._replaced[name].add(made.pool)
                for pool in self._replaced[name]:
                    pool.follow(after.pool)

    def _next(
        self, name: str, config: PoolConfig, published: Published, before: _Made | None, rules: ResponseRules
    ) -> _Made:
        slot = published.pool_slots[name]
        slots = tuple(published.slots[identity(name, one.address.text)] for one in config.endpoints)
        if before is not None and before.is_of(config, slot, slots):
            return before
        endpoints = self._members(config, slots, before)
        policy = policy_of(name, config, serves=self._serves)
        tally = PoolTally(self._shared.cells, slot=slot, worker=self._shared.worker)
        pool = Pool(name, config, endpoints, policy, rules, tally)
        if before is not None and before.slot == slot:
            pool.succeed(before.pool)
        return _Made(pool, config, slot, slots)

    def _members(
        self, config: PoolConfig, slots: tuple[int, ...], before: _Made | None
    ) -> tuple[Endpoint, ...]:
        known = {}
        if before is not None:
            known = {(endpoint.slot, endpoint.name): endpoint for endpoint in before.pool.endpoints}
        members = []
        for section, slot in zip(config.endpoints, slots, strict=True):
            endpoint = known.get((slot, section.address.text))
            if endpoint is not None:
                endpoint.adopt(section, config.connections)
                if before is None or before.config.balance != config.balance:
                    endpoint.latency = None  # of the policy before
            else:
                endpoint = Endpoint(
                    section,
                    IdleConnections(config.connections),
                    self._shared.cells,
                    slot=slot,
                    worker=self._shared.worker,
                    reporter=self.fallback,
                )
            members.append(endpoint)
        return tuple(members)

    def _tick(self, now: float) -> None:
        for made in self._made.values():
            made.pool.tick(now)


def _endpoints(pools: Mapping[str, _Made]) -> set[Endpoint]:
    return {endpoint for made in pools.values() for endpoint in made.pool.endpoints}
