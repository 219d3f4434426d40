"""One endpoint under the eyes of the control worker."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from lbg.health.counter import HealthCounter
from lbg.state.condition import patience
from lbg.state.health_row import HealthRow
from lbg.state.layout import RESPONSES, Admin, Field, Health, HealthField

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbg.config.pools import EndpointConfig, HealthConfig, OutlierConfig, PoolConfig
    from lbg.health.passive import PassiveDetection
    from lbg.health.probe import Probe, ProbeResult
    from lbg.state.cells import Cells

_JITTER: Final = 0.1
_BELIEVED: Final = 30_000_000_000  # ns: a reload takes longer than three short intervals
_KEPT: Final = 600_000_000_000  # ns: what is older tells nothing of now
_HASTE: Final = 0.25  # of the fast interval: between the beginnings of two checks that are in a hurry


@dataclass(frozen=True, slots=True)
class WatchedPool:
    """What the endpoints of one pool have in common."""

    name: str
    config: PoolConfig
    passive: PassiveDetection

    def is_of(self, name: str, outlier: OutlierConfig, slots: Sequence[int]) -> bool:
        """Return whether the passive detection is of this pool with this configuration."""
        return self.name == name and self.config.outlier == outlier and self.passive.slots == tuple(slots)


class Watched:
    """The endpoint in `slot`: its probe, its row, and when it is checked next (`due`).

    Times are seconds of CLOCK_MONOTONIC.
    """

    def __init__(
        self, pool: WatchedPool, endpoint: EndpointConfig, probe: Probe | None, cells: Cells, slot: int
    ) -> None:
        self.pool = pool
        self.url = endpoint.url
        self.weight = endpoint.weight
        self.probe = probe
        self.slot = slot
        self.row = HealthRow(cells, slot)
        self.counter = HealthCounter(pool.config.health.rise, pool.config.health.fall)
        self.due = 0.0
        self.running = False
        self.checked = False
        self.awaited = False
        """Whether what the row says is too old to rely on, or nothing, before the first check."""
        self._cells = cells
        self.began = 0.0
        self._answered = 0

    def __repr__(self) -> str:
        return f"<Watched {self.pool.name} {self.url} {self.row!r} due={self.due:.1f}>"

    def is_at(self, other: Watched) -> bool:
        """Return whether both are the same endpoint of the same pool."""
        return (self.pool.name, self.url) == (other.pool.name, other.url)

    def is_like(self, pool: WatchedPool, endpoint: EndpointConfig) -> bool:
        """Return whether that endpoint of that pool is checked just as this one is."""
        mine, other = self.pool.config, pool.config
        checks = (mine.health, mine.tls, mine.host) == (other.health, other.tls, other.host)
        return checks and self.pool.name == pool.name and self.url == endpoint.url

    def adopt(self, now: int) -> None:
        """Go on from what the row says: another control worker may have written it. `now` is in ns."""
        row = self.row
        if self.probe is None:
            row[HealthField.HEALTH] = Health.UNKNOWN
            row[HealthField.CHECKED] = 0
            return
        age = now - row[HealthField.CHECKED]
        limit = believed(self.pool.config.health)
        if row.health is Health.UNKNOWN or age > max(_KEPT, limit):
            row[HealthField.HEALTH] = Health.UNKNOWN
            row[HealthField.COUNT] = self.counter.start
            row[HealthField.CHECKED] = 0
        else:
            up = row.health is Health.UP
            row[HealthField.COUNT] = self.counter.clamp(row[HealthField.COUNT], up)
        self.awaited = age > limit or not row[HealthField.CHECKED]

    def begin(self, now: float) -> None:
        """Note that a check begins."""
        self.running = True
        self.began = now
        self._answered = self._responses()

    def hasten(self, now: float) -> None:
        """Check soon: a request could not connect."""
        if self.probe is not None:
            soonest = self.began + _HASTE * self.pool.config.health.fast_interval
            self.due = min(self.due, max(now, soonest))

    def postpone(self, now: float) -> None:
        """Note that the check could not be made."""
        self.running = False
        self.due = now + min(self.pool.config.health.interval, self.pool.config.health.fast_interval)

    def end(self, result: ProbeResult, now: float) -> None:
        """Note how a check went, and when the next one is due. Flips are for the caller to see."""
        self.running = False
        row = self.row
        count = row[HealthField.COUNT]
        if self.awaited:  # nobody has looked for a while: this check alone decides
            count = self.counter.doubtful(up=row.health is not Health.DOWN)
            self.awaited = False
        row[HealthField.COUNT] = self.counter.observe(count, result.passed)
        row[HealthField.CHECK_TOOK] = int(result.seconds * 1e9)
        row.add(HealthField.CHECKS_PASSED if result.passed else HealthField.CHECKS_FAILED)
        row[HealthField.CHECKED] = int(now * 1e9)
        interval = self._interval(result)
        # The first ones all begin together: from the second on they are spread over the interval.
        spread = random.uniform(1 - _JITTER, 1 + _JITTER) if self.checked else random.uniform(0.5, 1.0)  # noqa: S311
        self.due = max(now, self.began + interval * spread)
        self.checked = True

    def _interval(self, result: ProbeResult) -> float:
        health = self.pool.config.health
        if self.counter.is_settled(self.row[HealthField.COUNT]):
            return health.interval
        fast = min(health.interval, health.fast_interval)
        # A refused connection costs nothing to ask for again, and an endpoint that died is out soon.
        refused = not result.passed and not result.connected and not result.timed_out
        return fast * _HASTE if refused else fast

    @property
    def in_service(self) -> bool:
        """Whether nothing but an ejection keeps requests away from it."""
        return self.row.health is not Health.DOWN and self.row.admin is Admin.READY

    @property
    def weight_in_force(self) -> int:
        """The weight set at run time, else the configured one."""
        return self.row[HealthField.WEIGHT] or self.weight

    @property
    def silent(self) -> bool:
        """Whether no request was answered since the check began, though some wait for it."""
        waiting = self._cells.total(self.slot, Field.AWAITING)
        return waiting > 0 and self._responses() == self._answered

    def _responses(self) -> int:
        return sum(self._cells.total(self.slot, field) for field in RESPONSES)


class UsableSlots:
    """The slots that requests may go to: looked at one by one, since a pool may have a thousand."""

    def __init__(self, watched: Mapping[int, Watched]) -> None:
        self._watched = watched

    def __contains__(self, slot: object) -> bool:
        return self._watched[cast("int", slot)].row.usable


def believed(health: HealthConfig) -> int:
    """Return how old a check may be, in ns, for another control worker to go on from it."""
    return max(_BELIEVED, patience(health))
