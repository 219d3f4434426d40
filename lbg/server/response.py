"""A WSGI response on its way to an HTTP/1 client: head, framing, body."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from lbg.http.framing import Framing, chunk, has_no_body, last_chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.http.headers import Fields
    from lbg.net.stream import Stream
    from lbg.server.parser import Request

WRITE_TIMEOUT: Final = 60.0  # seconds in which the client must take something; nginx's send_timeout
_JOIN: Final = 16384  # bytes up to which copying head and body together is cheaper than a second buffer

_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "trailers", "transfer-encoding", "upgrade"}
)

Headers = list[tuple[str, str]]


class BrokenResponse(Exception):
    """The application broke WSGI or HTTP so that no valid response can be sent."""


class Response:
    """`start_response` for one request, and the writer of what follows it.

    `keep_alive` tells afterwards whether the connection can serve another request.
    """

    __slots__ = (
        "_date",
        "_framing",
        "_head_sent",
        "_headers",
        "_length",
        "_request",
        "_sent",
        "_status",
        "_stream",
        "_trailers",
        "keep_alive",
    )

    def __init__(self, stream: Stream, request: Request, date: str, *, keep_alive: bool) -> None:
        self._stream = stream
        self._request = request
        self._date = date
        self._status = ""
        self._headers: Headers = []
        self._head_sent = False
        self._framing = Framing.NONE
        self._length = -1
        self._sent = 0
        self._trailers: Fields = []
        self.keep_alive = keep_alive

    @property
    def begun(self) -> bool:
        """Whether bytes of the response have been sent."""
        return self._head_sent

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """Take status and header fields (PEP 3333 `start_response`)."""
        if exc_info:
            if self._head_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        elif self._status:
            raise BrokenResponse("start_response was called twice without exc_info")
        self._status = status
        self._headers = headers
        return self.write

    def set_trailers(self, trailers: Fields) -> None:
        """Send `trailers` after a chunked body; other framings have no place for them."""
        self._trailers = trailers

    def write(self, data: bytes) -> None:
        """Send a piece of the body, the head before the first."""
        self._stream.deadline = monotonic() + WRITE_TIMEOUT
        if not self._head_sent:
            self._send_first(data)
        elif data:
            self._stream.send(self._framed(data))

    def send_all(self, body: Iterable[bytes]) -> None:
        """Send the whole response. Raises what iteration raises, OSError and StreamTimeout of the client."""
        relay = getattr(body, "relay_to", None)
        for data in body:
            self.write(data)
            if relay is not None and self._framing is Framing.LENGTH:
                self._sent += relay(self._stream)
        self._finish()

    def _finish(self) -> None:
        if not self._head_sent:
            self._send_first(b"")
        if self._framing is Framing.CHUNKED:
            self._stream.deadline = monotonic() + WRITE_TIMEOUT
            self._stream.send(last_chunk(self._trailers))
        elif self._framing is Framing.LENGTH and self._sent != self._length:
            raise BrokenResponse(f"Content-Length was {self._length}, the body had {self._sent} bytes")

    def _send_first(self, data: bytes) -> None:
        if not self._status:
            raise BrokenResponse("start_response was not called before the body")
        head = self._head()
        self._head_sent = True
        framed = self._framed(data) if data else b""
        if len(framed) > _JOIN:
            self._stream.send(head)
            self._stream.send(framed)
        else:
            self._stream.send(head + framed)

    def _framed(self, data: bytes) -> bytes:
        framing = self._framing
        if framing is Framing.LENGTH:
            self._sent += len(data)
            if self._sent > self._length:
                raise BrokenResponse(f"the body is longer than its Content-Length {self._length}")
            return data
        if framing is Framing.CHUNKED:
            return chunk(data)
        return b"" if framing is Framing.NONE else data

    def _head(self) -> bytes:
        code = int(self._status[:3])
        lines = [f"HTTP/1.1 {self._status}\r\n"]
        dated = False
        for name, value in self._headers:
            lower = name.lower()
            if lower in _HOP_BY_HOP:
                continue
            if lower == "content-length":
                if code == 204 or code < 200:  # RFC 9110 section 8.6: not in 1xx and 204
                    continue
                self._length = int(value)
            elif lower == "date":
                dated = True
            lines.append(f"{name}: {value}\r\n")
        if not dated:
            lines.append(self._date)
        self._choose_framing(code)
        if self._framing is Framing.CHUNKED:
            lines.append("Transfer-Encoding: chunked\r\n")
        if not self._request.complete or self._framing is Framing.CLOSE:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append("Connection: close\r\n")
        elif self._request.version == "1.0":
            lines.append("Connection: keep-alive\r\n")
        text = "".join(lines)
        # One look at the whole finds what would forge a field or a second response.
        if text.count("\n") != len(lines) or text.count("\r") != len(lines) or "\0" in text:
            raise BrokenResponse("a response field holds a line break or NUL")
        return (text + "\r\n").encode("latin-1")

    def _choose_framing(self, code: int) -> None:
        if has_no_body(self._request.method, code):
            self._framing = Framing.NONE
        elif self._length >= 0:
            self._framing = Framing.LENGTH
        elif self._request.version == "1.1":
            self._framing = Framing.CHUNKED
        else:
            self._framing = Framing.CLOSE
