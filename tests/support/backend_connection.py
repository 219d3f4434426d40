"""One connection that a test backend accepted, as its handlers see it."""

from __future__ import annotations

import hashlib
import select
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from tests.support import message
from tests.support.byte_stream import ByteStream, EndOfStreamError
from tests.support.message import Fields
from tests.support.readiness import readable

PROBE = b"\r\nUser-Agent: lbg-health/"
KEPT_BODY = 1 << 20
"""Bodies are kept up to this many bytes; length and digest always cover the whole."""


class PeerLeftError(Exception):
    """The proxy closed the connection, or the backend stops: the handler has nothing left to do."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came, byte for byte."""

    method: str
    target: bytes
    version: str
    headers: Fields
    raw_head: bytes
    connection: int
    """The number of the connection it came on: 1 for the first one accepted."""
    body: bytes = b""
    body_length: int = 0
    body_sha256: str = hashlib.sha256().hexdigest()
    trailers: Fields = field(default_factory=list)
    complete: bool = False
    """Whether the whole body was read; False when the proxy cut it or the handler left it unread."""

    def values(self, name: str) -> list[str]:
        """Return every value of a header field, in order."""
        return message.values(self.headers, name)

    def get(self, name: str) -> str | None:
        """Return the first value of a header field."""
        return next(iter(self.values(name)), None)


class Owner(Protocol):
    """What a connection needs of its backend."""

    handler: Callable[[BackendConnection], None]
    answer_probes: bool
    probe_status: int
    lock: threading.Lock
    stopping: threading.Event

    def received(self, request: ReceivedRequest) -> None:
        """Note a request."""

    def probed(self, request: ReceivedRequest) -> None:
        """Note a health probe."""


class BackendConnection:
    """What a handler reads requests from and answers on; one thread owns it."""

    def __init__(self, sock: socket.socket, number: int, backend: Owner) -> None:
        self._sock = sock
        self._backend = backend
        self._stopping = backend.stopping
        self._stream = ByteStream(sock)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self.number = number
        self.served = 0
        self.idle_timeout: float | None = None
        self.busy = False
        self.closed = False
        self.closed_by_proxy = False

    def __repr__(self) -> str:
        """Show which connection it is and how it stands."""
        state = "closed" if self.closed else "busy" if self.busy else "idle"
        return f"<BackendConnection {self.number} {state}, {self.served} served>"

    def read_request(self) -> ReceivedRequest:
        """Read and record one whole request; PeerLeftError when the proxy cuts it."""
        request = self._read_head()
        kept, digest, length = bytearray(), hashlib.sha256(), 0

        def sink(data: bytes) -> None:
            nonlocal length
            length += len(data)
            digest.update(data)
            kept.extend(data[: KEPT_BODY - len(kept)])

        def finished(trailers: Fields, *, complete: bool) -> ReceivedRequest:
            return replace(
                request,
                body=bytes(kept),
                body_length=length,
                body_sha256=digest.hexdigest(),
                trailers=trailers,
                complete=complete,
            )

        try:
            trailers = self._read_body(request, sink)
        except EndOfStreamError as end:
            self._note_end()
            self._backend.received(finished([], complete=False))
            raise PeerLeftError("in the middle of a body") from end
        request = finished(trailers, complete=True)
        self._backend.received(request)
        return request

    def read_head(self) -> ReceivedRequest:
        """Read and record one request head and leave its body on the wire."""
        request = self._read_head()
        self._backend.received(request)
        return request

    def receive(self, limit: int = 65536) -> bytes:
        """Return the next bytes from the wire, whatever they are."""
        try:
            return self._stream.take_some(limit)
        except EndOfStreamError as end:
            self._note_end()
            raise PeerLeftError("while the handler was reading") from end

    def send(self, data: bytes) -> None:
        """Send all of it at once."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            self._note_end()
            raise PeerLeftError(f"while sending: {error}") from error

    def pause(self, seconds: float) -> None:
        """Let time pass, but not longer than the backend runs."""
        if self._stopping.wait(seconds):
            raise PeerLeftError("the backend stops")

    def wait_until_proxy_closes(self) -> None:
        """Hold the connection and say nothing more."""
        while self._stream.fill():
            pass
        self._note_end()
        raise PeerLeftError("after a stall")

    def close(self) -> None:
        """Close; as from any server, unread input turns this into a reset."""
        with self._backend.lock:
            self._close()

    def reset(self) -> None:
        """Close with RST and drop what is unsent."""
        with self._backend.lock:
            if not self.closed:
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._close()

    def interrupt(self) -> None:
        """End whatever the owning thread is waiting for; the caller holds the backend's lock."""
        if not self.closed:
            try:
                self._sock.shutdown(socket.SHUT_RDWR)
            except OSError:  # the peer was faster
                return

    def readable(self) -> bool:
        """Whether bytes or an end wait to be received; the caller holds the backend's lock."""
        return not self.closed and readable(self._sock)

    def serve(self) -> None:
        """Call the backend's handler of the moment for each request until either side closes."""
        try:
            while self._next_request_begins():
                if self._backend.answer_probes and PROBE in self._stream.buffered:
                    self._answer_probe()
                else:
                    self._backend.handler(self)
        except PeerLeftError:
            pass
        finally:
            self.close()

    def _next_request_begins(self) -> bool:
        if self.closed or self._stopping.is_set():
            return False
        if self._stream.buffered:
            return True
        with self._backend.lock:
            self.busy = False
        if not self._poll.poll(None if self.idle_timeout is None else self.idle_timeout * 1000):
            return False
        with self._backend.lock:  # busy before the bytes are gone, so `settled` never sees neither
            self.busy = True
        if not self._stream.fill():
            self._note_end()
            return False
        return True

    def _answer_probe(self) -> None:
        self._backend.probed(self._parse_head())
        self.send(b"HTTP/1.1 %d Told\r\nContent-Length: 0\r\n\r\n" % self._backend.probe_status)

    def _read_head(self) -> ReceivedRequest:
        request = self._parse_head()
        if PROBE in request.raw_head:
            self._backend.probed(request)
        self.served += 1
        return request

    def _parse_head(self) -> ReceivedRequest:
        try:
            head = message.read_head(self._stream)
        except EndOfStreamError as end:
            self._note_end()
            if end.partial and not self._stopping.is_set():
                raise message.MalformedMessageError(f"the proxy cut a head: {end}") from end
            raise PeerLeftError("between two requests") from end
        line, headers = message.split_head(head)
        method, target, version = message.parse_request_line(line)
        return ReceivedRequest(method, target, version, headers, head, self.number)

    def _read_body(self, request: ReceivedRequest, sink: Callable[[bytes], None]) -> Fields:
        length = message.body_length(request.headers)
        if length == 0 or length == -1:
            return []
        if "100-continue" in message.tokens(request.headers, "expect"):
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if length is None:
            return message.read_chunked(self._stream, sink)
        message.read_counted(self._stream, length, sink)
        return []

    def _note_end(self) -> None:
        self.closed_by_proxy = not self._stopping.is_set()

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self.busy = False
            self._sock.close()
