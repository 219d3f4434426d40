"""Ready behaviours of a test backend; each factory returns a handler for `Backend`."""

import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Literal

from tests.support.backend_connection import BackendConnection, ReceivedRequest

Handler = Callable[[BackendConnection], None]
"""Called when a request begins to arrive; reads it, answers it, and closes the connection or does not."""
Header = tuple[str, str]
End = Literal["open", "close", "reset", "stall"]
"""What follows the last byte: nothing, a close, a reset, or a silence until the proxy gives up."""


def head(status: int, headers: Iterable[Header]) -> bytes:
    """Return a response head with the usual reason phrase."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer(status: int = 200, headers: Sequence[Header] = (), body: bytes = b"ok") -> Handler:
    """Answer every request the same way and keep the connection."""
    bodiless = status in (204, 304)
    length = [] if bodiless else [("Content-Length", str(len(body)))]
    message_head = head(status, [*headers, *length])
    whole = message_head if bodiless else message_head + body

    def handle(connection: BackendConnection) -> None:
        request = connection.read_request()
        connection.send(message_head if request.method == "HEAD" else whole)

    return handle


def echo() -> Handler:
    """Answer with a JSON account of the request as it was received."""

    def handle(connection: BackendConnection) -> None:
        request = connection.read_request()
        body = json.dumps(account(request)).encode()
        fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        connection.send(head(200, fields) + (b"" if request.method == "HEAD" else body))

    return handle


def account(request: ReceivedRequest) -> dict[str, object]:
    """Return what `echo` tells: bytes as latin-1 text, the body itself only when it is short."""
    return {
        "method": request.method,
        "target": request.target.decode("latin-1"),
        "version": request.version,
        "headers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.headers],
        "trailers": [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.trailers],
        "length": request.body_length,
        "sha256": request.body_sha256,
        "body": request.body.decode("latin-1") if request.body_length <= 4096 else None,
        "connection": request.connection,
    }


def chunked(
    parts: Sequence[bytes], trailers: Sequence[Header] = (), headers: Sequence[Header] = ()
) -> Handler:
    """Answer in these chunks, each in its own send."""
    ending = "".join(f"{name}: {value}\r\n" for name, value in trailers)

    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, [*headers, ("Transfer-Encoding", "chunked")]))
        for part in parts:
            connection.send(b"%x\r\n%b\r\n" % (len(part), part))
        connection.send(b"0\r\n" + ending.encode("latin-1") + b"\r\n")

    return handle


def stream(total: int, piece: int = 65536) -> Handler:
    """Answer with `total` bytes under a Content-Length, as fast as the proxy takes them."""
    block = (hashlib.sha256(b"lbg").digest() * (piece // 32 + 1))[:piece]

    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(head(200, [("Content-Length", str(total))]))
        for start in range(0, total, piece):
            connection.send(block[: total - start])

    return handle


def slow(seconds: float, then: Handler | None = None) -> Handler:
    """Wait after the request has begun to arrive, then do what `then` does."""
    following = then or answer()

    def handle(connection: BackendConnection) -> None:
        connection.pause(seconds)
        following(connection)

    return handle


class Counting:
    """Waits as `slow` does, and counts how many requests do so at the same time: `peak` is the most.

    A request counts until its answer is about to be sent: after that the proxy may send another.
    """

    def __init__(self, seconds: float, then: Handler | None = None) -> None:
        self._seconds = seconds
        self._then = then or answer()
        self._lock = threading.Lock()
        self._now = 0
        self.peak = 0

    def __call__(self, connection: BackendConnection) -> None:
        """Serve one request."""
        with self._lock:
            self._now += 1
            self.peak = max(self.peak, self._now)
        try:
            connection.pause(self._seconds)
        finally:
            with self._lock:
                self._now -= 1
        self._then(connection)


def sse(events: int, interval: float) -> Handler:
    """Send numbered server-sent events, one every `interval` seconds, then end the stream."""

    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(
            head(200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]),
        )
        for number in range(events):
            event = b"data: %d\n\n" % number
            connection.send(b"%x\r\n%b\r\n" % (len(event), event))
            connection.pause(interval)
        connection.send(b"0\r\n\r\n")

    return handle


def raw_bytes(data: bytes, end: End = "close") -> Handler:
    """Read the request and send exactly these bytes."""

    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(data)
        finish(connection, end)

    return handle


def finish(connection: BackendConnection, end: End) -> None:
    """Do to the connection what `end` says."""
    match end:
        case "close":
            connection.close()
        case "reset":
            connection.reset()
        case "stall":
            connection.wait_until_proxy_closes()
        case "open":
            return


def stall_before_head() -> Handler:
    """Take the request and never say a word."""
    return raw_bytes(b"", end="stall")


def half_head(end: End = "close") -> Handler:
    """Send a head that stops in the middle of a field."""
    return raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Le", end)


def half_body(end: End = "close") -> Handler:
    """Promise ten bytes and send five."""
    return raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", end)


def half_chunked(end: End = "close") -> Handler:
    """Send one chunk and not the last one."""
    return raw_bytes(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", end)


def close_before_answer() -> Handler:
    """Take the request and close."""
    return raw_bytes(b"", end="close")


def reset_before_answer() -> Handler:
    """Take the request and reset the connection."""
    return raw_bytes(b"", end="reset")


def reset_mid_body(settle: float = 0.1) -> Handler:
    """Send half a body and, once it had time to be read, reset: a reset overtakes what is unread."""

    def handle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        connection.pause(settle)
        connection.reset()

    return handle


def lie_longer() -> Handler:
    """Claim a Content-Length above the body and close: the body is cut."""
    return half_body(end="close")


def lie_shorter(end: End = "open") -> Handler:
    """Claim a Content-Length below the body: bytes are left over on the connection."""
    return raw_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello, left over", end)


def early_answer_then_close(status: int = 413, body: bytes = b"too large") -> Handler:
    """Answer on the head alone and close without reading the body."""
    fields = [("Content-Length", str(len(body))), ("Connection", "close")]

    def handle(connection: BackendConnection) -> None:
        connection.read_head()
        connection.send(head(status, fields) + body)
        connection.close()

    return handle


def keepalive_then_close_after(count: int, then: Handler | None = None) -> Handler:
    """Serve `count` requests on each connection and close it unannounced."""
    following = then or answer()

    def handle(connection: BackendConnection) -> None:
        following(connection)
        if connection.served >= count:
            connection.close()

    return handle


def close_idle_after(seconds: float, then: Handler | None = None) -> Handler:
    """Close a connection, unannounced, that is idle for this long."""
    following = then or answer()

    def handle(connection: BackendConnection) -> None:
        connection.idle_timeout = seconds
        following(connection)

    return handle


def in_turn(*handlers: Handler) -> Handler:
    """Use one handler for each request, and the last one for all that follow."""
    waiting = itertools.chain(handlers, itertools.repeat(handlers[-1]))

    def handle(connection: BackendConnection) -> None:
        next(waiting)(connection)

    return handle
