"""A WSGI response on its way to an HTTP/1 client: head, framing, body."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from lbg.http.framing import Framing, chunk, has_no_body, last_chunk
from lbg.http.headers import REMEMBERED
from lbg.net.stream import WRITE_TIMEOUT
from lbg.server.parser import NO_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.http.headers import Fields
    from lbg.net.stream import Stream
    from lbg.server.parser import Request
    from lbg.server.service import Service

_JOIN: Final = 16384  # bytes up to which copying head and body together is cheaper than a second buffer

# What the head writer does with a field; names are remembered in the case they come in.
_PLAIN: Final = 0
_DATE: Final = 1
_LENGTH: Final = 2
_DROPPED: Final = 3
_KNOWN: Final = {"date": _DATE, "content-length": _LENGTH} | dict.fromkeys(
    ("connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"), _DROPPED
)
_SPECIAL: Final[dict[str, int]] = {}


def _learn(name: str) -> int:
    special = _KNOWN.get(name.lower(), _PLAIN)
    if len(_SPECIAL) < REMEMBERED:
        _SPECIAL[name] = special
    return special


_NONE: Final = Framing.NONE
_BY_LENGTH: Final = Framing.LENGTH
_CHUNKED: Final = Framing.CHUNKED
_CLOSE: Final = Framing.CLOSE

Headers = list[tuple[str, str]]


_NO_HEADERS: Final[Headers] = []


class BrokenResponse(Exception):
    """The application broke WSGI or HTTP so that no valid response can be sent."""


class Response:
    """`start_response` and the writer of what follows; one per connection, for one request at a time.

    `keep_alive` tells afterwards whether the connection can serve another request.
    """

    __slots__ = (
        "_code",
        "_framing",
        "_head_sent",
        "_headers",
        "_length",
        "_request",
        "_sent",
        "_service",
        "_status",
        "_stream",
        "_trailers",
        "keep_alive",
    )

    def __init__(self, stream: Stream, service: Service) -> None:
        self._stream = stream
        self._service = service
        self._framing = _NONE
        self._headers = _NO_HEADERS
        self._trailers: Fields = []
        self.begin(NO_REQUEST)

    def begin(self, request: Request) -> None:
        """Turn to the response to `request`."""
        self._request = request
        self._trailers = []
        self._status = ""
        self._code = 0
        self._head_sent = False
        self._length = -1
        self._sent = 0
        self.keep_alive = request.keep_alive

    def rest(self) -> None:
        """Let go of the last response."""
        self._request = NO_REQUEST
        self._headers = _NO_HEADERS

    @property
    def ends_with_connection(self) -> bool:
        """Whether the end of the connection is what ends the body that has begun."""
        return self._head_sent and self._framing is _CLOSE

    @property
    def begun(self) -> bool:
        """Whether bytes of the response have been sent."""
        return self._head_sent

    @property
    def status(self) -> int:
        """The status of the response, 0 while there is none."""
        return self._code or (int(self._status[:3]) if self._status else 0)

    @property
    def sent(self) -> int:
        """The bytes of the body that were sent."""
        return self._sent

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

    def give_up(self) -> None:
        """Send nothing: the connection speaks another protocol, whatever the application still returns."""
        self._head_sent = True
        self._framing = _NONE
        self.keep_alive = False

    def set_trailers(self, trailers: Fields) -> None:
        """Send `trailers` after a chunked body; other framings have no place for them."""
        self._trailers = trailers

    def write(self, data: bytes) -> None:
        """Send a piece of the body, the head before the first."""
        self._stream.deadline = monotonic() + WRITE_TIMEOUT
        if self._head_sent:
            framed = self._framed(data) if data else b""
            if framed:
                self._stream.send(framed)
            return
        head = self._head()
        self._head_sent = self._request.answered = True
        if data:
            data = self._framed(data)
        if len(data) > _JOIN:
            self._stream.send(head)
            self._stream.send(data)
        else:
            self._stream.send(head + data)

    def send_all(self, body: Iterable[bytes]) -> None:
        """Send the whole response. Raises what iteration raises, OSError and StreamTimeout of the client."""
        relay = getattr(body, "relay_to", None)
        for data in body:
            self.write(data)
            if relay is not None and self._framing is _BY_LENGTH and self._sent < self._length:
                self._sent += relay(self._stream)
        if not self._head_sent:
            self.write(b"")
        if self._framing is _CHUNKED:
            self._stream.deadline = monotonic() + WRITE_TIMEOUT
            trailers, self._trailers = self._trailers, []
            self._stream.send(last_chunk(trailers))
        elif self._framing is _BY_LENGTH and self._sent != self._length:
            raise BrokenResponse(f"Content-Length was {self._length}, the body had {self._sent} bytes")

    def _framed(self, data: bytes) -> bytes:
        framing = self._framing
        if framing is _BY_LENGTH:
            self._sent += len(data)
            if self._sent > self._length:
                raise BrokenResponse(f"the body is longer than its Content-Length {self._length}")
            return data
        if framing is _NONE:
            return b""
        self._sent += len(data)
        return chunk(data) if framing is _CHUNKED else data

    def _head(self) -> bytes:
        if not self._status:
            raise BrokenResponse("start_response was not called before the body")
        code = self._code = int(self._status[:3])
        lines = [f"HTTP/1.1 {self._status}\r\n"]
        dated = False
        for name, value in self._headers:
            special = _SPECIAL.get(name)
            if special is None:
                special = _learn(name)
            if special is _PLAIN:
                lines.append(f"{name}: {value}\r\n")
            elif special is _DATE:
                dated = True
                lines.append(f"{name}: {value}\r\n")
            elif special is _LENGTH and code >= 200 and code != 204:  # RFC 9110 section 8.6
                self._take_length(value)
                lines.append(f"{name}: {value}\r\n")
        if not dated:
            # RFC 9110 section 6.6.1: whoever forwards a response without Date adds the time of receipt.
            lines.append(self._service.date)
        self._choose_framing(code)
        if self._framing is _CHUNKED:
            lines.append("Transfer-Encoding: chunked\r\n")
        if not self._request.complete or self._framing is _CLOSE or self._service.stopping:
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

    def _take_length(self, value: str) -> None:
        # int() would also take a sign, an underscore and digits of other scripts.
        if self._length >= 0 or not (value.isascii() and value.isdigit()):
            raise BrokenResponse(f"Content-Length {value!r} is no length, or the second one")
        self._length = int(value)

    def _choose_framing(self, code: int) -> None:
        if self._length > 0 and self._request.method != "HEAD" and code != 304:
            self._framing = _BY_LENGTH
        elif self._length == 0 or has_no_body(self._request.method, code):
            self._framing = _NONE
        elif self._request.version == "1.1":
            self._framing = _CHUNKED
        else:
            self._framing = _CLOSE
