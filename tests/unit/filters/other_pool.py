"""Filters that send requests of their own: their tools, and the scripted endpoints these lead to."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

from lbg.errors import UpstreamError
from lbg.filters.tools import Tools
from lbg.http.forwarded import Forwarding
from lbg.net.stream import Stream
from lbg.proxy.attempt import forward
from lbg.proxy.client import Clients
from lbg.proxy.local_replies import LocalReplies
from lbg.proxy.request_head import HeadBuilder
from tests.unit.upstream.pools import a_fleet, pool_of
from tests.unit.upstream.scripted_endpoint import Answer, ScriptedEndpoint

Field = tuple[str, str]


@dataclass
class Received:
    """One request that an endpoint of the other pool got."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """Return all values of a field."""
        wanted = name.lower().encode()
        return [value.decode("latin-1") for key, value in self.fields if key.lower() == wanted]

    @property
    def names(self) -> list[str]:
        """The names of its fields."""
        return [name.decode() for name, _ in self.fields]


@dataclass
class OtherPool:
    """The pool "other" behind a filter, and what it received."""

    tools: Tools
    endpoints: list[ScriptedEndpoint]
    received: list[Received] = field(default_factory=list)

    @property
    def connects(self) -> int:
        """How many connections were asked for."""
        return sum(endpoint.connects for endpoint in self.endpoints)

    def in_flight(self) -> int:
        """Return how many requests have not ended."""
        return sum(endpoint.in_flight() for endpoint in self.endpoints)


@contextmanager
def other_pool(
    *answers: bytes | Answer | UpstreamError, underscores: bool = False, **pool: Any
) -> Iterator[OtherPool]:
    """Lend tools and a pool whose endpoints, one for each of `answers`, behave so on every connection."""
    forwarding = Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False)
    clients = Clients(forwarding)
    received: list[Received] = []
    with a_fleet() as fleet:
        endpoints = [fleet.endpoint(*[_noting(answer, received)] * 5) for answer in answers]
        tools = Tools(
            name="shop#0",
            route="shop",
            reply=LocalReplies(clients, MappingProxyType({})).reply,
            send=forward,
            pools={"other": pool_of(*endpoints, **pool)},
            heads=HeadBuilder(forwarding, underscores=underscores),
            clients=clients,
            buckets=Mock(),
        )
        yield OtherPool(tools, endpoints, received)


def _noting(answer: bytes | Answer | UpstreamError, received: list[Received]) -> Answer | UpstreamError:
    """Return a behaviour that answers with these bytes and notes what it read."""
    if not isinstance(answer, bytes):
        return answer

    def serve(stream: Stream) -> None:
        while (request := read_request(stream)) is not None:
            received.append(request)
            stream.send(answer)

    return serve


def read_request(stream: Stream) -> Received | None:
    """Return the next request with a body of known length, None at the end of the stream."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = stream.recv(65536)
        if not more:
            assert not data
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    request = Received(line, [tuple(each.split(b": ", 1)) for each in lines], body)  # type: ignore[misc]
    length = int((request.values("content-length") or ["0"])[0])
    while len(request.body) < length:
        more = stream.recv(65536)
        assert more, "the request was cut"
        request.body += more
    return request
