"""What servers make of a request on its way in, and what backends make of it at the end."""

import re
from collections.abc import Iterable
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl

from lbg.config.routes import RouteConfig
from lbg.errors import RequestError
from lbg.http.headers import EnvironKeys
from lbg.server.environ import fill_environ
from lbg.server.parser import Request
from tests.support import rules
from tests.unit.proxy.proxies import Proxy, base
from tests.unit.routing.backends import BACKENDS, decoded, seen_by

Field = tuple[bytes, bytes]
Environ = dict[str, Any]

_KEYS = EnvironKeys(underscores=False)


def by_our_server(target: bytes, *fields: Field, method: str = "GET") -> Environ | None:
    """Return the environ of a request, None for one that our server refuses."""
    request = Request()
    request.method, request.version, request.target, request.fields = method, "1.1", target, list(fields)
    environ = base() | {"wsgi.input": BytesIO()}
    try:
        fill_environ(environ, request, _KEYS)
    except RequestError:
        return None
    return environ


def by_another_server(target: bytes, *fields: Field, method: str = "GET") -> Environ:
    """Return the environ of a request from a server that has CGI keys alone and refuses nothing."""
    path, _, query = target.decode("latin-1").partition("?")
    environ = base(method) | {"wsgi.input": BytesIO(), "RAW_URI": target.decode("latin-1")}
    environ |= {"PATH_INFO": decoded(path), "QUERY_STRING": query}
    for name, raw in fields:
        key = "HTTP_" + name.decode().upper().replace("-", "_")
        value = raw.decode("latin-1")
        environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ


def without_raw_target(target: bytes, *fields: Field, method: str = "GET") -> Environ:
    """Return the environ of a request from a server that tells the path decoded and no other."""
    environ = by_another_server(target, *fields, method=method)
    del environ["RAW_URI"]
    return environ


SERVERS = [by_our_server, by_another_server, without_raw_target]


class Got:
    """A request as a backend got it."""

    def __init__(self, head: bytes) -> None:
        line, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        self.method, self.target, _ = line.split(" ")
        self._fields = [(name, value) for name, _, value in (each.partition(": ") for each in lines)]

    def values(self, name: str) -> list[str]:
        """Return what a CGI-like backend takes for the values of a field."""
        return [value for key, value in self._fields if key.lower().replace("_", "-") == name.lower()]

    @property
    def host(self) -> str:
        """The name by which a backend tells its sites apart."""
        (authority,) = self.values("host")
        return re.sub(":[0-9]*$", "", decoded(authority)).lower().rstrip(".")

    @property
    def query(self) -> list[tuple[str, str]]:
        """The parameters."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True, encoding="latin-1")

    @property
    def paths(self) -> dict[str, str]:
        """What path each kind of backend takes the target for."""
        path = re.sub("[?#].*", "", self.target)
        path = re.sub("^[a-z]+://[^/]*", "", path) or "/"
        seen = {name: seen_by(name, path) for name in BACKENDS}
        return {**seen, "C": decoded(path).partition("\0")[0]}


def ask(front: Proxy, environ: Environ | None) -> Got | None:
    """Return what the backend gets of a request, None where it is refused."""
    front.received.clear()
    if environ is None:
        return None
    status = front.call(environ).status
    assert bool(front.received) == (status == "200 OK"), status
    return Got(front.received[0]) if front.received else None


def inside(path: str, prefix: str) -> bool:
    """Return whether a path is `prefix` or below it."""
    return f"{path}/".startswith(f"{prefix.rstrip('/')}/")


def rule_for(routes: Iterable[RouteConfig], host: str, path: str) -> str:
    """Return the name of the route that the documentation says takes a request, conditions aside."""
    ranks = ((_rank(route, host, path), index, route.name) for index, route in enumerate(routes))
    return min(rank for rank in ranks if rank[0])[2]


def _rank(route: RouteConfig, host: str, path: str) -> tuple[int, ...]:
    """Return what sorts the routes that fit, () for one that does not."""
    asked = route.host or ""
    wild = asked.startswith("*.")
    if asked and not (host.endswith(asked[1:]) if wild else host == asked):
        return ()
    if route.path_exact is not None:
        fits, kind = path == route.path_exact, (0, 0)
    elif route.path_regex:
        fits, kind = bool(re.fullmatch(route.path_regex, path, re.DOTALL)), (1, 0)
    else:
        fits, kind = inside(path, route.path or "/"), (2, -len(route.path or ""))
    return (1 if wild else 0 if asked else 2, -len(asked), *kind) if fits else ()


RULES = [RouteConfig.model_validate(table) for table in rules.routes()]
_BY_PLACE = [route for route in RULES if not (route.methods or route.headers or route.query)]
_SECRET = re.compile(r"/files/(secret|a b)(/|$)|\.php$|/\.git(/|$)")


def misjudged(got: Got) -> list[str]:
    """Return what is wrong with a request that came past the routes of the corpus."""
    (judge,) = got.values("x-route")
    return [
        f"{backend} sees {path!r} of {got.host}, judged by {judge}"
        for backend, path in got.paths.items()
        if not _is_right(got, judge, path)
    ]


def _is_right(got: Got, judge: str, path: str) -> bool:
    match judge:
        case "api":
            return not inside(path, "/secret")
        case "old":
            return inside(path, "/v2")
        case "files":
            return inside(path, "/files") and not _SECRET.search(path)
    if inside(path, "/find") and {("admin", "1"), ("admin", "a b")} & set(got.query):
        return False
    return rule_for(_BY_PLACE, got.host, path) == judge
