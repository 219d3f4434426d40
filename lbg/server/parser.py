"""Requests out of the bytes of one client connection.

llhttp (httptools) does the grammar; what it leaves open is checked here: version, number and size
of fields, codings other than chunked. It cannot be paused, so bytes of pipelined requests are
parsed in the same call: their events queue up, one `Request` each.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserInvalidURLError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from lbg.errors import RequestError

if TYPE_CHECKING:
    from lbg.http.headers import Fields

MAX_FIELDS: Final = 256
_METHOD: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: |\Z)")
_VERSIONS: Final = frozenset({"1.0", "1.1"})


class Request:
    """One message: its head, and the body bytes that have come so far in `pieces`.

    `complete` is set when its last byte was parsed, `received` counts body bytes, `length` is the
    Content-Length, `answered` says that the head of the response was sent.
    `upgrade` says that it asks to switch protocols; `rest` are the bytes after it then.
    """

    # Most requests set few of these: class defaults make the rest free.
    target = b""
    pieces: list[bytes] = []
    received = 0
    length = 0
    complete = False
    answered = False
    chunked = False
    upgrade = False
    rest = b""
    trailers: Fields = []
    method = ""
    version = ""
    keep_alive = False

    def __init__(self) -> None:
        self.fields: Fields = []

    def __repr__(self) -> str:
        return (
            f"<Request {self.method} {self.target!r} {self.version} fields={len(self.fields)} "
            f"received={self.received} complete={self.complete}>"
        )


NO_REQUEST: Final = Request()
"""Stands where there is none: between two requests of a connection."""


class RequestParser:
    """Feeds llhttp and queues what comes out; its callbacks are httptools' protocol.

    `heads` are requests whose head is whole, `current` is the one being parsed, `begun` says that
    some of its head has come but not all. A `fault` belongs to the first request not complete.
    """

    __slots__ = (
        "_first_line",
        "_limit",
        "_parser",
        "_progress",
        "_sink",
        "_unfinished",
        "begun",
        "current",
        "fault",
        "heads",
    )

    def __init__(self, max_header_bytes: int) -> None:
        self._limit = max_header_bytes
        self._unfinished = 0
        self._first_line = b""
        self._progress = False
        self.begun = False
        self.current = Request()
        self._sink = self.current.fields
        self.heads: deque[Request] = deque()
        self.fault: RequestError | None = None
        self._parser: Any = HttpRequestParser(self)

    def feed(self, data: bytes) -> None:
        """Parse `data`; faults are stored, never raised, since earlier requests may still wait."""
        self._progress = False
        self._first_line = self._first_line + data if self.begun else data
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            self._refuse(error)
        if self._progress:
            self._unfinished = 0
            return
        # A head, a trailer section or a chunk extension that never ends.
        self._unfinished += len(data)
        if self._unfinished > self._limit:
            self._too_large()

    def next(self) -> Request | None:
        """Return the next request whose head is whole, None when more bytes are needed.

        Raises RequestError for what llhttp refused or let through.
        """
        if not self.heads:
            if self.fault is not None:
                raise self.fault
            return None
        request = self.heads.popleft()
        if self.fault is not None and not request.complete:
            raise self.fault
        self._check(request)
        if request.complete and not self.heads and not self.begun:
            self.current = NO_REQUEST
            self._first_line = b""
        return request

    def _check(self, request: Request) -> None:
        if request.version not in _VERSIONS:
            if request.version == "0.9":
                raise RequestError("bad_request", "The request line has no HTTP version.")
            raise RequestError("bad_request", "Only HTTP/1.0 and HTTP/1.1 are spoken here.", status=505)
        # RFC 9112 section 3: single spaces, and no other protocol that llhttp happens to know.
        if b"%b %b HTTP/1." % (request.method.encode(), request.target) not in self._first_line:
            raise RequestError("bad_request", "The request line is malformed.")
        if len(request.fields) > MAX_FIELDS:
            raise RequestError("headers_too_large", f"The request has more than {MAX_FIELDS} header fields.")
        if len(self._first_line) > self._limit:
            self._check_size(request)

    def _check_size(self, request: Request) -> None:
        if len(request.target) > self._limit:
            raise RequestError("uri_too_long", f"The request target is longer than {self._limit} bytes.")
        size = len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.fields)
        if size > self._limit:
            raise RequestError("headers_too_large", f"The request head is larger than {self._limit} bytes.")

    def resume(self, request: Request) -> None:
        """Go on after a request whose wish to switch protocols was not granted."""
        rest, request.rest = request.rest, b""
        request.upgrade = False
        if rest:
            self.feed(rest)

    def bypassed(self, request: Request) -> None:
        """Note that the rest of the body of `request` was read past the parser, to its end."""
        request.received = request.length
        request.complete = True
        self._parser = HttpRequestParser(self)

    def close(self) -> None:
        """Let go of llhttp, which refers back to this object."""
        self._parser = None

    def on_message_begin(self) -> None:
        self.current = Request()
        self._sink = self.current.fields
        self.begun = True

    def on_url(self, part: bytes) -> None:
        request = self.current
        request.target = request.target + part if request.target else part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._sink.append((name, value))

    def on_headers_complete(self) -> None:
        request, parser = self.current, self._parser
        request.method = parser.get_method().decode()
        request.version = parser.get_http_version()
        request.keep_alive = parser.should_keep_alive()
        request.upgrade = parser.should_upgrade()
        self._sink = []
        self.begun = False
        self._progress = True
        self.heads.append(request)

    def on_body(self, data: bytes) -> None:
        request = self.current
        if request.pieces:
            request.pieces.append(data)
        else:
            request.pieces = [data]
        request.received += len(data)
        self._progress = True

    def on_message_complete(self) -> None:
        self._progress = True
        trailers = self._sink
        if trailers:
            if sum(len(name) + len(value) + 4 for name, value in trailers) > self._limit:
                self._too_large()
                return
            self.current.trailers = trailers
        self.current.complete = True

    def _upgrade(self, rest: bytes) -> None:
        """Handle llhttp's stop at a request to switch protocols.

        It skips the body then, though the request may have one (RFC 9110 section 7.8 lets a server
        ignore Upgrade). With a body, the message is parsed on without its Upgrade.
        """
        request = self.current
        request.rest = rest
        if request.method == "CONNECT":
            request.keep_alive = False
        framing = framing_fields(request.fields)
        if request.method == "CONNECT" or not framing:
            return
        request.upgrade = False
        request.complete = False
        request.rest = b""
        self._parser = HttpRequestParser(_AfterHead(self))
        lines = b"".join(b"%b: %b\r\n" % field for field in framing)
        self._parser.feed_data(b"POST / HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
        first_line = self._first_line
        self.feed(rest)
        self._first_line = first_line + self._first_line
        self._progress = True

    def _refuse(self, error: HttpParserError) -> None:
        if isinstance(error, HttpParserInvalidMethodError) and _METHOD.match(self._first_line):
            self.fault = RequestError("bad_request", "The request method is not known.", status=501)
        elif isinstance(error, HttpParserInvalidURLError):
            self.fault = RequestError("bad_request", "The request target is malformed.")
        else:
            self.fault = RequestError("bad_request", f"The request is malformed: {error}.")

    def _too_large(self) -> None:
        if self.begun and not self.current.fields and len(self.current.target) * 2 > self._limit:
            detail = f"The request target is longer than {self._limit} bytes."
            self.fault = RequestError("uri_too_long", detail)
        else:
            detail = f"The request head is larger than {self._limit} bytes."
            self.fault = RequestError("headers_too_large", detail)


class _AfterHead:
    """Callbacks that pass over the head of the first message, which was parsed before."""

    def __init__(self, parser: RequestParser) -> None:
        self._parser = parser
        self._in_head = True
        self.on_body = parser.on_body
        self.on_message_complete = parser.on_message_complete

    def on_message_begin(self) -> None:
        if not self._in_head:
            self._parser.on_message_begin()

    def on_url(self, part: bytes) -> None:
        if not self._in_head:
            self._parser.on_url(part)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head:
            self._parser.on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._in_head:
            self._in_head = False
        else:
            self._parser.on_headers_complete()


def framing_fields(fields: Fields) -> Fields:
    """Return the fields that say that a body follows; nothing for `Content-Length: 0`."""
    return [
        (name, value)
        for name, value in fields
        if (lower := name.lower()) == b"transfer-encoding"
        or (lower == b"content-length" and value.strip(b"0 \t"))
    ]
