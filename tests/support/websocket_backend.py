"""A small WebSocket server (RFC 6455) as a behaviour of a test backend."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from tests.support.backend_connection import BackendConnection
from tests.support.handlers import Handler, Header, head

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class WebSocket:
    """The server's end: whole messages, no extensions."""

    def __init__(self, connection: BackendConnection) -> None:
        self._connection = connection
        self._buffer = b""

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one unfragmented frame."""
        self._connection.send(frame(payload, opcode))

    def receive(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame; the client must mask and not fragment."""
        first, second = self._take(2)
        if not first & 0x80 or not second & 0x80:
            raise ValueError(f"a frame that is fragmented or not masked: {first:#x} {second:#x}")
        length = second & 0x7F
        if length >= 126:
            length = int.from_bytes(self._take(2 if length == 126 else 8), "big")
        mask = int.from_bytes(self._take(4) * (length // 4 + 1), "big")
        payload = int.from_bytes(self._take(length) + bytes(4 - length % 4), "big") ^ mask
        return first & 0x0F, payload.to_bytes(length + 4 - length % 4, "big")[:length]

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._buffer += self._connection.receive()
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken


def frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return one unfragmented frame as a server sends it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    else:
        length = b"\x7e" + size.to_bytes(2, "big") if size < 65536 else b"\x7f" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + payload


def switched(key: str, headers: list[Header]) -> bytes:
    """Return the head of the 101 for a client's key."""
    accept = base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()
    fields = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)]
    return head(101, [*fields, *headers])


def websocket(serve: Callable[[WebSocket], None]) -> Handler:
    """Switch every connection to WebSocket, choose the first subprotocol offered, and let `serve` talk."""

    def handle(connection: BackendConnection) -> None:
        request = connection.read_head()
        offered = (request.get("sec-websocket-protocol") or "").split(",")[0].strip()
        chosen = [("Sec-WebSocket-Protocol", offered)] if offered else []
        connection.send(switched(request.get("sec-websocket-key") or "", chosen))
        serve(WebSocket(connection))
        connection.close()

    return handle


def echo_messages(peer: WebSocket) -> None:
    """Send every message back until the client closes."""
    opcode = TEXT
    while opcode != CLOSE:
        opcode, payload = peer.receive()
        peer.send(payload, PONG if opcode == PING else opcode)
