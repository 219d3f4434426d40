"""One request and its response on a connection: the head for the client, then the body as an iterator."""

from __future__ import annotations

import re
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.http.framing import Framing, has_no_body
from lbg.http.headers import Fields, Rule, connection_options, forwardable_trailers, removable
from lbg.net import splice
from lbg.net.stream import WRITE_TIMEOUT
from lbg.upstream.connection import COMPLETE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbg.http.headers import ResponseRules
    from lbg.net.stream import Stream
    from lbg.upstream.connection import Connection
    from lbg.upstream.lease import Lease
    from lbg.upstream.request import UpstreamRequest

_CHUNKED_CODING: Final = b"chunked"
_MAX_DIGITS: Final = 10  # of a Keep-Alive timeout; int() refuses thousands
_NOTHING: Final[frozenset[bytes]] = frozenset()

_NONE: Final = Framing.NONE
_LENGTH: Final = Framing.LENGTH
_CHUNKED: Final = Framing.CHUNKED
_CLOSE: Final = Framing.CLOSE


# RFC 9112 section 4: reason-phrase = 1*( HTAB / SP / VCHAR / obs-text ); llhttp lets NUL through.
_PHRASE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")


@lru_cache(maxsize=512)
def _status_line(status: int, phrase: bytes) -> str:
    return f"{status} {phrase.decode('latin-1')}" if _PHRASE.fullmatch(phrase) else ""


