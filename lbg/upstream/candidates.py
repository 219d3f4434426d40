"""Which endpoints of a pool a request could be sent to at one moment, and why not to the others."""

from __future__ import annotations

from time import monotonic, monotonic_ns, time
from typing import TYPE_CHECKING, Final, NamedTuple

from lbg.state.condition import patience, read_condition

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lbg.config.pools import PoolConfig
    from lbg.state.cells import Cells
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.rotation import Rotation

_LISTED: Final = 20  # endpoints of a large pool


class Candidate(NamedTuple):
    """An endpoint; `why` tells why it was not to be had, or what speaks against it all the same."""

    endpoint: str
    usable: bool
    why: str


class Candidates:
    """Tells of the endpoints of one pool.

    What cells say of them is put into words once for each change of a row: in an outage this is asked
    for each request.
    """

    __slots__ = ("_cells", "_conditions", "_config", "_epoch")

    def __init__(self, cells: Cells, config: PoolConfig) -> None:
        self._cells = cells
        self._config = config
        self._epoch = -1
        self._conditions: dict[Endpoint, str] = {}

    def at(
        self,
        endpoints: Sequence[Endpoint],
        rotation: Rotation,
        tried: Collection[Endpoint],
        epoch: int,
    ) -> tuple[Candidate, ...]:
        """Return the first twenty of `endpoints` as they are, for a request that was at those in `tried`."""
        listed = endpoints[:_LISTED]
        if epoch != self._epoch:
            self._epoch = epoch
            self._conditions = self._in_words(listed, rotation)
        return tuple(self._candidate(endpoint, rotation, tried) for endpoint in listed)

    def _candidate(self, endpoint: Endpoint, rotation: Rotation, tried: Collection[Endpoint]) -> Candidate:
        why = self._conditions[endpoint]
        if endpoint in tried:
            return Candidate(
                endpoint.name, usable=False, why=f"tried before; {why}" if why else "tried before"
            )
        if endpoint not in rotation.usable:
            return Candidate(endpoint.name, usable=False, why=why)
        if not endpoint.has_room():
            full = f"full: {endpoint.in_flight()} of max_requests = {endpoint.max_requests} in flight"
            return Candidate(endpoint.name, usable=False, why=full)
        return Candidate(endpoint.name, usable=True, why=why)

    def _in_words(self, endpoints: Sequence[Endpoint], rotation: Rotation) -> dict[Endpoint, str]:
        now, epoch, health = monotonic_ns(), time() - monotonic(), self._config.health
        words = {}
        for endpoint in endpoints:
            condition = read_condition(
                self._cells, endpoint.slot, now, patience(health), checked=health.type != "none"
            )
            well = condition.usable and endpoint in rotation.usable
            words[endpoint] = "" if well else condition.sentence("", epoch).strip()
        return words
