"""Responses fed to a connection piece by piece, and what an exchange makes of them."""

from dataclasses import dataclass, field
from itertools import pairwise

from lbg.errors import UpstreamError
from lbg.http.headers import Fields
from lbg.upstream.connection import Connection
from lbg.upstream.exchange import Exchange
from lbg.upstream.request import UpstreamRequest
from tests.unit.net.scripted_stream import Scripted, ScriptedStream, as_stream
from tests.unit.upstream.pools import NotedLease, pool_of


def request_for(method: str = "GET", *, upgrades: bool = False) -> UpstreamRequest:
    """Return a request without a body."""
    request = UpstreamRequest(method, b"%b / HTTP/1.1\r\n" % method.encode(), b"Host: a\r\n", b"\r\n")
    request.upgrades = upgrades
    return request


def connection_to(*script: Scripted, served: int = 0) -> Connection:
    """Return a connection on which `script` is about to come."""
    connection = Connection(as_stream(ScriptedStream(*script)))
    connection.served = served
    return connection


def bytewise(data: bytes) -> list[bytes]:
    """Return `data` in pieces of one byte."""
    return [data[at : at + 1] for at in range(len(data))]


def pieces_at(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return `data` cut at the given places, empty pieces left out."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]


@dataclass
class Answered:
    """An exchange under way: the connection, and how the lease ended, if it did."""

    exchange: Exchange
    connection: Connection
    lease: NotedLease
    trailers: Fields = field(default_factory=list)

    def body(self) -> bytes:
        """Return the whole body."""
        return b"".join(self.exchange)

    @property
    def reusable(self) -> bool:
        """Whether the connection can serve another request."""
        return self.lease.ends == [None] and not self.connection.spoiled


def answer_to(
    method: str, connection: Connection, *, upgrades: bool = False, underscores: bool = False
) -> Answered:
    """Read the next response on `connection` up to its final head."""
    request = request_for(method, upgrades=upgrades)
    lease = NotedLease(pool_of(underscores=underscores))
    connection.begin(head_only=method == "HEAD")
    while not connection.status:
        connection.read_head()
        connection.interim = []
    answered = Answered(Exchange(lease.as_lease(), connection, request), connection, lease)
    answered.exchange.on_trailers = answered.trailers.extend
    return answered


def answer(*script: Scripted, method: str = "GET", underscores: bool = False) -> Answered:
    """Return what becomes of `script` as the response to a request with `method`."""
    return answer_to(method, connection_to(*script), underscores=underscores)


def refusal(*script: Scripted, method: str = "GET", served: int = 0) -> UpstreamError:
    """Return the error that `script` raises before an exchange is there."""
    try:
        answered = answer_to(method, connection_to(*script, served=served))
    except UpstreamError as error:
        return error
    raise AssertionError(f"accepted: {answered.exchange!r}")
