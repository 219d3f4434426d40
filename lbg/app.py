"""The composition root: a configuration becomes a WSGI application."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gevent.monkey import get_original

from lbg.config.load import Loaded, load
from lbg.config.references import references
from lbg.config.snapshot import Snapshot
from lbg.control.app import ControlApp
from lbg.filters.route_apps import RouteApps, pages_of
from lbg.health.events import EventLog
from lbg.health.fallback import Fallback
from lbg.hooks.watchdog import WATCHDOG
from lbg.http.forwarded import Forwarding
from lbg.http.headers import ResponseRules
from lbg.net.deadline import DEADLINES, TICK
from lbg.proxy import upgrade
from lbg.proxy.client import Clients
from lbg.proxy.explain import Explainer
from lbg.proxy.handler import ProxyHandler
from lbg.proxy.local_replies import LocalReplies
from lbg.proxy.record import Record
from lbg.proxy.request_head import HeadBuilder
from lbg.routing.table import RouteTable, routes_of
from lbg.server.roles import Role
from lbg.state import directory
from lbg.state.buckets import Buckets
from lbg.state.cells import Cells
from lbg.state.document import Published, decode
from lbg.state.layout import ENDPOINT_SLOTS, POOL_SLOTS, assign_slots, identity
from lbg.state.lock import FileLock
from lbg.state.reports import ReportWriter
from lbg.state.series import Region, Series
from lbg.state.state_file import Damaged
from lbg.telemetry.access_log import AccessLog
from lbg.telemetry.metrics import RequestMetrics
from lbg.telemetry.metrics_kinds import GAUGES
from lbg.telemetry.metrics_worker import WorkerMetrics
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.idle import IdleConnections
from lbg.upstream.policies import policy_of
from lbg.upstream.pool import Pool
from lbg.upstream.tally import PoolTally

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from flask import Flask

    from lbg.config.pools import PoolConfig
    from lbg.config.schema import Config
    from lbg.errors import LocalReply
    from lbg.health.monitor import Monitor
    from lbg.net.address import Bind
    from lbg.server.service import Service

log = logging.getLogger("lbg.app")


class Companion(Protocol):
    """What goes on beside requests, from `start` to `stop`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Metrics:
    """What a worker that serves clients counts in its region of the series."""

    def __init__(self, series: Series, worker: int) -> None:
        region = Region(series, worker, GAUGES.__contains__)
        self.requests = RequestMetrics(region)
        self.worker = WorkerMetrics(region, TICK, upgrade.OPEN.__len__)

    def attach(self, service: Service) -> None:
        """Count what the server alone knows of."""
        self.worker.server = service
        service.on_refusal.append(self._refused)

    def _refused(self, cause: LocalReply, environ: dict[str, Any]) -> None:
        if environ["lbg.listener"] == "public":
            self.requests.refused(environ, cause)


class Application:
    """The WSGI callable: the proxy, or the control app for what came in by the admin listener."""

    def __init__(
        self,
        proxy: ProxyHandler,
        control: ControlApp,
        admin: Bind,
        companion: Companion,
        metrics: Metrics | None,
        *,
        hooked: bool,
    ) -> None:
        """`metrics` are of who serves clients; `hooked` tells that code of the user may block here."""
        self._handle = proxy.handle
        self._control = control
        self._admin = admin
        self._companion = companion
        self._metrics = metrics
        self.access_log: AccessLog | None = None
        self._hooked = hooked
        self._started_in = 0  # the process
        self._thread = _FirstThread()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        listener = environ.get("lbg.listener")
        if listener is None and self._thread.is_another():
            return _refuse_thread(start_response)
        if listener == "public" or (listener is None and not _came_by(environ, self._admin)):
            return self._handle(environ, start_response)
        return self._control(environ, start_response)

    def attach(self, service: Service) -> None:
        """Let `service`, which calls this application, tell of what never reaches it."""
        if self._metrics is not None:
            self._metrics.attach(service)
        if self.access_log is not None:
            service.on_refusal.append(self._log_refusal)

    def _log_refusal(self, cause: LocalReply, environ: dict[str, Any]) -> None:
        if self.access_log is not None and environ["lbg.listener"] == "public":
            self.access_log.refused(cause, environ, Record(""))

    def reopen_logs(self) -> None:
        """Go on in new log files: the old ones may have been moved."""
        if self.access_log is not None:
            self.access_log.reopen()

    def close(self) -> None:
        """Write what waits to be written, for a second at most, once no request is open."""
        if self.access_log is not None:
            self.access_log.close()

    def start(self) -> None:
        """Begin what goes on beside requests, such as health checks; further calls do nothing.

        In a process that was forked meanwhile it begins there as well.
        """
        if self._started_in == os.getpid():
            return
        self._started_in = os.getpid()
        self._companion.start()
        if self._hooked:
            WATCHDOG.start()

    def stop(self) -> None:
        """End that; requests that are still open go on."""
        self._companion.stop()


