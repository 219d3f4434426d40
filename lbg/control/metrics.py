"""`/metrics`: what all workers counted, in the words of Prometheus."""

from __future__ import annotations

import os
import platform
from time import monotonic_ns
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from prometheus_client.exposition import choose_encoder

from lbg import __version__
from lbg.config.fields import MAX_WORKERS
from lbg.control.bans import patiently
from lbg.control.metrics_endpoints import EndpointMetrics
from lbg.control.metrics_series import SeriesMetrics
from lbg.control.metrics_text import Family, encode, single
from lbg.routing.limits_in_force import LimitsInForce
from lbg.server.roles import Role
from lbg.state.bucket_layout import Count
from lbg.state.bucket_layout import Kind as LimitKind
from lbg.state.series_layout import Header
from lbg.telemetry.metrics_kinds import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbg.state.buckets import Buckets
    from lbg.state.cells import Cells
    from lbg.state.document import Published
    from lbg.state.series import Series


class MetricsCollector:
    """Reads the shared memory at each scrape; proxy workers have no part in it.

    `clock` gives CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(
        self,
        published: Published,
        cells: Cells,
        series: Series,
        buckets: Buckets,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._snapshot = published.snapshot
        self._cells = cells
        self._series = series
        self._buckets = buckets
        self._limits_in_force = LimitsInForce.of(self._snapshot.config.routes)
        self._endpoints = EndpointMetrics(published, cells, clock)
        self._requests = SeriesMetrics(series)

    def collect(self) -> Iterator[Family]:
        """Yield all metrics as they are now."""
        live = {slot for slot, *_ in self._cells.workers()} or {0}  # without a master there is one alone
        yield from self._requests.collect(live, self._endpoints.retries_denied())
        yield from self._endpoints.collect()
        yield from self._limits()
        yield from self._configuration()
        yield from self._processes()

    def _limits(self) -> Iterator[Family]:
        limited = Family(
            "counter",
            "lbg_rate_limited_total",
            "Requests that a rate limit or a ban rejected.",
            labels=["limit"],
        )
        known = self._limits_in_force
        for limit in self._buckets.limits(known.all):
            if limit.kind is LimitKind.RATE:
                limited.add([limit.name], limit.counts[Count.REJECTED] + limit.counts[Count.BANNED])
        yield limited
        banned = patiently(self._buckets.bans(known.banning, 0)).counts
        yield single("gauge", "lbg_bans_active", "Keys that are banned now.", sum(banned.values()))

    def _configuration(self) -> Iterator[Family]:
        view = self._series.view
        yield single(
            "gauge",
            "lbg_config_last_reload_success",
            "Whether the configuration could be read the last time, 1 or 0.",
            view[Header.LOADED],
        )
        yield single(
            "gauge",
            "lbg_config_last_reload_timestamp_seconds",
            "When the configuration could last be read, UNIX time.",
            view[Header.LOADED_AT] / SECOND,
        )
        known = Family(
            "gauge", "lbg_config_info", "The digest of the configuration in force.", labels=["hash"]
        )
        known.add([self._snapshot.digest], 1)
        yield known

    def _processes(self) -> Iterator[Family]:
        known = [list(Role)[role] for _, _, role, _ in self._cells.workers()]
        roles = known or [Role.COMBINED]
        workers = Family("gauge", "lbg_workers", "Processes that live, by what they do.", labels=["role"])
        for role in Role:
            workers.add([str(role)], roles.count(role))
        yield workers
        server = self._snapshot.config.server
        if known:  # another master has a number of its own
            yield single(
                "gauge",
                "lbg_workers_configured",
                "Proxy workers that the configuration asks for.",
                server.workers or min(os.cpu_count() or 1, MAX_WORKERS),
            )
        yield single(
            "gauge",
            "lbg_connections_limit",
            "How many connections of clients the workers that live take, all together.",
            server.max_connections * sum("public" in role.listeners for role in roles),
        )
        build = Family(
            "gauge", "lbg_build_info", "The version of lbg and of Python.", labels=["version", "python"]
        )
        build.add([__version__, platform.python_version()], 1)
        yield build


def add_metrics(app: Flask, collector: MetricsCollector) -> None:
    """Register the path."""

    @app.get("/metrics")
    def show_metrics() -> Response:
        _, content_type = choose_encoder(request.headers.get("Accept", ""))
        openmetrics = content_type.startswith("application/openmetrics-text")
        return Response(encode(collector.collect(), openmetrics=openmetrics), content_type=content_type)
