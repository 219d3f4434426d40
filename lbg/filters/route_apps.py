"""The WSGI application of each route: what becomes of its requests, and the filters around that."""

from __future__ import annotations

import logging
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbg.config.route_fields import page_content
from lbg.filters.chain import chain_of
from lbg.filters.tools import Tools
from lbg.hooks.reference import HookError
from lbg.http.replies import Page
from lbg.proxy.actions import Maintenance, Redirect, Respond
from lbg.proxy.attempt import forward
from lbg.proxy.forwarder import Forwarder, Upstream
from lbg.proxy.keys import key_of
from lbg.routing.limits_in_force import filter_name
from lbg.routing.rewrite import Rewrite
from lbg.routing.split import Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.config.filters import FilterConfig
    from lbg.config.routes import RouteConfig
    from lbg.filters.tools import Environ, StartResponse
    from lbg.proxy.local_replies import LocalReplies
    from lbg.proxy.request_head import HeadBuilder
    from lbg.routing.table import Route
    from lbg.state.buckets import Buckets
    from lbg.upstream.pool import Pool

log = logging.getLogger("lbg.proxy")


App = Callable[[dict[str, Any], Any], "Iterable[bytes]"]


@dataclass(frozen=True, slots=True)
class _Filtered:
    """A chain of filters, which may outlive configurations, and what its requests lead to in this one."""

    chain: App
    action: App

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        environ["lbg.exchange"].action = self.action
        environ["lbg.received"] = environ.copy()  # for logs and traces: filters change what goes upstream
        return self.chain(environ, start_response)


def _act(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Do what the request was to lead to when it came: another configuration may be in force by now."""
    action: App = environ["lbg.exchange"].action
    return action(environ, start_response)


@dataclass(frozen=True, slots=True)
class _Chain:
    """The filters of a route, and what they were made of: their configuration and the pools they ask."""

    filters: tuple[FilterConfig, ...]
    pools: tuple[Pool, ...]
    app: App


class RouteApps:
    """Makes the application of each route out of what they share.

    Filters that another configuration leaves as they were stay as they are: those of the user may remember
    things.
    """

    def __init__(self, heads: HeadBuilder, replies: LocalReplies, buckets: Buckets) -> None:
        self._heads = heads
        self._replies = replies
        self._buckets = buckets
        self._pools: Mapping[str, Pool] = {}
        self._chains: dict[str, _Chain] = {}

    def make(
        self, routes: Iterable[Route], pools: Mapping[str, Pool], hash_keys: Mapping[str, str | None]
    ) -> dict[Route, App]:
        """Return the application of each of `routes`.

        `hash_keys` has for each pool by what its policy tells requests apart, None when it does not.
        """
        self._pools = pools
        upstreams = {name: Upstream(pool, self._key(hash_keys[name])) for name, pool in pools.items()}
        before, self._chains = self._chains, {}
        return {route: self._app(route, upstreams, before.get(route.name)) for route in routes}

    def _app(self, route: Route, upstreams: Mapping[str, Upstream], before: _Chain | None) -> App:
        config = route.config
        app = self._action(route, upstreams)
        if config.maintenance is not None:
            pages = config.error_pages
            name = config.maintenance.page or pages.get("503") or pages.get("5xx")
            app = Maintenance(app, config.maintenance, _page(name))
        if app is None:
            raise ValueError(f"route {route.name} leads nowhere")
        return self._filtered(route, app, before) if config.filters else app

    def _filtered(self, route: Route, app: App, before: _Chain | None) -> App:
        filters = route.config.filters
        asked = tuple(
            self._pools[name] for one in filters if (name := getattr(one, "pool", None)) is not None
        )
        chain = before
        if chain is None or (chain.filters, chain.pools) != (filters, asked):
            made = chain_of(filters, _act, lambda index: self._tools(route, index))
            chain = _Chain(filters, asked, made)
        self._chains[route.name] = chain
        return _Filtered(chain.app, app)

    def _action(
        self, route: Route, upstreams: Mapping[str, Upstream]
    ) -> Callable[[Environ, StartResponse], Iterable[bytes]] | None:
        config = route.config
        if config.redirect is not None:
            return Redirect(config.redirect)
        if config.respond is not None:
            return Respond(config.respond, _page(config.respond.file))
        choose = _choose(config, self._key(config.split_key)) if config.split else config.pool
        if choose is None:
            return None
        return Forwarder(upstreams, choose, self._heads, self._replies, Rewrite.of(config))

    def _key(self, spec: str | None) -> Callable[[Environ], bytes | None] | None:
        if spec is None:
            return None
        try:
            return key_of(spec)
        except HookError as error:
            log.error("the key %s cannot be used, requests go without: %s", spec, error)  # noqa: TRY400
            return None

    def _tools(self, route: Route, index: int) -> Tools:
        return Tools(
            name=filter_name(route, index),
            route=route.name,
            reply=self._replies.reply,
            send=forward,
            pools=self._pools,
            heads=self._heads,
            clients=self._replies.clients,
            buckets=self._buckets,
        )


def _choose(config: RouteConfig, key: Callable[[Environ], bytes | None] | None) -> Callable[[Environ], str]:
    split = Split(config.split)
    if key is None:
        return lambda _: split.pick(None)
    return lambda environ: split.pick(key(environ))


def pages_of(routes: Iterable[Route]) -> dict[str, dict[str, Page]]:
    """Return the error pages of each route that has some, by its name and their status."""
    found = {}
    for route in routes:
        pages = {status: _page(name) for status, name in route.config.error_pages.items()}
        there = {status: page for status, page in pages.items() if page is not None}
        if there:
            found[route.name] = there
    return found


def _page(name: str | None) -> Page | None:
    """Return the page in a file; a file that is gone since it was checked is told and left out."""
    if name is None:
        return None
    try:
        content = page_content(name)
    except ValueError as error:
        log.error("a page is left out: %s", error)  # noqa: TRY400
        return None
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    return Page(content, f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