class _FirstThread:
    """Connections belong to the event loop of the native thread that made them, and so does a worker."""

    def __init__(self) -> None:
        self._seen = (0, 0)  # process, thread
        self._told = False
        self._ident = get_original("_thread", "get_ident")

    def is_another(self) -> bool:
        """Return whether this thread is not the first one that asked in this process."""
        here = os.getpid(), self._ident()
        if self._seen[0] != here[0]:
            self._seen = here
        elif self._seen != here:
            if not self._told:
                self._told = True
                log.error(
                    "requests come in several threads, which lbg does not serve: use gevent, or one thread"
                )
            return True
        return False


def _refuse_thread(start_response: Any) -> Iterable[bytes]:
    body = b"lbg serves one thread, or gevent: see its log.\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("500 Internal Server Error", headers)
    return [body]


def _came_by(environ: Mapping[str, Any], admin: Bind) -> bool:
    """Return whether another server than ours accepted the request on the admin address.

    Only the socket tells: SERVER_NAME and SERVER_PORT may be the client's own words.
    """
    sock = environ.get("gunicorn.socket")
    if sock is None:
        return False
    name = sock.getsockname()
    return bool(name == (admin.path if admin.family == "unix" else (admin.host, admin.port)))


def create(environ: Mapping[str, str]) -> Application:
    """Return the application of this process.

    A worker of our master uses the published configuration and, if it has a slot, the shared cells; its
    server calls `start` and `stop`. Any other process loads the configuration itself, counts and checks
    for itself, and has started. Raises ConfigError, OSError.
    """
    slot = environ.get(directory.SLOT_VARIABLE)
    state = environ.get(directory.VARIABLE)
    if slot is not None and state is not None:
        application = _of_worker(Path(state), slot)
        if application is not None:
            return application
    application = _build(_numbered(load(os.environ, Path.cwd())), Cells.private(), 0, None)
    application.start()
    os.register_at_fork(after_in_child=application.start)  # threads stay behind in the parent
    return application


def _of_worker(state: Path, slot: str) -> Application | None:
    try:
        published = decode(directory.read(state))
        if slot:
            return _build(published, Cells.open(state), int(slot), state)
    except (OSError, ValueError, Damaged) as error:
        log.error("this worker counts and checks for itself, the shared state is lost: %s", error)  # noqa: TRY400
        return None
    return _build(published, Cells.private(), 0, None)


def explainer_of(loaded: Loaded) -> Explainer:
    """Return who answers about a configuration of which nothing runs, so that no health is known."""
    published = _numbered(loaded)
    config, cells = loaded.config, Cells.private()
    fallback = Fallback(cells, ReportWriter(cells, 0))
    pools = {name: _pool(name, published, cells, 0, fallback, serves=False) for name in config.pools}
    return Explainer(config, RouteTable(routes_of(config.routes)), pools, cells, live=False)


def _numbered(loaded: Loaded) -> Published:
    config = loaded.config
    names = [
        identity(name, endpoint.address.text)
        for name, pool in config.pools.items()
        for endpoint in pool.endpoints
    ]
    return Published(
        Snapshot.of(config, 1, loaded.source),
        assign_slots({}, names, ENDPOINT_SLOTS),
        assign_slots({}, config.pools, POOL_SLOTS),
    )


