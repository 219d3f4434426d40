"""The WSGI application of one process, which follows the configuration."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent

from lbg.app.controlling import Controlling
from lbg.app.other_servers import FirstThread, came_by, refuse_thread
from lbg.app.pools import Pools
from lbg.app.serving import Serving
from lbg.app.shared import Shared
from lbg.config.load import ENDPOINTS, START_VARIABLE, Loaded, load
from lbg.config.references import check_references
from lbg.config.snapshot import Snapshot
from lbg.hooks.verify import verify
from lbg.net.deadline import DEADLINES
from lbg.proxy.explain import Explainer
from lbg.routing.table import RouteTable, routes_of
from lbg.state import directory
from lbg.state.document import Published, decode
from lbg.state.layout import ENDPOINT_SLOTS, POOL_SLOTS, Header, assign_slots, identity
from lbg.state.publication import Publication
from lbg.state.series import Region
from lbg.state.state_file import Damaged
from lbg.telemetry.metrics_kinds import GAUGES
from lbg.telemetry.metrics_worker import note_start
from lbg.telemetry.otlp import obstacle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.control.live_config import LiveConfig
    from lbg.control.watch import ConfigWatch
    from lbg.health.monitor import Monitor
    from lbg.server.service import Service

log = logging.getLogger("lbg.app")

_GENERATION: Final = int(Header.GENERATION)
_RETRY: Final = 1.0  # seconds
_APART: Final = 0.02  # seconds
_TOGETHER: Final = 8


class Application:
    """The WSGI callable: the proxy, or the control app for what came in by the admin listener.

    It takes up every configuration that is published; requests that are open go on as they began.
    """

    def __init__(self, published: Published, shared: Shared) -> None:
        if shared.directory is None:
            shared.cells.view[_GENERATION] = published.snapshot.generation
        self._published = published
        self._shared = shared
        self._next_look = 0.0  # after one that failed; CLOCK_MONOTONIC seconds
        self._told = 0  # the generation that could not be read
        self._refused = 0  # the generation that could not be taken up
        self._admin = published.snapshot.config.admin.bind
        self._pools = Pools(published, shared, serves=shared.serves)
        self._pools.keep_time()
        note_start(Region(shared.series, shared.worker, GAUGES.__contains__), shared.worker, shared.role)
        self._serving = Serving(published, shared, self._pools) if shared.serves else None
        self._controlling = Controlling(published, shared, self._pools)
        if self._controlling.monitor is not None:
            live = _live_config(self, shared, self._controlling.monitor)
            self._controlling.change_by(live, _watch(published, live))
            self._controlling.adopt(published)
        why = obstacle(published.snapshot.config.tracing) if shared.controls else ""
        if why:
            log.error("%s", why)
        self._started_in = 0  # the process
        self._thread = FirstThread()
        self._catching_up = False
        DEADLINES.on_tick(self._look)

    @property
    def published(self) -> Published:
        """The configuration in force here."""
        return self._published

    def up_to_date(self) -> Published:
        """Return the configuration in force everywhere."""
        self.catch_up()
        return self._published

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        listener = environ.get("lbg.listener")
        if listener is None:  # another server, whose loop may have no ticks
            if self._thread.is_another():
                return refuse_thread(start_response)
            self.catch_up()
        if self._serving is not None and (
            listener == "public" or (listener is None and not came_by(environ, self._admin))
        ):
            return self._serving.handle(environ, start_response)
        return self._controlling.answer(environ, start_response)

    def adopt(self, published: Published) -> None:
        """Go by another configuration from now on. Whatever it leaves as it was, and is open, goes on."""
        self._pools.adopt(published)
        if self._serving is not None:
            self._serving.adopt(published)
        self._controlling.adopt(published)
        self._published = published
        log.debug("configuration %d is in force here", published.snapshot.generation)

    def _look(self, now: float) -> None:
        """See whether another process has published a configuration; called in the hub."""
        if self._is_behind and now >= self._next_look and not self._catching_up:
            self._catching_up = True
            # One after the other: a large configuration takes each worker a moment.
            gevent.spawn_later(_APART * (self._shared.worker % _TOGETHER), self.catch_up)

    @property
    def _is_behind(self) -> bool:
        generation = self._shared.cells.view[_GENERATION]
        return self._shared.directory is not None and generation not in (self._generation, self._refused)

    def catch_up(self) -> None:
        """Take up what was published last, if that is another configuration than the one in force here."""
        self._catching_up = False
        path = self._shared.directory
        if path is None or not self._is_behind:
            return
        generation = self._shared.cells.view[_GENERATION]
        try:
            published = decode(directory.read(path))
        except (OSError, ValueError) as error:
            # At an upgrade it may be that of a newer version, whose workers are about to take over.
            self._next_look = monotonic() + _RETRY
            if self._told != generation:
                log.warning("this worker keeps configuration %d: %s", self._generation, error)
            self._told = generation
            return
        if published.snapshot.generation == self._generation:
            self._next_look = monotonic() + _RETRY  # its number is still to come
            return
        try:
            self.adopt(published)
        except Exception:  # a bug: the worker serves on as it did, and says so once
            self._refused = generation
            log.exception("this worker could not take up configuration %d", generation)

    @property
    def _generation(self) -> int:
        return self._published.snapshot.generation

    def attach(self, service: Service) -> None:
        """Let `service`, which calls this application, tell of what never reaches it."""
        if self._serving is not None:
            self._serving.attach(service)

    def reopen_logs(self) -> None:
        """Go on in new log files: the old ones may have been moved."""
        if self._serving is not None:
            self._serving.reopen_logs()

    def close(self) -> None:
        """Write what waits to be written, for a second at most, once no request is open."""
        if self._serving is not None:
            self._serving.close()

    def start(self) -> None:
        """Begin what goes on beside requests, such as health checks; further calls do nothing.

        In a process that was forked meanwhile it begins there as well.
        """
        if self._started_in == os.getpid():
            return
        self._started_in = os.getpid()
        DEADLINES.start()
        if self._controlling.monitor is not None:
            Publication(self._shared.directory, self._shared.cells).complete()
        self.catch_up()
        if not self._shared.controls:
            self._pools.fallback.start()
        self._controlling.start()
        if self._serving is not None:
            self._serving.start()

    def stop(self) -> None:
        """End that; requests that are still open go on."""
        self._controlling.stop()
        self._pools.fallback.stop()


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
    application = Application(_numbered(load(os.environ, Path.cwd())), Shared.private())
    application.start()
    os.register_at_fork(after_in_child=application.start)  # threads stay behind in the parent
    return application


def _of_worker(state: Path, slot: str) -> Application | None:
    try:
        published = decode(directory.read(state))
        shared = Shared.of(state, int(slot)) if slot else Shared.private()
        return Application(published, shared)
    except (OSError, ValueError, Damaged) as error:
        log.error("this worker counts and checks for itself, the shared state is lost: %s", error)  # noqa: TRY400
        return None


def _live_config(application: Application, shared: Shared, monitor: Monitor) -> LiveConfig:
    from lbg.control.live_config import LiveConfig  # which proxy workers do without

    def read() -> Loaded:
        loaded = load(os.environ, _start())
        check_references(loaded, verify, Path.cwd())
        return loaded

    return LiveConfig(
        load=read,
        current=application.up_to_date,
        adopt=application.adopt,
        publication=Publication(shared.directory, shared.cells),
        monitor=monitor,
        note_load=lambda loaded: shared.series.note_load(loaded=loaded),
    )


def _start() -> Path:
    """Return where relative names of configuration files begin."""
    return Path(os.environ.get(START_VARIABLE, "."))


def _watch(published: Published, live: LiveConfig) -> ConfigWatch | None:
    snapshot = published.snapshot
    if not snapshot.config.admin.watch or snapshot.source == ENDPOINTS:
        return None
    from lbg.control.watch import ConfigWatch

    return ConfigWatch(_start() / snapshot.source, live.follow, lambda: live.miss(snapshot.source))


def explainer_of(loaded: Loaded) -> Explainer:
    """Return who answers about a configuration of which nothing runs, so that no health is known."""
    published, shared = _numbered(loaded), Shared.private()
    config = loaded.config
    pools = Pools(published, shared, serves=False)
    return Explainer(config, RouteTable(routes_of(config.routes)), pools.by_name, shared.cells, live=False)


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
