"""Texts with variables, compiled once and filled in for each request."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from lbg.http.target import host_name
from lbg.http.template import parse
from lbg.proxy.cgi import target_of
from lbg.proxy.fields import cgi_key
from lbg.proxy.keys import cookie, parameter
from lbg.routing.conditions import text_of
from lbg.routing.path_index import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.http.template import Variable
    from lbg.proxy.record import Record

Environ = dict[str, Any]

# All but HTAB: what no field value may hold (RFC 9110 section 5.5).
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# Means the same in every place of a URL and cannot end a value in a text, in HTML or in quotes.
_SAFE: Final = "/:@!$()*,=~"


class Renderer:
    """A text whose variables are filled in.

    `constant` is the whole text where there is no variable, None otherwise.
    """

    __slots__ = ("_form", "_values", "constant")

    def __init__(self, form: str, values: tuple[Callable[[Environ, str], str], ...]) -> None:
        self._form = form
        self._values = values
        self.constant = None if values else form % ()

    @classmethod
    def of(cls, text: str, *, decoded: bool = False) -> Renderer:
        """Return the renderer of `text`. Raises ValueError for a variable that there is not.

        What `{path}`, `{match:…}` and `{query:…}` give is percent-encoded, as it can stand in a URL; with
        `decoded` it is not, for who encodes it himself.
        """
        form = ""
        values = []
        for part in parse(text):
            if isinstance(part, str):
                form += part.replace("%", "%%")
            else:
                form += "%s"
                values.append(_value(part, decoded=decoded))
        return cls(form, tuple(values))

    def render(self, environ: Environ, status: str = "") -> str:
        """Return the text for a request, as PEP 3333 wants it: bytes as Latin-1, no line break, no NUL.

        `status` is the code of the response, once there is one. A variable without a value leaves nothing.
        A control character in a value becomes its escape, such as `%0A`.
        """
        if self.constant is not None:
            return self.constant
        return self._form % tuple([value(environ, status) for value in self._values])


def _value(variable: Variable, *, decoded: bool) -> Callable[[Environ, str], str]:
    if not variable.name:
        if variable.kind == "path" and decoded:
            return _decoded_path
        return _SIMPLE[variable.kind]
    name = variable.name
    escape = _without_controls if decoded else _escaped
    match variable.kind:
        case "header":
            key = cgi_key(name)
            return lambda environ, _: _without_controls(environ.get(key, ""))
        case "cookie":
            return lambda environ, _: _without_controls(cookie(environ.get("HTTP_COOKIE", ""), name) or "")
        case "query":
            return lambda environ, _: escape(parameter(environ.get("QUERY_STRING", ""), name) or "")
    group = int(name) if name.isdigit() else name
    escape_path = _without_controls if decoded else _escaped_path
    return lambda environ, _: escape_path(_group(environ["lbg.exchange"], group))


def _without_controls(value: str) -> str:
    # Most values are plain, and one look finds out.
    return value if value.isprintable() else _CONTROLS.sub(lambda found: f"%{ord(found[0]):02X}", value)


def _escaped(value: str) -> str:
    return quote(value, safe=_SAFE, encoding="latin-1")


def _escaped_path(value: str) -> str:
    # An encoded slash stands in a normalised path as "%2F" and must stay one.
    return _escaped(value).replace("%252F", "%2F")


def _bytes_of(text: str) -> str:
    """Return the UTF-8 bytes of a text as PEP 3333 writes bytes."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("latin-1")


def _path(environ: Environ, _: str) -> str:
    return _escaped_path(environ["lbg.exchange"].path)


def _decoded_path(environ: Environ, _: str) -> str:
    return _without_controls(environ["lbg.exchange"].path)


def _host(environ: Environ, _: str) -> str:
    return _without_controls(host_name(environ.get("HTTP_HOST", "")))


def _uri(environ: Environ, _: str) -> str:
    target: bytes = environ.get("lbg.raw_target") or target_of(environ)
    return _without_controls(target.decode("latin-1"))


def _route(environ: Environ, _: str) -> str:
    record: Record = environ["lbg.exchange"]
    return _bytes_of(record.route.name) if record.route is not None else ""


def _pool(environ: Environ, _: str) -> str:
    record: Record = environ["lbg.exchange"]
    return record.pool.name if record.pool is not None else ""


def _endpoint(environ: Environ, _: str) -> str:
    record: Record = environ["lbg.exchange"]
    return _bytes_of(record.endpoint.name) if record.endpoint is not None else ""


_SIMPLE: Final[dict[str, Callable[[Environ, str], str]]] = {
    "client_ip": lambda environ, _: environ["lbg.exchange"].client,
    "peer_ip": lambda environ, _: environ.get("REMOTE_ADDR", ""),
    "host": _host,
    "method": lambda environ, _: environ["REQUEST_METHOD"],
    "scheme": lambda environ, _: environ["lbg.exchange"].scheme,
    "path": _path,
    "query": lambda environ, _: _without_controls(environ.get("QUERY_STRING", "")),
    "uri": _uri,
    "request_id": lambda environ, _: environ["lbg.exchange"].request_id,
    "route": _route,
    "pool": _pool,
    "endpoint": _endpoint,
    "status": lambda _, status: status,
}


def _group(record: Record, group: int | str) -> str:
    """Return a group of the route's pattern for paths, "" where there is none."""
    route = record.route
    if route is None or not route.config.path_regex:
        return ""
    match = _match(route.config.path_regex, record.path)
    if match is None:
        return ""
    try:
        value = match[group]
    except IndexError:
        return ""
    return _bytes_of(value or "")


@lru_cache(maxsize=64)  # several variables of one request
def _match(pattern: str, path: str) -> re.Match[str] | None:
    return _pattern(pattern).fullmatch(text_of(path))


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    return compiled(text)
