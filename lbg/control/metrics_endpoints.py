"""Pools and endpoints as metrics, read from the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.control.metrics_text import Family
from lbg.state.condition import Condition, patience, read_condition
from lbg.state.layout import (
    EJECTED_BY,
    RESPONSES,
    Field,
    HealthField,
    PoolField,
    health_row,
    identity,
)
from lbg.telemetry.metrics_kinds import SECOND
from lbg.upstream.slow_start import factor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbg.config.pools import PoolConfig
    from lbg.state.cells import Cells
    from lbg.state.document import Published

_NAMES: Final = ["pool", "endpoint"]
_REJECTED: Final = {"queue_full": PoolField.QUEUE_FULL, "queue_timeout": PoolField.QUEUE_TIMEOUTS}


class EndpointMetrics:
    """Reads the cells; writes nothing. `clock` gives CLOCK_MONOTONIC nanoseconds."""

    def __init__(self, published: Published, cells: Cells, clock: Callable[[], int]) -> None:
        self._pools = published.snapshot.config.pools
        self._pool_slots = published.pool_slots
        self._members = [
            (name, endpoint.address.text, published.slots[identity(name, endpoint.address.text)], endpoint)
            for name, pool in self._pools.items()
            for endpoint in pool.endpoints
        ]
        self._cells = cells
        self._clock = clock

    def retries_denied(self) -> dict[str, int]:
        """Return by pool how many retries the budget did not allow."""
        return {
            pool: self._cells.pool_total(slot, PoolField.RETRIES_DENIED)
            for pool, slot in self._pool_slots.items()
            if pool in self._pools
        }

    def collect(self) -> Iterator[Family]:
        """Yield the metrics of all that are configured."""
        yield from self._traffic()
        yield from self._states()
        yield from self._checks()
        yield from self._pool_counts()

    def _pool_counts(self) -> Iterator[Family]:
        length = Family("gauge", "lbg_queue_length", "Requests that wait for an endpoint.", labels=["pool"])
        rejected = Family(
            "counter",
            "lbg_queue_rejected_total",
            "Requests turned away because the queue was full, or their wait too long.",
            labels=["pool", "reason"],
        )
        no_healthy = Family(
            "counter",
            "lbg_no_healthy_total",
            "Requests that found no endpoint up: answered 503, or sent all the same by fail_open.",
            labels=["pool"],
        )
        for pool in self._pools:
            slot = self._pool_slots[pool]
            length.add([pool], self._cells.pool_total(slot, PoolField.WAITING))
            for reason, field in _REJECTED.items():
                rejected.add([pool, reason], self._cells.pool_total(slot, field))
            no_healthy.add([pool], self._cells.pool_total(slot, PoolField.NO_HEALTHY))
        yield from (length, rejected, no_healthy)

    def _traffic(self) -> Iterator[Family]:
        requests = Family(
            "counter",
            "lbg_upstream_requests_total",
            "Attempts by the class of their answer; error is none, or one that was cut short.",
            labels=[*_NAMES, "code"],
        )
        rescues = Family(
            "counter",
            "lbg_upstream_rescues_total",
            "Requests moved elsewhere because the endpoint went down while they waited for it.",
            labels=_NAMES,
        )
        in_flight = Family("gauge", "lbg_upstream_in_flight", "Attempts that are not over.", labels=_NAMES)
        for pool, name, slot, _ in self._members:
            for field in RESPONSES:
                requests.add([pool, name, field.name[-3:].lower()], self._cells.total(slot, field))
            requests.add([pool, name, "error"], self._cells.total(slot, Field.FAILURES))
            rescues.add([pool, name], self._cells.total(slot, Field.RESCUES))
            in_flight.add([pool, name], self._cells.total(slot, Field.IN_FLIGHT))
        yield from (requests, rescues, in_flight)

    def _states(self) -> Iterator[Family]:
        up = Family("gauge", "lbg_endpoint_up", "Whether it gets requests, 1 or 0.", labels=_NAMES)
        state = Family(
            "gauge",
            "lbg_endpoint_state",
            "The state that it is in; always 1.",
            labels=[*_NAMES, "state"],
        )
        weight = Family(
            "gauge", "lbg_endpoint_weight", "The weight in force, less during slow start.", labels=_NAMES
        )
        ejections = Family(
            "counter", "lbg_endpoint_ejections_total", "Ejections by their cause.", labels=[*_NAMES, "reason"]
        )
        now = self._clock()
        for pool, name, slot, endpoint in self._members:
            config, numbers = self._pools[pool], self._numbers(slot)
            condition = self._condition(slot, config, now)
            up.add([pool, name], int(condition.usable))
            state.add([pool, name, condition.state], 1)
            share = factor(now / SECOND, numbers[HealthField.RAMP] / SECOND, config.slow_start)
            weight.add([pool, name], (numbers[HealthField.WEIGHT] or endpoint.weight) * share)
            for cause, field in EJECTED_BY.items():
                ejections.add([pool, name, cause.name.lower()], numbers[field])
        yield from (up, state, weight, ejections)

    def _checks(self) -> Iterator[Family]:
        checks = Family(
            "counter", "lbg_health_checks_total", "Active checks that are over.", labels=[*_NAMES, "result"]
        )
        took = Family(
            "gauge",
            "lbg_health_check_duration_seconds",
            "How long the last active check took.",
            labels=_NAMES,
        )
        age = Family(
            "gauge",
            "lbg_health_check_age_seconds",
            "How long ago the last active check ended.",
            labels=_NAMES,
        )
        now = self._clock()
        for pool, name, slot, _ in self._members:
            if self._pools[pool].health.type == "none":
                continue
            numbers = self._numbers(slot)
            checks.add([pool, name, "passed"], numbers[HealthField.CHECKS_PASSED])
            checks.add([pool, name, "failed"], numbers[HealthField.CHECKS_FAILED])
            checked = numbers[HealthField.CHECKED]
            if checked:
                took.add([pool, name], numbers[HealthField.CHECK_TOOK] / SECOND)
                age.add([pool, name], max(0, now - checked) / SECOND)
        yield from (checks, took, age)

    def _numbers(self, slot: int) -> list[int]:
        row = health_row(slot)
        return self._cells.view[row : row + len(HealthField)].tolist()

    def _condition(self, slot: int, config: PoolConfig, now: int) -> Condition:
        return read_condition(
            self._cells,
            slot,
            now,
            patience(config.health),
            checked=config.health.type != "none",
            slow_start=config.slow_start,
        )
