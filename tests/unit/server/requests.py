"""Sample requests with what a parser must make of them, and a parser fed in any pieces."""

from dataclasses import dataclass

from lbg.server.parser import Request, RequestParser


@dataclass(frozen=True)
class Sample:
    """The bytes of a request, and what is in it."""

    raw: bytes
    method: str
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()
    version: str = "1.1"
    keep_alive: bool = True


HOST = (b"Host", b"a")

PLAIN = Sample(b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n", "GET", b"/a?b", (HOST,))
REPEATS = Sample(
    b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nX-A: \r\n\r\n",
    "GET",
    b"/",
    (HOST, (b"X-A", b"1"), (b"x-a", b"2"), (b"X-A", b"")),
)
WITH_LENGTH = Sample(
    b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 16\r\n\r\nGET / HTTP/1.1\r\n",
    "POST",
    b"/p",
    (HOST, (b"Content-Length", b"16")),
    b"GET / HTTP/1.1\r\n",
)
CHUNKED = Sample(
    b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n4;x=y\r\n\r\n\r\n\r\n0\r\nX-T: 1\r\n\r\n",
    "PUT",
    b"/c",
    (HOST, (b"Transfer-Encoding", b"chunked")),
    b"abc\r\n\r\n",
    ((b"X-T", b"1"),),
)
OLD = Sample(
    b"GET /old HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "GET",
    b"/old",
    ((b"Connection", b"keep-alive"),),
    version="1.0",
)
LATER_LINE = Sample(b"\r\nHEAD * HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD", b"*", (HOST,))
UPGRADE = Sample(
    b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET",
    b"/ws",
    (HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")),
)
UPGRADE_WITH_LENGTH = Sample(
    b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nGET /",
    "POST",
    b"/u",
    (HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"h2c"), (b"Content-Length", b"5")),
    b"GET /",
)
UPGRADE_CHUNKED = Sample(
    b"POST /v HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n0\r\nX-T: 2\r\n\r\n",
    "POST",
    b"/v",
    (HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"x"), (b"Transfer-Encoding", b"chunked")),
    b"ab",
    ((b"X-T", b"2"),),
)
WITHOUT_UPGRADE = [PLAIN, REPEATS, WITH_LENGTH, CHUNKED, OLD, LATER_LINE]
ALL = [*WITHOUT_UPGRADE, UPGRADE, UPGRADE_WITH_LENGTH, UPGRADE_CHUNKED]


class Fed:
    """A parser used as a server does: fed a piece, asked for requests; `requests` are those it gave."""

    def __init__(self, limit: int = 65536) -> None:
        self.parser = RequestParser(limit)
        self.requests: list[Request] = []

    def feed(self, *pieces: bytes) -> "Fed":
        """Feed pieces, taking requests as they come; a switch of protocols is never granted."""
        for piece in pieces:
            self.parser.feed(piece)
            while (request := self.parser.next()) is not None:
                self.requests.append(request)
                if request.upgrade:
                    self.parser.resume(request)
        return self

    def samples(self) -> list[Sample]:
        """Return what came, as samples without their bytes."""
        return [shown(request) for request in self.requests]


def shown(request: Request) -> Sample:
    """Return what is in `request`; it must be complete."""
    assert request.complete, request
    return Sample(
        b"",
        request.method,
        request.target,
        tuple(request.fields),
        b"".join(request.pieces),
        tuple(request.trailers),
        request.version,
        request.keep_alive,
    )


def content(*samples: Sample) -> list[Sample]:
    """Return samples without their bytes, as `Fed.samples` gives them."""
    return [Sample(b"", *(getattr(sample, name) for name in _CONTENT)) for sample in samples]


_CONTENT = ("method", "target", "fields", "body", "trailers", "version", "keep_alive")
