"""What operators meet: the watch over endpoints, the admin listener, and changes of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams
from lbg.health.events import EventLog
from lbg.proxy.explain import Explainer
from lbg.routing.limits_in_force import LimitsInForce
from lbg.routing.table import RouteTable, routes_of
from lbg.state import directory
from lbg.state.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from lbg.app.pools import Pools
    from lbg.app.shared import Shared
    from lbg.control.live_config import Failure, LiveConfig
    from lbg.control.stats import Stats
    from lbg.control.watch import ConfigWatch
    from lbg.health.monitor import Monitor
    from lbg.state.document import Published

    Part = Callable[[Flask], None]


class Controlling:
    """The watch over endpoints and the answers to operators, by the configuration in force.

    A process of another role watches nothing and changes nothing, but under a server that gives it what
    comes to the admin listener it answers as well as it can.
    """

    def __init__(self, published: Published, shared: Shared, pools: Pools) -> None:
        self._shared = shared
        self._pools = pools
        controls = shared.controls
        self._events = EventLog(shared.directory if controls else None)
        self._streams = EventStreams(self._events)
        self.monitor = _monitor(published, shared, self._events) if controls else None
        self._stats = _stats(published, shared) if controls else None
        self._live: LiveConfig | None = None
        self._watch: ConfigWatch | None = None
        self.answer = self._control_app(published)

    def change_by(self, live: LiveConfig, watch: ConfigWatch | None) -> None:
        """Let operators change the configuration, and whoever writes its file."""
        self._live, self._watch = live, watch

    def adopt(self, published: Published) -> None:
        """Watch and tell of another configuration from now on; its pools are there."""
        if self.monitor is not None:
            self.monitor.adopt(published)
        if self._stats is not None:
            self._stats.adopt(published)
        self.answer = self._control_app(published)

    def _control_app(self, published: Published) -> ControlApp:
        parts = self._parts(published)
        return ControlApp(
            published, self._shared.cells, self._streams, self.monitor, parts, failure=self._failure
        )

    def _failure(self) -> Failure | None:
        return None if self._live is None else self._live.failure

    def _parts(self, published: Published) -> Iterator[Part]:
        """Yield what registers further paths; called at the first request, and what it imports with it."""
        yield lambda flask: _add_metrics(flask, published, self._shared)
        yield lambda flask: _add_configuration(flask, published, self._shared)
        yield lambda flask: _add_bans(flask, published, self._shared)
        yield lambda flask: _add_traces(flask, published, self._shared)
        if self._shared.controls:
            yield lambda flask: _add_route_lookup(flask, published, self._shared, self._pools)
        if self._stats is not None:
            stats = self._stats
            yield lambda flask: _add_stats(flask, stats)
        yield lambda flask: _add_config_actions(flask, self._live)

    def start(self) -> None:
        """Begin to watch."""
        for one in (self.monitor, self._stats, self._watch):
            if one is not None:
                one.start()

    def stop(self) -> None:
        """End that."""
        for one in (self._watch, self._stats, self.monitor):
            if one is not None:
                one.stop()


def _monitor(published: Published, shared: Shared, events: EventLog) -> Monitor:
    from lbg.health.monitor import Monitor  # with requests, which proxy workers do without
    from lbg.health.probe import probe_of

    lock = FileLock(shared.directory / directory.LOCK) if shared.directory is not None else None
    return Monitor(published, shared.cells, events, probe_of, lock)


def _stats(published: Published, shared: Shared) -> Stats:
    from lbg.control.stats import Stats  # which proxy workers do without

    return Stats(published, shared.cells, shared.series)


def _add_stats(flask: Flask, stats: Stats) -> None:
    from lbg.control.stats_path import add_stats  # with Flask

    add_stats(flask, stats)


def _add_metrics(flask: Flask, published: Published, shared: Shared) -> None:
    from lbg.control.metrics import MetricsCollector, add_metrics

    add_metrics(flask, MetricsCollector(published, shared.cells, shared.series, shared.buckets))


def _add_configuration(flask: Flask, published: Published, shared: Shared) -> None:
    from lbg.control.config_document import add_config
    from lbg.control.route_list import RouteList, add_route_list

    add_config(flask, published.snapshot)
    add_route_list(flask, RouteList(published.snapshot.config, shared.series))


def _add_bans(flask: Flask, published: Published, shared: Shared) -> None:
    from lbg.control.bans import add_bans

    add_bans(flask, shared.buckets, LimitsInForce.of(published.snapshot.config.routes))


def _add_traces(flask: Flask, published: Published, shared: Shared) -> None:
    from lbg.control.traces import add_traces

    add_traces(flask, shared.traces, published.snapshot.config)


def _add_route_lookup(flask: Flask, published: Published, shared: Shared, pools: Pools) -> None:
    from lbg.control.route_lookup import add_route_lookup

    config = published.snapshot.config
    table = RouteTable(routes_of(config.routes))
    add_route_lookup(flask, Explainer(config, table, pools.by_name, shared.cells))


def _add_config_actions(flask: Flask, live: LiveConfig | None) -> None:
    from lbg.control.config_actions import add_config_actions

    add_config_actions(flask, live)