def _build(published: Published, cells: Cells, worker: int, state: Path | None) -> Application:
    config = published.snapshot.config
    role = list(Role)[cells.role(worker)] if state is not None else Role.COMBINED
    buckets = Buckets.open(state, worker) if state is not None else Buckets.private()
    series = Series.open(state) if state is not None else Series.private()
    writer = ReportWriter(cells, worker)
    fallback = Fallback(cells, writer)
    # The control worker serves no client: it does without the code of the user.
    serves = "public" in role.listeners
    pools = {name: _pool(name, published, cells, worker, fallback, serves=serves) for name in config.pools}
    for pool in pools.values():
        DEADLINES.on_tick(pool.tick)
    fallback.guard((pool, config.pools[name].outlier) for name, pool in pools.items())
    DEADLINES.on_tick(fallback.tick)
    forwarding = Forwarding(config.server.trusted_proxies, config.server.via, rfc7239=config.server.forwarded)
    heads = HeadBuilder(forwarding, underscores=config.server.underscore_headers)
    table = RouteTable(routes_of(config.routes))
    replies = LocalReplies(Clients(forwarding), pages_of(table.routes))
    hash_keys = {name: _hash_key(pool) for name, pool in config.pools.items()}
    routes = table.routes if serves else ()
    apps = RouteApps(pools, hash_keys, heads, replies, buckets).make(routes)
    metrics = Metrics(series, worker) if serves else None
    access_log = _access_log(config, table, replies.clients) if serves else None
    if metrics is not None:
        DEADLINES.on_tick(metrics.worker.tick)
        DEADLINES.on_tick(metrics.requests.tick)
        observers = [metrics.requests.observe, *([access_log.log] if access_log is not None else [])]
        proxy = ProxyHandler(table, apps, replies, observers, metrics.requests.begun)
    else:
        proxy = ProxyHandler(table, apps, replies)
    controls = "admin" in role.listeners
    events = EventLog(state if controls else None)
    monitor = _monitor(published, cells, events, state) if controls else None
    explainer = Explainer(config, table, pools, cells) if controls else None
    control = ControlApp(published, cells, events, monitor, buckets, explainer)
    control.parts.append(partial(_add_metrics, published, cells, series, buckets))
    hooked = serves and bool(references(config))
    companion = monitor or fallback
    application = Application(proxy, control, config.admin.bind, companion, metrics, hooked=hooked)
    application.access_log = access_log
    return application


def _access_log(config: Config, table: RouteTable, clients: Clients) -> AccessLog | None:
    shares = {route.name: route.config.access_log for route in table.routes}
    access_log = AccessLog.of(config.log, shares, clients.address)
    if access_log is not None:
        DEADLINES.on_tick(access_log.tick)
    return access_log


def _add_metrics(published: Published, cells: Cells, series: Series, buckets: Buckets, flask: Flask) -> None:
    from lbg.control.metrics import MetricsCollector, add_metrics  # which proxy workers do without

    add_metrics(flask, MetricsCollector(published, cells, series, buckets))


def _monitor(published: Published, cells: Cells, events: EventLog, state: Path | None) -> Monitor:
    from lbg.health.monitor import Monitor  # with requests, which proxy workers do without
    from lbg.health.probe import probe_of

    lock = FileLock(state / directory.LOCK) if state is not None else None
    return Monitor(published, cells, events, probe_of, lock)


def _pool(
    name: str, published: Published, cells: Cells, worker: int, fallback: Fallback, *, serves: bool
) -> Pool:
    server = published.snapshot.config.server
    config = published.snapshot.config.pools[name]
    endpoints = tuple(
        Endpoint(
            endpoint,
            IdleConnections(config.connections),
            cells,
            slot=published.slots[identity(name, endpoint.address.text)],
            worker=worker,
            reporter=fallback,
        )
        for endpoint in config.endpoints
    )
    rules = ResponseRules(underscores=server.underscore_headers)
    tally = PoolTally(cells, slot=published.pool_slots[name], worker=worker)
    return Pool(name, config, endpoints, policy_of(name, config, serves=serves), rules, tally)


def _hash_key(config: PoolConfig) -> str | None:
    return config.hash_key if config.balance == "hash" or ":" in config.balance else None
