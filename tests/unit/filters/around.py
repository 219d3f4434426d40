"""A filter around an application that keeps what reaches it, asked as our server asks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

from lbg.config.filters import BUILT_IN
from lbg.config.routes import RouteConfig
from lbg.filters.access import Access
from lbg.filters.basic_auth import BasicAuth
from lbg.filters.body_limit import BodyLimit
from lbg.filters.cors import Cors
from lbg.filters.headers import Headers
from lbg.filters.query import Query
from lbg.filters.request_id import RequestId
from lbg.filters.tools import Tools
from lbg.http.forwarded import Forwarding
from lbg.http.headers import EnvironKeys
from lbg.http.target import routing_path
from lbg.proxy.client import Clients
from lbg.proxy.local_replies import LocalReplies
from lbg.proxy.record import Record
from lbg.routing.route import Route

Fields = list[tuple[str, str]]
Environ = dict[str, Any]
Field = tuple[str, str]

TRUSTED = "10.0.0.1"
_CLASSES: dict[str, Any] = {
    "access": Access,
    "basic_auth": BasicAuth,
    "body_limit": BodyLimit,
    "cors": Cors,
    "headers": Headers,
    "query": Query,
    "request_id": RequestId,
}
_KEYS = EnvironKeys(underscores=True)
_CLIENTS = Clients(Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False))
_REPLIES = LocalReplies(_CLIENTS, MappingProxyType({}))


def environ_of(
    target: str = "/",
    *fields: Field,
    method: str = "GET",
    peer: str = "192.0.2.1",
    body: bytes = b"",
    route: RouteConfig | None = None,
) -> Environ:
    """Return the environ of a request; the texts are as PEP 3333 has them. A Host is added."""
    sent = fields if any(name.lower() == "host" for name, _ in fields) else (("Host", "a"), *fields)
    path, _, query = target.partition("?")
    record = Record("id-1")
    record.path = routing_path(path) or path
    record.client = peer or "unix:"
    record.route = Route("shop", route or RouteConfig(), 0)
    environ: Environ = {
        "REQUEST_METHOD": method,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": peer,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "RAW_URI": target,
        "REQUEST_URI": target,
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "lbg.raw_target": target.encode("latin-1"),
        "lbg.headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent],
        "lbg.exchange": record,
    }
    for name, value in sent:
        key = _KEYS[name.encode("latin-1")]
        if key is not None:
            separator = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = f"{environ[key]}{separator}{value}" if key in environ else value
    return environ


@dataclass
class Answer:
    """What the client of a filter gets, and the environ it left behind."""

    status: str
    headers: Fields
    body: bytes
    environ: Environ

    @property
    def reason(self) -> str:
        """The reason code of a local reply, "" for another answer."""
        reason = self.environ["lbg.exchange"].reason
        return reason.code if reason else ""

    @property
    def code(self) -> int:
        """The status as a number."""
        return int(self.status[:3])

    def values(self, name: str) -> list[str]:
        """Return all values of a field of the response."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def sent(self, name: str) -> list[str]:
        """Return all values of a field that goes upstream."""
        lower = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.environ["lbg.headers"] if key.lower() == lower]


class Filtered:
    """A filter, made from its table in the configuration; `seen` are the environs that passed it."""

    def __init__(
        self,
        table: dict[str, Any],
        headers: Iterable[Field] = (("Content-Length", "2"),),
        answer: Callable[[Environ], Iterable[bytes]] = lambda _: [b"ok"],
        status: str = "200 OK",
    ) -> None:
        self.seen: list[Environ] = []
        self._status, self._headers, self._answer = status, headers, answer
        self.filter = made(table, self._app)

    def _app(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        self.seen.append(environ)
        body = self._answer(environ)
        start_response(self._status, list(self._headers))
        return body

    def ask(self, target: str = "/", *fields: Field, **more: Any) -> Answer:
        """Return the answer to a request; what follows the fields is for `environ_of`."""
        return self.call(environ_of(target, *fields, **more))

    def call(self, environ: Environ) -> Answer:
        """Return the answer to a request in this environ."""
        started: list[tuple[str, Fields]] = []

        def start_response(status: str, headers: Fields, exc_info: Any = None) -> None:
            started.append((status, headers))

        body = b"".join(self.filter(environ, start_response))
        ((status, headers),) = started
        return Answer(status, headers, body, environ)


def made(table: dict[str, Any], app: Any) -> Any:
    """Return the filter of a table around `app`."""
    config = BUILT_IN[table["use"]].model_validate(table)
    unused = Mock()
    tools = Tools(
        name="shop#0",
        route="shop",
        reply=_REPLIES.reply,
        send=unused,
        pools={},
        heads=unused,
        clients=_CLIENTS,
        buckets=unused,
    )
    return _CLASSES[table["use"]](app, config, tools)
