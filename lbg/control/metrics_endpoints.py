"""Pools and endpoints as metrics, read from the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

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

    from prometheus_client.metrics_core import Metric

    from lbg.config.pools import PoolConfig
    from lbg.state.cells import Cells
    from lbg.state.document import Published

_NAMES: Final = ["pool", "endpoint"]


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

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of all that are configured."""
        yield from self._traffic()
        yield from self._states()
        yield from self._checks()
        length = GaugeMetricFamily("lbg_queue_length", "Requests that wait for an endpoint.", labels=["pool"])
        for pool in self._pools:
            length.add_metric([pool], self._cells.pool_total(self._pool_slots[pool], PoolField.WAITING))
        yield length

    def _traffic(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "lbg_upstream_requests",
            "Attempts by the class of their answer; error is none, or one that was cut short.",
            labels=[*_NAMES, "code"],
        )
        in_flight = GaugeMetricFamily("lbg_upstream_in_flight", "Attempts that are not over.", labels=_NAMES)
        for pool, name, slot, _ in self._members:
            for field in RESPONSES:
                requests.add_metric([pool, name, field.name[-3:].lower()], self._cells.total(slot, field))
            requests.add_metric([pool, name, "error"], self._cells.total(slot, Field.FAILURES))
            in_flight.add_metric([pool, name], self._cells.total(slot, Field.IN_FLIGHT))
        yield from (requests, in_flight)

    def _states(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("lbg_endpoint_up", "Whether it gets requests, 1 or 0.", labels=_NAMES)
        state = GaugeMetricFamily(
            "lbg_endpoint_state",
            "The state that it is in; always 1.",
            labels=[*_NAMES, "state"],
        )
        weight = GaugeMetricFamily(
            "lbg_endpoint_weight", "The weight in force, less during slow start.", labels=_NAMES
        )
        ejections = CounterMetricFamily(
            "lbg_endpoint_ejections", "Ejections by their cause.", labels=[*_NAMES, "reason"]
        )
        now = self._clock()
        for pool, name, slot, endpoint in self._members:
            config, numbers = self._pools[pool], self._numbers(slot)
            condition = self._condition(slot, config, now)
            up.add_metric([pool, name], condition.usable)
            state.add_metric([pool, name, condition.state], 1)
            share = factor(now / SECOND, numbers[HealthField.RAMP] / SECOND, config.slow_start)
            weight.add_metric([pool, name], (numbers[HealthField.WEIGHT] or endpoint.weight) * share)
            for cause, field in EJECTED_BY.items():
                ejections.add_metric([pool, name, cause.name.lower()], numbers[field])
        yield from (up, state, weight, ejections)

    def _checks(self) -> Iterator[Metric]:
        checks = CounterMetricFamily(
            "lbg_health_checks", "Active checks that are over.", labels=[*_NAMES, "result"]
        )
        took = GaugeMetricFamily(
            "lbg_health_check_duration_seconds", "How long the last active check took.", labels=_NAMES
        )
        age = GaugeMetricFamily(
            "lbg_health_check_age_seconds", "How long ago the last active check ended.", labels=_NAMES
        )
        now = self._clock()
        for pool, name, slot, _ in self._members:
            if self._pools[pool].health.type == "none":
                continue
            numbers = self._numbers(slot)
            checks.add_metric([pool, name, "passed"], numbers[HealthField.CHECKS_PASSED])
            checks.add_metric([pool, name, "failed"], numbers[HealthField.CHECKS_FAILED])
            checked = numbers[HealthField.CHECKED]
            if checked:
                took.add_metric([pool, name], numbers[HealthField.CHECK_TOOK] / SECOND)
                age.add_metric([pool, name], max(0, now - checked) / SECOND)
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