class Exchange:
    """A response whose head has come: `status`, `status_line` and `headers` are ready for a client.

    Iterating gives the body as it comes: first `b""` when no byte of it is there yet, so that the
    server can send the head. `close()` ends it on every path and may be called twice.
    Raises UpstreamError from iteration; then the client must be able to tell that the body is cut.
    `on_trailers` is called with the trailer section, if there is one, before the body ends.
    """

    __slots__ = (
        "_connection",
        "_ends",
        "_lease",
        "framing",
        "headers",
        "length",
        "on_trailers",
        "status",
        "status_line",
        "upgrade",
    )

    def __init__(self, lease: Lease, connection: Connection, request: UpstreamRequest) -> None:
        self._lease: Lease | None = lease
        self._connection = connection
        self._ends = request.ends
        self.on_trailers: Callable[[Fields], None] | None = None
        status = self.status = connection.status
        self.status_line = _status_line(status, connection.phrase)
        if not self.status_line:
            self._refuse("its reason phrase holds control characters")
        self.length = -1
        self.upgrade = ""
        self.framing = _CLOSE
        self.headers = self._read_fields(connection.fields, lease.pool.response_rules)
        if status == 101:
            if not request.upgrades:
                self._refuse("101 though no switch of protocols was asked for")
            if not self.upgrade:
                self._refuse("101 without naming a protocol")
        elif self.length == 0 or has_no_body(request.method, status):
            self.framing = _NONE
            if connection.progress is not COMPLETE:
                connection.end_of_head_only()
        elif self.framing is _CLOSE:
            connection.spoiled = True

    def __repr__(self) -> str:
        return f"<Exchange {self.status} {self.framing.value} {self._connection!r}>"

    def _read_fields(self, fields: Fields, rules: ResponseRules) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        options = _NOTHING
        for name, value in fields:
            rule = rules[name]
            if type(rule) is str:
                headers.append((rule, value.decode("latin-1")))
            elif rule is Rule.CONTENT_LENGTH:
                if self.length >= 0 or not value.isdigit():
                    self._refuse("Content-Length twice or not a number")
                self.length = int(value)
                headers.append(("Content-Length", value.decode("latin-1")))
            elif rule is Rule.CONNECTION:
                options |= connection_options(value)
            elif rule is Rule.TRANSFER_ENCODING:
                self._transfer_encoding(value)
            elif rule is Rule.UPGRADE:
                self.upgrade = value.decode("latin-1")
            elif rule is Rule.KEEP_ALIVE:
                self._connection.keep_alive = _keep_alive_timeout(value)
        if self.framing is _CHUNKED:
            headers += [
                ("Trailer", value.decode("latin-1")) for name, value in fields if rules[name] is Rule.TRAILER
            ]
        elif self.length >= 0:
            self.framing = _LENGTH
        if options and removable(options):
            named = removable(options)
            headers = [field for field in headers if field[0].lower().encode("latin-1") not in named]
        return headers

    def _transfer_encoding(self, value: bytes) -> None:
        # Anything but chunked alone would reach the client with a coding that nothing names any more.
        if self.framing is _CHUNKED or value.strip(b" \t").lower() != _CHUNKED_CODING:
            self._refuse(f"Transfer-Encoding {value.decode('latin-1')!r}")
        self.framing = _CHUNKED

    def _refuse(self, detail: str) -> None:
        self._connection.spoiled = True
        raise UpstreamError("bad_response", f"invalid response: {detail}", sent=Sent.WRITTEN)

    def tunnel(self) -> tuple[Stream, bytes]:
        """Return the stream behind an upgraded exchange and the first bytes of the new protocol."""
        return self._connection.stream, self._connection.rest

    def __iter__(self) -> Iterator[bytes]:
        connection = self._connection
        if not connection.pieces and connection.progress is not COMPLETE:
            yield b""
        while self._lease is not None:
            pieces = connection.pieces
            complete = connection.progress is COMPLETE
            if complete:
                self._complete()
            if pieces:
                connection.pieces = []
                yield pieces[0] if len(pieces) == 1 else b"".join(pieces)
            elif not complete:
                self._read_more()

    def _read_more(self) -> None:
        connection = self._connection
        connection.stream.deadline = self._next_deadline()
        try:
            if connection.read_body():
                return
            if self.framing is not _CLOSE or connection.stream.aborted:
                raise UpstreamError(
                    "upstream_cut_body", "connection closed within the body", sent=Sent.ANSWERED
                )
        except UpstreamError as failure:
            self._end(failure)
            raise
        connection.progress = COMPLETE

    def _complete(self) -> None:
        trailers = self._connection.trailers
        if trailers and self.on_trailers is not None and self._lease is not None:
            underscores = self._lease.pool.response_rules.underscores
            self.on_trailers(forwardable_trailers(trailers, underscores=underscores))
        self._end(None)

    def relay_to(self, sink: Stream) -> int:
        """Move the rest of a body of known length to `sink` without copying; return the bytes moved.

        0 means that this body must be iterated. What was read already must have been handed on.
        Raises UpstreamError for this side; the sink's OSError and StreamTimeout pass as they are.
        """
        connection = self._connection
        left = self._left_to_read()
        if not splice.AVAILABLE or left < splice.WORTHWHILE or connection.pieces:
            return 0
        moved = 0
        with splice.borrowed_pipe() as pipe:
            while moved < left:
                moved += self._fill(pipe, left - moved)
                sink.deadline = min(monotonic() + WRITE_TIMEOUT, self._ends)
                pipe.drain(sink, more=moved < left)
        connection.bypassed()
        self._end(None)
        return moved

    def _fill(self, pipe: splice.Pipe, limit: int) -> int:
        stream = self._connection.stream
        stream.deadline = self._next_deadline()
        try:
            count = pipe.fill(stream, limit)
            if count:
                return count
            failure = UpstreamError(
                "upstream_cut_body", "connection closed within the body", sent=Sent.ANSWERED
            )
        except StreamTimeout:
            failure = UpstreamError("read_timeout", "the body stopped coming", sent=Sent.ANSWERED)
        except OSError as error:
            failure = UpstreamError("upstream_cut_body", error.strerror or str(error), sent=Sent.ANSWERED)
        self._end(failure)
        raise failure

    def _next_deadline(self) -> float:
        idle = self._lease.pool.timeouts.idle if self._lease is not None else 0.0
        return min(monotonic() + idle, self._ends)

    def _left_to_read(self) -> int:
        connection = self._connection
        if self.framing is not _LENGTH or self._lease is None:
            return 0
        return self.length - connection.received

    def _end(self, failure: UpstreamError | None) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release(self._connection, failure)

    def close(self) -> None:
        """Give the connection back, or close it when the response was not read to its end."""
        if self._lease is not None:
            if self._connection.progress is not COMPLETE or self._connection.pieces:
                self._connection.spoiled = True
            self._end(None)


def _keep_alive_timeout(value: bytes) -> int:
    """Return the seconds in `Keep-Alive: timeout=N`, 0 when it says none."""
    for parameter in value.split(b","):
        name, _, seconds = parameter.strip().partition(b"=")
        if name.lower() == b"timeout" and seconds.isdigit() and len(seconds) < _MAX_DIGITS:
            return int(seconds)
    return 0
