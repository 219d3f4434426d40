"""`wsgi.input` of our server: the request body, read from the client only when it is asked for."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn

from lbg.errors import ClientGone, RequestError, StreamTimeout
from lbg.http.input_lines import InputLines
from lbg.net import splice
from lbg.net.deadline import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbg.http.headers import Fields
    from lbg.net.stream import Stream
    from lbg.server.parser import Request, RequestParser

_READ: Final = 65536
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class RequestInput(InputLines):
    """A PEP 3333 input stream that also gives bytes as they come and can move them by splice.

    Raises ClientGone when the client leaves, RequestError when the body is malformed, late or too
    large. The first read that has to wait answers `Expect: 100-continue`.
    """

    __slots__ = ("_buffer", "_limit", "_parser", "_request", "_stream", "_timeout", "awaited")

    def __init__(
        self, stream: Stream, parser: RequestParser, request: Request, timeout: float, limit: int
    ) -> None:
        self._stream = stream
        self._parser = parser
        self._request = request
        self._timeout = timeout
        self._limit = limit
        self._buffer = b""
        self.awaited = False

    @property
    def complete(self) -> bool:
        """Whether the last byte has come from the client."""
        return self._request.complete

    @property
    def trailers(self) -> Fields:
        """The trailer section, known once the body was read."""
        return self._request.trailers

    def ready(self) -> bytes | None:
        """Return the whole body when all of it has come, None otherwise."""
        if not self._request.complete or self._buffer:
            return None
        return self._take()

    def read_some(self) -> bytes:
        """Return what has come, after waiting for something to come; `b""` is the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        while not self._request.pieces and not self._request.complete:
            self._receive()
        return self._take()

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end; everything without a size."""
        wanted = float("inf") if size is None or size < 0 else size
        return self._collect(lambda data: len(data) >= wanted, size)

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return bytes to the next line feed, at most `size` of them."""
        wanted = float("inf") if size is None or size < 0 else size
        data = self._collect(lambda data: b"\n" in data or len(data) >= wanted, None)
        end = data.find(b"\n") + 1 or len(data)
        end = int(min(end, wanted))
        self._buffer = data[end:] + self._buffer
        return data[:end]

    def _collect(self, enough: Callable[[bytes], bool], size: int | None) -> bytes:
        data = b""
        while not enough(data):
            more = self.read_some()
            if not more:
                break
            data += more
        if size is not None and 0 <= size < len(data):
            self._buffer = data[size:] + self._buffer
            data = data[:size]
        return data

    def wait_for_bytes(self, seconds: float) -> None:
        """Wait until the client sends something, at most `seconds`."""
        if self._request.pieces or self._request.complete:
            return
        self._stream.deadline = monotonic() + seconds
        try:
            self._stream.wait_readable()
        except StreamTimeout:
            return
        finally:
            self._stream.deadline = NEVER

    def relay_to(self, sink: Stream, idle: float) -> int:
        """Move the rest of a body of known length to `sink` without copying; return the bytes moved.

        `sink` may stay full for `idle` seconds, and be used until its deadline at the call. Its OSError
        and StreamTimeout pass as they are.
        """
        left = self._left()
        if not splice.AVAILABLE or left < splice.WORTHWHILE or self._buffer or self._request.pieces:
            return 0
        self.answer_continue()
        moved = 0
        ends = sink.deadline
        with splice.borrowed_pipe() as pipe:
            while moved < left:
                sink.deadline = ends  # the client has its own time limit
                moved += self._fill(pipe, left - moved)
                sink.deadline = min(monotonic() + idle, ends)
                pipe.drain(sink, more=moved < left)
        self._parser.bypassed(self._request)
        return moved

    def _left(self) -> int:
        request = self._request
        if request.chunked or request.complete:
            return 0
        return request.length - request.received

    def _fill(self, pipe: Any, limit: int) -> int:
        self._stream.deadline = monotonic() + self._timeout
        try:
            count: int = pipe.fill(self._stream, limit)
        except StreamTimeout:
            self._late()
        except OSError as error:
            raise ClientGone(str(error)) from error
        if not count:
            raise ClientGone("the client closed the connection within its request body")
        return count

    def answer_continue(self) -> None:
        """Send the 100 a client awaits before its body, once."""
        if self.awaited and not self._request.answered:
            self.awaited = False
            try:
                self._stream.send(_CONTINUE)
            except OSError as error:
                raise ClientGone(str(error)) from error

    def _receive(self) -> None:
        self.answer_continue()
        self._stream.deadline = monotonic() + self._timeout
        try:
            data = self._stream.recv(_READ)
        except StreamTimeout:
            self._late()
        except OSError as error:
            raise ClientGone(str(error)) from error
        if not data:
            raise ClientGone("the client closed the connection within its request body")
        self._parser.feed(data)
        if self._parser.fault is not None and not self._request.complete:
            raise self._parser.fault
        if self._limit and self._request.received > self._limit:
            raise RequestError("body_too_large", f"The request body is larger than {self._limit} bytes.")

    def _take(self) -> bytes:
        request = self._request
        pieces = request.pieces
        if not pieces:
            return b""
        request.pieces = []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _late(self) -> NoReturn:
        raise RequestError(
            "client_body_timeout", f"The request body stopped coming for {self._timeout} s."
        ) from None


class EmptyInput:
    """`wsgi.input` of a request without a body; one serves them all."""

    awaited = False

    def read(self, size: int | None = -1, /) -> bytes:  # noqa: ARG002
        """Return `b""`."""
        return b""

    readline = read

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:  # noqa: ARG002
        """Return no lines."""
        return []

    def __iter__(self) -> Iterator[bytes]:
        return iter(())

    def answer_continue(self) -> None:
        """Do nothing: nobody waits to send a body."""


EMPTY: Final = EmptyInput()
