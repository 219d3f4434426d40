"""Why a pool has nobody to send requests to, in words."""

from __future__ import annotations

from time import monotonic, monotonic_ns, time
from typing import TYPE_CHECKING, Final

from lbg.state.condition import patience, read_condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.config.pools import HealthConfig
    from lbg.state.cells import Cells
    from lbg.upstream.endpoint import Endpoint

_DESCRIBED: Final = 5  # endpoints in a sentence


def outage(pool: str, endpoints: Sequence[Endpoint], held: int, cells: Cells, health: HealthConfig) -> str:
    """Return a sentence on each of the first endpoints; `held` of all are draining or in maintenance."""
    now = monotonic_ns()
    epoch = time() - monotonic()
    said = [
        read_condition(cells, endpoint.slot, now, patience(health)).sentence(endpoint.name, epoch)
        for endpoint in endpoints[:_DESCRIBED]
    ]
    more = len(endpoints) - len(said)
    rest = [f"and {more} more"] if more else []
    return f"{_summary(pool, len(endpoints), held)}: {'; '.join(said + rest)}"


def _summary(pool: str, count: int, held: int) -> str:
    whole = (
        f"the only endpoint of pool {pool} is" if count == 1 else f"all {count} endpoints of pool {pool} are"
    )
    if not held:
        return f"{whole} down"
    if held == count:
        return f"{whole} draining or in maintenance"
    return f"none of the {count} endpoints of pool {pool} takes requests"
