"""One HTTP/1.1 connection to an endpoint, and the exchange that is under way on it.

Parsing is llhttp's (httptools). What it does not check is checked here: the version, the status
range, the size of the head, codings other than chunked, bytes after the message.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from lbg.errors import Sent, StreamTimeout, UpstreamError

if TYPE_CHECKING:
    from lbg.http.headers import Fields
    from lbg.net.stream import Stream

HEAD_READ: Final = 16384  # bytes a read while a head is awaited: a larger buffer costs its allocation
BODY_READ: Final = 65536
MAX_HEAD: Final = 262144  # bytes of one response head; HAProxy stops at 16 KiB, Node at 16 KiB, Go at 1 MiB
MAX_INTERIM: Final = 32  # 1xx responses before the final one
_KNOWN_START: Final = b"HTTP/1.1 "
_PROTOCOL: Final = b"HTTP/"
_SHOWN: Final = 24  # bytes of what is no response


class Progress(IntEnum):
    """How far the response has come."""

    HEAD = 0
    BODY = 1
    COMPLETE = 2


HEAD: Final = Progress.HEAD
BODY: Final = Progress.BODY
COMPLETE: Final = Progress.COMPLETE


class Connection:
    """Reads responses one after the other; the callbacks below are httptools' protocol.

    `served` counts the requests answered, `keep_alive` is the idle time in seconds the endpoint
    announced, 0 if it did not, `idle_since` when it began to rest, `expires` when it is retired
    while idle. `pieces` are body bytes read and not yet handed on, `received` counts them all,
    `spoiled` says that the connection cannot serve another request.
    """

    __slots__ = (
        "_fed",
        "_head_only",
        "_interim_status",
        "_parser",
        "_sink",
        "_start",
        "expires",
        "fields",
        "idle_since",
        "interim",
        "keep_alive",
        "phrase",
        "pieces",
        "progress",
        "received",
        "rest",
        "served",
        "spoiled",
        "status",
        "stream",
        "trailers",
    )

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.served = 0
        self.keep_alive = 0
        self.idle_since = 0.0
        self.expires = 0.0
        self._interim_status = False
        self.spoiled = False
        self.rest = b""
        self._parser: Any = HttpResponseParser(self)
        self._head_only = False
        self._fed = 0
        self._start = b""
        self.progress = HEAD
        self.status = 0
        self.phrase = b""
        self.fields: Fields = []
        self._sink = self.fields
        self.trailers: Fields = []
        self.interim: list[tuple[int, Fields]] = []
        self.pieces: list[bytes] = []
        self.received = 0

    def __repr__(self) -> str:
        return (
            f"<Connection fd={self.stream.sock.fileno()} {self.progress.name} status={self.status} "
            f"served={self.served} spoiled={self.spoiled}>"
        )

    def begin(self, *, head_only: bool) -> None:
        """Prepare for the response to a new request; `head_only` is for HEAD."""
        self.progress = HEAD
        self.status = 0
        self.phrase = b""
        self.fields = self._sink = []
        self.pieces = []
        self.received = 0
        self._head_only = head_only
        self._fed = 0
        self._start = b""

    def on_message_begin(self) -> None:
        if self.progress is COMPLETE:
            # A response nobody asked for: it must not touch the one before it.
            self.spoiled = True
            self._sink = []

    def on_status(self, phrase: bytes) -> None:
        if self.progress is HEAD:
            self.phrase = self.phrase + phrase if self.phrase else phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        self._sink.append((name, value))

    def on_headers_complete(self) -> None:
        if self.progress is not HEAD:
            return
        parser = self._parser
        status = parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            self.interim.append((status, self.fields))
            self._interim_status = True
            return
        self.status = status
        self.progress = BODY
        self._sink = self.trailers = []
        if not parser.should_keep_alive():
            self.spoiled = True

    def on_body(self, data: bytes) -> None:
        if self.progress is BODY:
            self.pieces.append(data)
            self.received += len(data)

    def on_message_complete(self) -> None:
        if self._interim_status:
            self._interim_status = False
            self.fields = self._sink = []
            self.phrase = b""
        elif self.progress is BODY:
            if self.trailers and _size(self.trailers) > MAX_HEAD:
                raise ValueError(f"its trailer section is larger than {MAX_HEAD} bytes")
            self.progress = COMPLETE

    def read_head(self) -> None:
        """Read until the head of the final or of an interim response is there.

        Raises UpstreamError. `stream.deadline` bounds the wait.
        """
        reused = self.served > 0
        while self.progress is HEAD and not self.interim:
            try:
                data = self.stream.recv(HEAD_READ)
            except StreamTimeout:
                raise UpstreamError(
                    "response_timeout", "no response in time", sent=Sent.WRITTEN, reused=reused
                ) from None
            except OSError as error:
                self._closed_early(error.strerror or str(error), reused=reused)
            if not data:
                self._closed_early("connection closed", reused=reused)
            self._feed_head(data)

    def _feed_head(self, data: bytes) -> None:
        usual = self._fed == 0 and data.startswith(_KNOWN_START)
        began = self._start + data
        self._start = _PROTOCOL if usual else began[: len(_PROTOCOL)]
        self._fed += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self.rest = data[upgrade.args[0] :]
            self.spoiled = True
        except HttpParserError as error:
            # After a whole response, what follows is the next one's fault, and nobody awaits that.
            self.spoiled = True
            if self.progress is not COMPLETE and not (self._head_only and self.progress is BODY):
                self._refuse(str(error) if _PROTOCOL.startswith(self._start) else _not_http(began))
        if self.progress is HEAD:
            if self._fed > MAX_HEAD:
                self._refuse(f"its head is larger than {MAX_HEAD} bytes")
            if len(self.interim) > MAX_INTERIM:
                self._refuse(f"more than {MAX_INTERIM} interim responses")
            return
        if not usual:
            self._check_version()
        if self.status < 200 and self.status != 101:
            self._refuse(f"status {self.status:03d}")
        if self._head_only:
            self.end_of_head_only()

    def end_of_head_only(self) -> None:
        """End a response whose body stays away although its fields announce one (HEAD)."""
        if self.pieces:
            self.pieces = []
            self.spoiled = True
        if self.progress is not COMPLETE:
            self.progress = COMPLETE
            # llhttp waits for the announced body: only a new parser can read the next response.
            self._parser = HttpResponseParser(self)

    def _check_version(self) -> None:
        version = self._parser.get_http_version()
        if self._start != _PROTOCOL or version not in {"1.0", "1.1"}:
            self._refuse(f"protocol {self._start.decode('latin-1')}{version}")

    def read_body(self) -> bool:
        """Read once more; return False when the stream ended instead.

        Raises UpstreamError for a timeout, a reset or bytes that are no valid body.
        """
        try:
            data = self.stream.recv(BODY_READ)
        except StreamTimeout:
            raise UpstreamError("read_timeout", "the body stopped coming", sent=Sent.ANSWERED) from None
        except OSError as error:
            raise UpstreamError(
                "upstream_cut_body", error.strerror or str(error), sent=Sent.ANSWERED
            ) from error
        if not data:
            self.spoiled = True
            return False
        received = self.received
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self.spoiled = True
            if self.progress is not COMPLETE:
                raise UpstreamError("upstream_cut_body", str(error), sent=Sent.ANSWERED) from error
        # A trailer section or a chunk extension that never ends would gather in the parser.
        self._fed = self._fed + len(data) if self.received == received else 0
        if self._fed > MAX_HEAD and self.progress is BODY:
            self.spoiled = True
            raise UpstreamError("upstream_cut_body", "its framing never ends", sent=Sent.ANSWERED)
        return True

    def bypassed(self) -> None:
        """Note that the rest of a body was read past the parser, to its end."""
        self.progress = COMPLETE
        self._parser = HttpResponseParser(self)

    def _closed_early(self, detail: str, *, reused: bool) -> NoReturn:
        if self._fed:
            self._refuse(f"{detail} in the middle of the response head")
        reason = "upstream_reset_reused" if reused else "upstream_reset"
        sent = Sent.NOTHING if self.stream.unwritten else Sent.WRITTEN
        raise UpstreamError(reason, f"{detail} before a response", sent=sent, reused=reused)

    def _refuse(self, detail: str) -> NoReturn:
        self.spoiled = True
        raise UpstreamError("bad_response", f"invalid response: {detail}", sent=Sent.WRITTEN)

    def close(self) -> None:
        """Close the stream; the parser is let go, since it refers back to this object."""
        self.spoiled = True
        self.stream.close()
        self._parser = None


def _not_http(began: bytes) -> str:
    """Return what to say of bytes that are no response; the parser names the protocols that it knows."""
    more = "…" if len(began) > _SHOWN else ""
    text = began[:_SHOWN].decode("latin-1").encode("unicode_escape").decode("ascii")
    return f'not HTTP, it began with "{text}{more}" (the wrong port?)'


def _size(fields: Fields) -> int:
    return sum(len(name) + len(value) + 4 for name, value in fields)
