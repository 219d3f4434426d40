"""A raw HTTP/1 client that sends any bytes and reads answers strictly."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self

from tests.support import address as addresses
from tests.support import message
from tests.support.address import Address
from tests.support.byte_stream import ByteStream, EndOfStreamError
from tests.support.message import Fields, MalformedMessageError

Framing = Literal["length", "chunked", "eof", "none"]
Header = tuple[str, str]


class NoResponseError(Exception):
    """The peer closed before a whole response head; `partial` is what came of it."""

    def __init__(self, partial: bytes) -> None:
        super().__init__(f"closed with {partial[:200]!r} in place of a response")
        self.partial = partial


@dataclass(slots=True)
class RawResponse:
    """One answer as it came; `complete` is False, and `defect` says why, when its framing shows a cut."""

    status: int
    reason: str
    headers: Fields
    version: str = "HTTP/1.1"
    framing: Framing = "none"
    body: bytes = b""
    trailers: Fields = field(default_factory=list)
    informational: list[RawResponse] = field(default_factory=list)
    complete: bool = True
    defect: str = ""

    def values(self, name: str) -> list[str]:
        """Return every value of a header field, in order."""
        return message.values(self.headers, name)

    def get(self, name: str) -> str | None:
        """Return the first value of a header field."""
        return next(iter(self.values(name)), None)


class RawClient:
    """One connection; every wait ends after `timeout` seconds with TimeoutError."""

    def __init__(self, address: Address, timeout: float = 10.0) -> None:
        self.address = address
        self.timeout = timeout
        self._sock = addresses.connect(address, timeout)
        self._stream = ByteStream(self._sock)

    def __repr__(self) -> str:
        """Show where it is connected and what waits unread."""
        return f"<RawClient {addresses.authority(self.address)} unread={self._stream.buffered[:60]!r}>"

    @property
    def socket(self) -> socket.socket:
        """The socket itself, for tests that read slowly or not at all."""
        return self._sock

    @property
    def unread(self) -> bytes:
        """Bytes received beyond the last response that was read."""
        return self._stream.buffered

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._sock.sendall(data)

    def send_pieces(self, pieces: Iterable[bytes]) -> bool:
        """Send each piece by itself; False when the peer closed before the last one."""
        try:
            for piece in pieces:
                self._sock.sendall(piece)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def request(
        self,
        method: str = "GET",
        target: str = "/",
        headers: Sequence[Header] = (),
        body: bytes | None = None,
    ) -> RawResponse:
        """Send one well-formed request and read its answer."""
        fields = [("Host", addresses.authority(self.address)), *headers]
        if any(name.lower() == "host" for name, _ in headers):
            del fields[0]
        if body is not None:
            fields.append(("Content-Length", str(len(body))))
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
        self.send("\r\n".join(lines).encode("latin-1") + (body or b""))
        return self.read_response(method)

    def read_response(self, method: str = "GET") -> RawResponse:
        """Read one final answer to a request with this method, and the 1xx before it."""
        informational = []
        while True:
            response = self._read_head()
            if response.status >= 200 or response.status == 101:
                break
            informational.append(response)
        response.informational = informational
        if method != "HEAD" and response.status not in (101, 204, 304):
            self._read_body(response)
        return response

    def read_until_closed(self) -> bytes:
        """Return everything that comes until the peer closes."""
        return self._stream.take_rest()

    def closed_by_peer(self, timeout: float = 2.0) -> bool:
        """Wait for the peer to close; False when it does not, MalformedMessageError when it sends more."""
        self._sock.settimeout(timeout)
        try:
            closed = not self.unread and not self._stream.fill()
        except TimeoutError:
            closed = False
        finally:
            self._sock.settimeout(self.timeout)
        if self.unread:
            raise MalformedMessageError(f"bytes after the last response: {self.unread[:200]!r}")
        return closed

    def finish_sending(self) -> None:
        """Close the sending half, as a client does that has said everything."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:  # the peer closed first
            return

    def reset(self) -> None:
        """Leave with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def close(self) -> None:
        """Leave."""
        self._sock.close()

    def __enter__(self) -> Self:
        """Use as a context that closes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _read_head(self) -> RawResponse:
        try:
            head = message.read_head(self._stream)
        except EndOfStreamError as end:
            raise NoResponseError(end.partial) from end
        line, headers = message.split_head(head)
        version, status, reason = message.parse_status_line(line)
        return RawResponse(status, reason, headers, version)

    def _read_body(self, response: RawResponse) -> None:
        length = message.body_length(response.headers)
        body = bytearray()
        try:
            if length is None:
                response.framing = "chunked"
                response.trailers = message.read_chunked(self._stream, body.extend)
            elif length >= 0:
                response.framing = "length"
                message.read_counted(self._stream, length, body.extend)
            else:
                response.framing = "eof"
                body += self._stream.take_rest()
                response.complete = not self._stream.reset
        except EndOfStreamError as end:
            response.complete = False
            wanted = "a last chunk" if length is None else f"{length} bytes"
            response.defect = f"{end} where {wanted} was promised, {len(body)} bytes came"
        response.body = bytes(body)


def fetch(
    address: Address,
    target: str = "/",
    *,
    method: str = "GET",
    headers: Sequence[Header] = (),
    body: bytes | None = None,
) -> RawResponse:
    """Send one request on a connection of its own."""
    with RawClient(address) as client:
        return client.request(method, target, headers, body)
