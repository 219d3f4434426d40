"""The composition root: a configuration becomes a WSGI application."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lbg.balancing.round_robin import RoundRobin
from lbg.config.load import load
from lbg.config.snapshot import Snapshot
from lbg.control.app import ControlApp
from lbg.http.forwarded import Forwarding
from lbg.http.headers import ResponseRules
from lbg.net.deadline import DEADLINES
from lbg.proxy.handler import ProxyHandler
from lbg.proxy.request_head import HeadBuilder
from lbg.routing.table import Route, RouteTable
from lbg.state import directory
from lbg.state.cells import Cells
from lbg.state.document import Published, decode
from lbg.state.layout import assign_slots, counters, identity
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.idle import IdleConnections
from lbg.upstream.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.config.schema import Config, PoolConfig
    from lbg.net.address import Bind

_START_RANGE: Final = 1 << 16


Application = Callable[[dict[str, Any], Any], "Iterable[bytes]"]


def _dispatch(proxy: ProxyHandler, control: ControlApp, admin: Bind) -> Application:
    """Return the application: the proxy, or the control app for what came in by the admin listener."""
    handle = proxy.handle

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        listener = environ.get("lbg.listener")
        if listener == "public" or (listener is None and not _came_by(environ, admin)):
            return handle(environ, start_response)
        return control(environ, start_response)

    return application


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

    As a worker of our master it uses the published configuration and the shared cells; anywhere
    else it loads the configuration itself and counts for itself. Raises ConfigError, OSError.
    """
    slot = environ.get(directory.SLOT_VARIABLE)
    state = environ.get(directory.VARIABLE)
    if slot is not None and state is not None:
        path = Path(state)
        return _build(decode(directory.read(path)), Cells.open(path), int(slot))
    loaded = load(os.environ, Path.cwd())
    snapshot = Snapshot.of(loaded.config, 1, loaded.source)
    names = [
        identity(name, endpoint.address.text)
        for name, pool in loaded.config.pools.items()
        for endpoint in pool.endpoints
    ]
    return _build(Published(snapshot, assign_slots({}, names)), Cells.private(), 0)


def _build(published: Published, cells: Cells, worker: int) -> Application:
    config = published.snapshot.config
    rules = ResponseRules(underscores=config.server.underscore_headers)
    pools: dict[str, Pool] = {}
    for name, pool in config.pools.items():
        slots = {
            endpoint.url: counters(worker, published.slots[identity(name, endpoint.address.text)])
            for endpoint in pool.endpoints
        }
        pools[name] = _pool(name, pool, cells, slots, rules)
        DEADLINES.on_tick(pools[name].retire_idle)
    forwarding = Forwarding(config.server.trusted_proxies, config.server.via, rfc7239=config.server.forwarded)
    heads = HeadBuilder(forwarding, underscores=config.server.underscore_headers)
    proxy = ProxyHandler(_routes(config), pools, forwarding, heads)
    return _dispatch(proxy, ControlApp(published, cells), config.admin.bind)


def _pool(
    name: str, config: PoolConfig, cells: Cells, bases: Mapping[str, int], rules: ResponseRules
) -> Pool:
    endpoints = tuple(
        Endpoint(endpoint, IdleConnections(config.connections), cells, bases[endpoint.url])
        for endpoint in config.endpoints
    )
    start = random.randrange(_START_RANGE)  # noqa: S311 - spreads the workers' starts, no secret
    return Pool(name, config, endpoints, RoundRobin(endpoints, start), rules)


def _routes(config: Config) -> RouteTable:
    return RouteTable(Route(route.host or "", route.path, route.pool) for route in config.routes)
