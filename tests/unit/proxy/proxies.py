"""A proxy in front of scripted endpoints, asked as a WSGI server asks."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from ipaddress import ip_network
from typing import Any

from lbg.config.routes import RouteConfig
from lbg.errors import UpstreamError
from lbg.filters.route_apps import RouteApps, pages_of
from lbg.http.forwarded import Forwarding
from lbg.http.headers import Fields
from lbg.net.stream import Stream
from lbg.proxy.client import Clients
from lbg.proxy.handler import ProxyHandler
from lbg.proxy.local_replies import LocalReplies
from lbg.proxy.record import Record
from lbg.proxy.request_head import HeadBuilder
from lbg.routing.table import RouteTable, routes_of
from lbg.state.buckets import Buckets
from tests.unit.upstream.pools import a_fleet, pool_of
from tests.unit.upstream.scripted_endpoint import Answer, ScriptedEndpoint, read_head


@dataclass
class Answered:
    """What the client of a proxy gets, and what the proxy noted."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes
    record: Record

    @property
    def reason(self) -> str:
        """The reason code of a local reply, "" for an answer of an endpoint."""
        return self.record.reason.code if self.record.reason else ""

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name]


class Proxy:
    """A handler over one pool, `api`; `received` are the requests its endpoints got."""

    def __init__(
        self,
        endpoints: list[ScriptedEndpoint],
        routes: Iterable[RouteConfig],
        received: list[bytes],
        **pool: Any,
    ) -> None:
        forwarding = Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False)
        table = RouteTable(routes_of(routes))
        replies = LocalReplies(Clients(forwarding), pages_of(table.routes))
        heads = HeadBuilder(forwarding, underscores=False)
        pools = {"api": pool_of(*endpoints, **pool)}
        apps = RouteApps(heads, replies, Buckets.private()).make(table.routes, pools, {"api": None})
        self.handler = ProxyHandler(table, apps, replies)
        self.endpoints = endpoints
        self.received = received

    def ask(
        self,
        target: bytes = b"/",
        *fields: tuple[bytes, bytes],
        method: str = "GET",
        body: bytes = b"",
        peer: str = "9.9.9.9",
        **more: Any,
    ) -> Answered:
        """Return the answer to a request that our own server hands over."""
        named = {name.lower() for name, _ in fields}
        sent: Fields = [] if b"host" in named else [(b"Host", b"a")]
        sent += fields
        if body and b"transfer-encoding" not in named:
            sent.append((b"Content-Length", b"%d" % len(body)))
        environ = base(method, peer) | {
            "lbg.headers": sent,
            "lbg.raw_target": target,
            "RAW_URI": target.decode("latin-1"),
            "QUERY_STRING": target.partition(b"?")[2].decode("latin-1"),
            "wsgi.input": BytesIO(body),
        }
        for name, value in sent:
            environ["HTTP_" + name.decode().upper().replace("-", "_")] = value.decode("latin-1")
        return self.call(environ | more)

    def call(self, environ: dict[str, Any]) -> Answered:
        """Return the answer to a request in this environ."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            started.append((status, headers))

        result = self.handler.handle(environ, start_response)
        try:
            body = b"".join(result)
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        (status, headers), record = started[-1], environ["lbg.exchange"]
        assert len(started) == 1
        return Answered(status, headers, body, record)

    @property
    def heads(self) -> list[list[bytes]]:
        """The lines of the heads that endpoints got."""
        return [request.partition(b"\r\n\r\n")[0].split(b"\r\n") for request in self.received]

    def in_flight(self) -> int:
        """Return how many requests have not ended."""
        return sum(endpoint.in_flight() for endpoint in self.endpoints)


def base(method: str = "GET", peer: str = "9.9.9.9") -> dict[str, Any]:
    """Return what every WSGI server says of a request."""
    return {
        "REQUEST_METHOD": method,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "a",
        "SERVER_PORT": "8080",
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": "http",
    }


CATCH_ALL = (RouteConfig(pool="api"),)


@contextmanager
def proxy(
    *answers: bytes | Answer | UpstreamError, routes: Iterable[RouteConfig] = CATCH_ALL, **pool: Any
) -> Iterator[Proxy]:
    """Lend a proxy whose endpoints, one for each of `answers`, behave so on their first connection."""
    received: list[bytes] = []
    with a_fleet() as fleet:
        endpoints = [fleet.endpoint(*[_noting(answer, received)] * 3) for answer in answers]
        yield Proxy(endpoints, routes, received, **pool)


def _noting(answer: bytes | Answer | UpstreamError, received: list[bytes]) -> Answer | UpstreamError:
    """Return a behaviour that answers with these bytes and notes what it read."""
    if not isinstance(answer, bytes):
        return answer

    def serve(stream: Stream) -> None:
        while request := read_head(stream):
            received.append(request)
            stream.send(answer)

    return serve
