"""What a process that serves clients does with a configuration, and who is told of each request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.config.references import references
from lbg.filters.mirror import COPIES
from lbg.filters.route_apps import RouteApps, pages_of
from lbg.hooks.guard import FAULTS
from lbg.hooks.watchdog import WATCHDOG
from lbg.http.forwarded import Forwarding
from lbg.net.deadline import DEADLINES, TICK
from lbg.proxy import upgrade
from lbg.proxy.client import Clients
from lbg.proxy.handler import ProxyHandler
from lbg.proxy.local_replies import LocalReplies
from lbg.proxy.record import Record
from lbg.proxy.request_head import HeadBuilder
from lbg.routing.table import RouteTable, routes_of
from lbg.state.series import Region
from lbg.telemetry.access_log import AccessLog
from lbg.telemetry.metrics import RequestMetrics
from lbg.telemetry.metrics_kinds import GAUGES, Kind
from lbg.telemetry.metrics_worker import WorkerMetrics
from lbg.telemetry.otlp import Tracing
from lbg.telemetry.trace import Traces

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.app.pools import Pools
    from lbg.app.shared import Shared
    from lbg.config.pools import PoolConfig
    from lbg.config.schema import Config
    from lbg.errors import LocalReply
    from lbg.http.replies import Page
    from lbg.proxy.handler import Observer
    from lbg.server.service import Service
    from lbg.state.document import Published


class Serving:
    """Answers clients by the configuration in force. Whoever is told of requests stays over all of them."""

    def __init__(self, published: Published, shared: Shared, pools: Pools) -> None:
        config = published.snapshot.config
        server = config.server
        forwarding = Forwarding(server.trusted_proxies, server.via, rfc7239=server.forwarded)
        clients = Clients(forwarding)
        self._tracing = Tracing.of(config.tracing, clients)
        heads = HeadBuilder(
            forwarding, underscores=server.underscore_headers, traced=self._tracing is not None
        )
        self._pools = pools
        self._pages: dict[str, dict[str, Page]] = {}
        self._replies = LocalReplies(clients, self._pages)
        self._apps = RouteApps(heads, self._replies, shared.buckets)
        region = Region(shared.series, shared.worker, GAUGES.__contains__)
        self._requests = RequestMetrics(region)
        self._worker = WorkerMetrics(region, TICK, upgrade.OPEN.__len__)
        self._access_log = AccessLog.of(config.log, {}, clients.address)
        self._traces = Traces(config, shared.traces, shared.worker)
        self._hooked = False
        self._follow_counts()
        self.handle = self._handler(config).handle

    def _follow_counts(self) -> None:
        self._worker.follow(Kind.HOOK_FAULTS, lambda: FAULTS)
        self._worker.follow(Kind.MIRRORED, lambda: COPIES)
        access_log = self._access_log
        if access_log is not None:
            self._worker.follow(Kind.LOG_LOST, lambda: {(): access_log.lost})
            DEADLINES.on_tick(access_log.tick)
        tracing = self._tracing
        if tracing is not None:
            self._worker.follow(Kind.SPANS_LOST, lambda: {(): tracing.lost})
        DEADLINES.on_tick(self._worker.tick)
        DEADLINES.on_tick(self._requests.tick)

    def adopt(self, published: Published) -> None:
        """Answer by another configuration from now on; its pools are there."""
        self.handle = self._handler(published.snapshot.config).handle
        if self._hooked:
            WATCHDOG.start()

    def _handler(self, config: Config) -> ProxyHandler:
        table = RouteTable(routes_of(config.routes))
        hash_keys = {name: _hash_key(pool) for name, pool in config.pools.items()}
        apps = self._apps.make(table.routes, self._pools.by_name, hash_keys)
        pages = pages_of(table.routes)
        self._pages.clear()
        self._pages.update(pages)
        self._requests.forget()
        if self._access_log is not None:
            self._access_log.adopt({route.name: route.config.access_log for route in table.routes})
        self._traces.adopt(config)
        self._hooked = bool(references(config))
        observers = tuple(self._observers())
        trace = self._tracing.begin if self._tracing is not None else None
        return ProxyHandler(table, apps, self._replies, observers, self._requests.begun, trace)

    def _observers(self) -> Iterable[Observer]:
        yield self._requests.observe
        if self._access_log is not None:
            yield self._access_log.log
        yield self._traces.observe
        if self._tracing is not None:
            yield self._tracing.observe

    def start(self) -> None:
        """Begin to watch code of the user that may block, if there is any."""
        if self._hooked:
            WATCHDOG.start()

    def attach(self, service: Service) -> None:
        """Count and log what the server alone knows of."""
        self._worker.server = service
        service.on_refusal.append(self._refused)

    def _refused(self, cause: LocalReply, environ: dict[str, Any]) -> None:
        if environ["lbg.listener"] != "public":
            return
        record = Record(environ["lbg.request_id"])
        record.reason, record.detail = cause.reason, cause.detail
        self._requests.refused(environ, cause)
        self._traces.observe(environ, record, cause.status, 0, 0.0)
        if self._access_log is not None:
            self._access_log.refused(cause, environ, record)

    def reopen_logs(self) -> None:
        """Go on in new log files: the old ones may have been moved."""
        if self._access_log is not None:
            self._access_log.reopen()

    def close(self) -> None:
        """Write what waits to be written, for a second at most, once no request is open."""
        if self._access_log is not None:
            self._access_log.close()
        if self._tracing is not None:
            self._tracing.close()


def _hash_key(config: PoolConfig) -> str | None:
    return config.hash_key if config.balance == "hash" or ":" in config.balance else None
