"""What the admin API says of pools and endpoints, read from the cells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic_ns, time
from typing import TYPE_CHECKING, Any, Final, Self

from lbg.health.counter import HealthCounter
from lbg.health.watched import believed
from lbg.net.address import canonical_endpoint
from lbg.state.condition import Condition, patience, read_condition
from lbg.state.layout import RESPONSES, Admin, Field, HealthField, PoolField, health_row, identity
from lbg.upstream.slow_start import factor

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.pools import EndpointConfig, HealthConfig, PoolConfig
    from lbg.state.cells import Cells
    from lbg.state.document import Published

Document = dict[str, Any]

_SECOND: Final = 1_000_000_000  # ns
_HEALTH: Final = {"type", "interval", "timeout", "fast_interval", "rise", "fall"}
_POLICIES: Final = {"balance", "when_all_down", "slow_start", "outlier", "retry", "queue"}


@dataclass(frozen=True, slots=True)
class _Member:
    """An endpoint of a pool: its configuration, its address and its slot."""

    config: EndpointConfig
    name: str
    slot: int

    @classmethod
    def of(cls, pool: str, config: EndpointConfig, published: Published) -> Self:
        name = config.address.text
        return cls(config, name, published.slots[identity(pool, name)])


class Documents:
    """Reads the cells; writes nothing. `clock` gives CLOCK_MONOTONIC nanoseconds, `wall` UNIX time."""

    def __init__(
        self,
        published: Published,
        cells: Cells,
        clock: Callable[[], int] = monotonic_ns,
        wall: Callable[[], float] = time,
    ) -> None:
        self._pools = published.snapshot.config.pools
        self._pool_slots = published.pool_slots
        self._members = {
            name: [_Member.of(name, endpoint, published) for endpoint in pool.endpoints]
            for name, pool in self._pools.items()
        }
        self._cells = cells
        self._clock = clock
        self._wall = wall

    def pool_names(self) -> list[str]:
        """Return the names of all pools, as configured."""
        return list(self._pools)

    def pools(self) -> dict[str, Document]:
        """Return the documents of all pools by name."""
        return {name: self.pool(name) for name in self._pools}

    def endpoints(self) -> list[Document]:
        """Return the documents of all endpoints."""
        return [endpoint for pool in self.pools().values() for endpoint in pool["endpoints"]]

    def pool(self, name: str) -> Document:
        """Return the document of one pool. Raises KeyError when there is none of that name."""
        config, pool_slot = self._pools[name], self._pool_slots[name]
        endpoints = [self._endpoint(name, config, member) for member in self._members[name]]
        policies = config.model_dump(mode="json", include=_POLICIES)
        # Chosen by name: the header fields of a check may hold a secret.
        policies["health"] = config.health.model_dump(mode="json", include=_HEALTH)
        counted = (field for field in PoolField if field is not PoolField.OLDEST)
        counts = {field.name.lower(): self._cells.pool_total(pool_slot, field) for field in counted}
        usable = sum(endpoint["usable"] for endpoint in endpoints)
        return {"usable": usable, **counts, **policies, "endpoints": endpoints}

    def endpoint_names(self, pool: str) -> list[str]:
        """Return the addresses of the endpoints of a pool that there is, as configured."""
        return [member.name for member in self._members[pool]]

    def slot(self, pool: str, endpoint: str) -> int | None:
        """Return the slot of an endpoint, by its address or URL; None when the pool has none like that."""
        name = canonical_endpoint(endpoint)
        return next((member.slot for member in self._members[pool] if member.name == name), None)

    def endpoint(self, pool: str, slot: int) -> Document:
        """Return the document of the endpoint in a slot that `slot` told."""
        (member,) = [member for member in self._members[pool] if member.slot == slot]
        return self._endpoint(pool, self._pools[pool], member)

    def first_round(self) -> tuple[int, int]:
        """Return how many endpoints were checked, not too long ago, and how many are checked at all."""
        now, view = self._clock(), self._cells.view
        checks = [
            (view[health_row(member.slot) + HealthField.CHECKED], believed(pool.health))
            for name, pool in self._pools.items()
            for member in self._members[name]
            if pool.health.type != "none"
        ]
        return sum(when != 0 and now - when <= limit for when, limit in checks), len(checks)

    def _endpoint(self, pool: str, config: PoolConfig, member: _Member) -> Document:
        now, slot, endpoint = self._clock(), member.slot, member.config
        condition = read_condition(
            self._cells,
            slot,
            now,
            patience(config.health),
            checked=config.health.type != "none",
            slow_start=config.slow_start,
        )
        row = health_row(slot)
        numbers = self._cells.view[row : row + len(HealthField)].tolist()
        weight = numbers[HealthField.WEIGHT] or endpoint.weight
        share = factor(now / _SECOND, numbers[HealthField.RAMP] / _SECOND, config.slow_start)
        return {
            "pool": pool,
            "name": member.name,
            "url": endpoint.url,
            "weight": weight,
            "configured_weight": endpoint.weight,
            "effective_weight": round(weight * share, 3),
            "backup": endpoint.backup,
            "max_requests": endpoint.max_requests,
            "admin": Admin(numbers[HealthField.ADMIN]).name.lower(),
            **self._state(condition, now),
            "ejections": numbers[HealthField.EJECTED_TOTAL],
            "last_check": _last_check(condition, numbers, config.health),
            **self._counts(slot),
        }

    def _state(self, condition: Condition, now: int) -> Document:
        epoch = self._wall() - now / _SECOND
        return {
            "state": condition.state,
            "reason": condition.reason,
            "since": _iso(condition.since, epoch),
            "for_seconds": _rounded(condition.lasted),
            "usable": condition.usable,
            "ejected_until": _iso(condition.ejected_until, epoch),
        }

    def _counts(self, slot: int) -> Document:
        counts = {field: self._cells.total(slot, field) for field in Field}
        responses = {field.name[-3:].lower(): counts.pop(field) for field in RESPONSES}
        return {
            "requests": sum(responses.values()),
            "responses": responses,
            **{field.name.lower(): count for field, count in counts.items()},
        }


def _last_check(condition: Condition, numbers: list[int], health: HealthConfig) -> Document | None:
    if condition.checked_age is None:
        return None
    return {
        "passed": _passed(numbers[HealthField.COUNT], HealthCounter(health.rise, health.fall)),
        "text": condition.text,
        "age_seconds": _rounded(condition.checked_age),
        "took_ms": round(numbers[HealthField.CHECK_TOOK] / 1e6, 1),
        "passed_total": numbers[HealthField.CHECKS_PASSED],
        "failed_total": numbers[HealthField.CHECKS_FAILED],
    }


def _passed(count: int, counter: HealthCounter) -> bool:
    """Return whether the last check passed: a failed one leaves the count at zero or short of full."""
    return count >= counter.full if counter.is_up(count) else count > 0


def _iso(moment: float | None, epoch: float) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(epoch + moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
