"""What would become of a request, and why: the route, its filters, the target, the pool and its endpoints."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from lbg.config.secrets import text_without_secrets
from lbg.errors import LocalReply
from lbg.http.keys import parse_key
from lbg.http.target import readings, routing_path
from lbg.proxy.actions import is_in
from lbg.proxy.inquiry import Inquiry
from lbg.proxy.keys import key_of
from lbg.proxy.pool_preview import PoolPreview
from lbg.proxy.route_document import route_document
from lbg.proxy.variables import Renderer
from lbg.routing.lookup import find_route
from lbg.routing.rewrite import Rewrite
from lbg.routing.split import Split

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.config.routes import RouteConfig
    from lbg.config.schema import Config
    from lbg.proxy.inquiry import Environ
    from lbg.routing.table import Route, RouteTable
    from lbg.state.cells import Cells
    from lbg.upstream.pool import Pool

Document = dict[str, Any]

_LISTED: Final = 50  # routes that were passed over


class Explainer:
    """Answers about one configuration. `live` tells that the cells are those of a running lbg."""

    def __init__(
        self, config: Config, table: RouteTable, pools: Mapping[str, Pool], cells: Cells, *, live: bool = True
    ) -> None:
        self._table = table
        self._pools = config.pools
        self._previews = {name: PoolPreview(pool, config.pools[name], cells) for name, pool in pools.items()}
        self._underscores = config.server.underscore_headers
        self._live = live

    def explain(self, method: str, url: str, headers: Iterable[str] = (), client: str = "") -> Document:
        """Return what becomes of a request; the arguments are those of `Inquiry.of`. Raises BadInquiry."""
        asked = Inquiry.of(method, url, headers, client, underscores=self._underscores)
        environ = asked.environ
        document: Document = {
            "live": self._live,
            "method": environ["REQUEST_METHOD"],
            "url": url,
            "host": asked.host,
            "path": routing_path(asked.raw_path),
            "dropped_headers": list(asked.dropped),
            "refused": None,
            "route": None,
            **self._passed_over(asked),
        }
        try:
            route, path = find_route(self._table, asked.host, asked.raw_path, environ)
        except LocalReply as refusal:
            return document | {"refused": self._refusal(refusal, asked)}
        record = environ["lbg.exchange"]
        record.route, record.path = route, path
        document["route"] = route_document(route)
        try:
            return document | self._outcome(route, path, environ)
        except LocalReply as refusal:  # by the rewriting
            return document | {"refused": self._refusal(refusal, asked)}

    def _passed_over(self, asked: Inquiry) -> Document:
        path = routing_path(asked.raw_path)
        if path is None:
            return {"passed_over": [], "passed_over_more": 0}
        verdicts = self._table.explain(asked.host, path, asked.environ)
        failed = ({"route": one.route.name, "why": one.why_not} for one in verdicts if one.why_not)
        listed = list(islice(failed, _LISTED))
        return {"passed_over": listed, "passed_over_more": sum(1 for _ in failed)}

    def _refusal(self, refusal: LocalReply, asked: Inquiry) -> Document:
        document = {
            "status": refusal.status,
            "reason": refusal.reason.code,
            "detail": refusal.detail,
            "why": "",
        }
        if refusal.reason.code == "no_route":
            return document | {"why": self._why_none(asked)}
        return document | {"why": self._other_reading(asked)}

    def _why_none(self, asked: Inquiry) -> str:
        """Return what the last thing is that no route fits."""
        for_host = [route for route in self._table.routes if _is_for(route, asked.host)]
        if not for_host:
            return f'no route is for the host "{asked.host}"' if asked.host else "no route is for any host"
        path = routing_path(asked.raw_path) or ""
        if not any(True for _ in self._table.explain(asked.host, path, asked.environ)):
            return f"{_counted(len(for_host))} for this host, but none for this path"
        return "the conditions of all routes for this host and path fail"

    def _other_reading(self, asked: Inquiry) -> str:
        """Return how a backend may read the path so that it leads elsewhere."""
        path = routing_path(asked.raw_path)
        route = self._table.match(asked.host, path, asked.environ) if path is not None else None
        if route is None:
            return "a backend may read it as a path above the root"
        for reading in sorted(readings(asked.raw_path)):
            other = self._table.match(asked.host, reading, asked.environ)
            if other is not route:
                there = f"the route {other.name}" if other is not None else "no route"
                return f"it takes the route {route.name}, but a backend may read it as {reading}: {there}"
        return f"it takes the route {route.name}, but a backend may read it in too many other ways"

    def _outcome(self, route: Route, path: str, environ: Environ) -> Document:
        config = route.config
        outcome: Document = {"outcome": "", "location": None, "target": None, "split": None, "pool": None}
        if config.maintenance is not None and not is_in(_client(environ), config.maintenance.allow):
            return outcome | {"outcome": "maintenance"}
        if config.redirect is not None:
            location = Renderer.of(config.redirect.to).render(environ)
            return outcome | {"outcome": "redirect", "location": text_without_secrets(location)}
        if config.respond is not None:
            return outcome | {"outcome": "respond"}
        split = _split(config, environ)
        name = split["pool"] if split is not None else config.pool
        rewrite = Rewrite.of(config)
        target: bytes = environ["lbg.raw_target"]
        target = target if rewrite is None else rewrite.target(target, path)
        pool = self._pool(name, environ) if name is not None else None
        return outcome | {
            "outcome": "forward",
            "target": target.decode("latin-1"),
            "split": split,
            "pool": pool,
        }

    def _pool(self, name: str, environ: Environ) -> Document:
        config = self._pools[name]
        takes_key = config.balance == "hash" or ":" in config.balance
        told = _key(config.hash_key if takes_key else None, environ)
        preview = self._previews[name]
        document = preview.document(told["value"], environ.get("HTTP_COOKIE", ""), live=self._live)
        return document | {"key": told["spec"], "key_note": told["note"]}


def _is_for(route: Route, host: str) -> bool:
    own = route.config.host
    return not own or own == host or (own.startswith("*.") and host.endswith(own[1:]))


def _counted(number: int) -> str:
    return "there is 1 route" if number == 1 else f"there are {number} routes"


def _client(environ: Environ) -> str:
    client: str = environ["lbg.exchange"].client
    return client


def _split(config: RouteConfig, environ: Environ) -> Document | None:
    """Return the shares of the pools, and which of them the request goes to."""
    if not config.split:
        return None
    split, told = Split(config.split), _key(config.split_key, environ)
    drawn = "this is one draw" if told["value"] is None else ""
    return {
        "shares": {name: round(share, 6) for name, share in split.shares.items()},
        "key": told["spec"],
        "pool": split.pick(told["value"]),
        "note": "; ".join(filter(None, (told["note"], drawn))),
    }


def _key(spec: str | None, environ: Environ) -> Document:
    """Return the key that `spec` takes from a request; a function of the user is not called."""
    if spec is None:
        return {"spec": None, "value": None, "note": ""}
    kind = parse_key(spec).kind
    if kind == "function":
        return {"spec": spec, "value": None, "note": f"{spec} tells the key, which is not asked here"}
    if kind == "client_ip" and not _client(environ):
        return {"spec": spec, "value": None, "note": "the key is the client's address, which was not given"}
    value = key_of(spec)(environ)
    note = f"the request has no {spec} for a key" if value is None else ""
    return {"spec": spec, "value": value, "note": note}
