"""The request body on its way upstream: read from WSGI, remembered for a retry, written as it comes."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Protocol

import gevent

from lbg.errors import ClientGone, LbgError, StreamTimeout
from lbg.http.framing import chunk, last_chunk
from lbg.http.headers import forwardable_trailers
from lbg.net import splice
from lbg.net.deadline import NEVER

if TYPE_CHECKING:
    from lbg.config.pools import TimeoutsConfig
    from lbg.http.headers import Fields
    from lbg.net.stream import Stream

_READ: Final = 65536


class Input(Protocol):
    """What of `wsgi.input` is used; our server's also has `read_some` and `relay_to`."""

    def read(self, size: int, /) -> bytes: ...


class RequestBody:
    """The body of one request, read once from the client and, up to `buffer` bytes, repeatable.

    `length` is the Content-Length, None for a chunked body. `replayable` says whether `rewind`
    can go back to its start.
    """

    __slots__ = ("_buffer", "_input", "_kept", "_next", "_read", "length", "replayable")

    def __init__(self, source: Input, length: int | None, buffer: int) -> None:
        self._input = source
        self._buffer = buffer
        self._kept: list[bytes] = []
        self._next = 0
        self._read = 0
        self.length = length
        self.replayable = True

    @property
    def is_ours(self) -> bool:
        """Whether the input is our server's."""
        return hasattr(self._input, "read_some")

    def rewind(self) -> None:
        """Start again with the first byte. Only while `replayable`."""
        self._next = 0

    def ready(self) -> bytes | None:
        """Return the whole body, framed, when the client has sent all of it already; None otherwise."""
        ready = getattr(self._input, "ready", None)
        if self._read or ready is None:
            return None
        data: bytes | None = ready()
        if data is None:
            return None
        self._keep(data)
        if self.length is not None:
            return data
        return (chunk(data) if data else b"") + self.end()

    def end(self) -> bytes:
        """Return what ends a chunked body that was read whole."""
        trailers: Fields = getattr(self._input, "trailers", [])
        return last_chunk(forwardable_trailers(trailers, underscores=False))

    def read_some(self) -> bytes:
        """Return the next bytes, `b""` at the end. Raises LbgError for what the client does wrong."""
        if self._next < len(self._kept):
            self._next += 1
            return self._kept[self._next - 1]
        data = self._read_input()
        if data:
            self._keep(data)
        return data

    def _read_input(self) -> bytes:
        some = getattr(self._input, "read_some", None)
        if some is not None:
            data: bytes = some()
            return data
        size = _READ if self.length is None else min(_READ, self.length - self._read)
        if not size:
            return b""
        try:
            data = self._input.read(size)
        except OSError as error:
            raise ClientGone("reading the request body failed") from error
        if not data and self.length is not None:
            raise ClientGone("the request body ended early")
        return data

    def _keep(self, data: bytes) -> None:
        self._read += len(data)
        if self.replayable and self._read <= self._buffer:
            self._kept.append(data)
            self._next = len(self._kept)
        else:
            self.replayable = False
            self._kept = []
            self._next = 0

    def relay_to(self, sink: Stream, idle: float) -> int:
        """Move the rest to `sink` without copying when that is worth while; return the bytes moved.

        `sink` may stay full for `idle` seconds. Raises its OSError or StreamTimeout, and LbgError
        for what the client does wrong.
        """
        relay = getattr(self._input, "relay_to", None)
        if relay is None or self.length is None or self._next < len(self._kept):
            return 0
        if self.length <= self._buffer or self.length - self._read < splice.WORTHWHILE:
            return 0
        self.replayable = False
        self._kept = []
        self._next = 0
        moved: int = relay(sink, idle)
        self._read += moved
        return moved

    def wait_for_client(self, seconds: float) -> None:
        """Wait until the client sends body bytes, at most `seconds`: it may be waiting for a 100."""
        wait = getattr(self._input, "wait_for_bytes", None)
        if wait is not None:
            wait(seconds)


class Upload:
    """A greenlet that writes a body upstream while the response is awaited, and may already come.

    Both must go on at once: a backend that answers while it reads would otherwise block, and we with it.
    `failure` is what the client did wrong, if anything; the stream is aborted then, which ends the
    wait for the response.
    """

    __slots__ = (
        "_body",
        "_ends",
        "_expects",
        "_greenlet",
        "_idle",
        "_response",
        "_stream",
        "answered",
        "failure",
    )

    def __init__(
        self,
        body: RequestBody,
        stream: Stream,
        timeouts: TimeoutsConfig,
        *,
        expects: bool,
        ends: float = NEVER,
    ) -> None:
        self._body = body
        self._stream = stream
        self._idle = timeouts.idle
        self._response = timeouts.response
        self._expects = expects
        self._ends = ends
        self.answered = False
        self.failure: LbgError | None = None
        self._greenlet: Any = gevent.spawn(self._run)

    @property
    def unfinished(self) -> bool:
        """Whether body bytes may still be on their way."""
        return not self._greenlet.dead

    def stop(self) -> None:
        """End the upload where it is.

        Under our server it does not wait, since a client that leaves may interrupt any wait and this is
        called while cleaning up. Any other server goes on to use its input: nobody may be in it then.
        """
        self._greenlet.kill(block=not self._body.is_ours)

    def _run(self) -> None:
        try:
            if self._expects:
                self._body.wait_for_client(1.0)
            self._write_all()
        except LbgError as failure:
            self.failure = failure
            self._stream.abort()

    def _write_all(self) -> None:
        try:
            self._write_body()
        except (OSError, StreamTimeout):
            return  # the endpoint takes no more: its answer, or its silence, is for the reader to judge
        if not self.answered:
            self._stream.deadline = min(monotonic() + self._response, self._ends)

    def _write_body(self) -> None:
        body, chunked = self._body, self._body.length is None
        while True:
            if not self.answered:
                # The client has its own time limit; the endpoint cannot answer before it has the body.
                self._stream.deadline = self._ends
            if body.relay_to(self._stream, self._idle):
                continue
            data = body.read_some()
            if not data:
                break
            self._write(chunk(data) if chunked else data)
        if chunked:
            self._write(body.end())

    def _write(self, data: bytes) -> None:
        if not self.answered:
            self._stream.deadline = min(monotonic() + self._idle, self._ends)
        self._stream.send(data)
