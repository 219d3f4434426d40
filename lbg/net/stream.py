"""A connected socket under gevent, at the least cost per wait that gevent allows.

Waiting first and receiving then saves the failed `recv` and its exception that gevent's own
socket pays on every empty read. The write watcher exists only once a send has blocked, which keeps
an idle connection small.
"""

from __future__ import annotations

import socket as stdlib_socket
import struct
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.monkey import get_original

from lbg.errors import StreamTimeout
from lbg.net.deadline import DEADLINES, NEVER
from lbg.net.outbox import OUTBOX

if TYPE_CHECKING:
    from collections.abc import Callable

    Socket = stdlib_socket.socket
else:
    Socket = get_original("socket", "socket")

READ: Final = 1
WRITE: Final = 2
WRITE_TIMEOUT: Final = 60.0  # seconds in which a client must take something; nginx's send_timeout
SMALL: Final = 16384  # bytes up to which a write waits for the end of the loop's turn


class Stream:
    """A non-blocking socket whose calls block the greenlet, never the worker.

    Every wait ends at `deadline` (CLOCK_MONOTONIC seconds) with `StreamTimeout`. Other failures are
    the `OSError` of the socket call. A `closed` stream refuses every wait with `StreamTimeout`;
    `aborted` says that the end a reader sees is our own doing. `armed` is set from `arm` to `disarm`.
    A small write may fail after its call; then reading reports the end of the stream. `wrote` says
    whether bytes have left since `begin_message`, `unwritten` that the first small write failed.
    """

    __slots__ = (
        "_held",
        "_hub",
        "_writer",
        "aborted",
        "armed",
        "closed",
        "deadline",
        "reader",
        "sock",
        "unwritten",
        "wrote",
    )

    def __init__(self, sock: Socket) -> None:
        self.sock = sock
        self._hub = gevent.get_hub()
        self.reader: Any = self._hub.loop.io(sock.fileno(), READ)
        self._writer: Any = None
        self.aborted = False
        self.armed = False
        self.closed = False
        self._held = b""
        self.wrote = False
        self.unwritten = False
        self.deadline = NEVER
        DEADLINES.watch(self)

    def __repr__(self) -> str:
        return f"<Stream fd={self.sock.fileno()} deadline={self.deadline} held={len(self._held)}>"

    def begin_message(self) -> None:
        """Let `wrote` and `unwritten` speak of what is sent from now on."""
        self.wrote = self.unwritten = False

    def wait_readable(self) -> None:
        """Block until bytes or the end of the stream can be read; takes `arm` back."""
        self.disarm()
        self._wait(self.reader)

    def wait_writable(self) -> None:
        """Block until the kernel takes more bytes."""
        self._wait(self._write_watcher())

    def _write_watcher(self) -> Any:
        if self._writer is None:
            self._writer = self._hub.loop.io(self.sock.fileno(), WRITE)
        return self._writer

    def _wait(self, watcher: Any) -> None:
        while True:
            self._refuse_if_closed()
            try:
                self._hub.wait(watcher)
                return
            except StreamTimeout:
                # A cancelled wait may hit the wait that came after the one it was meant for.
                if monotonic() >= self.deadline:
                    raise

    def _refuse_if_closed(self) -> None:
        if self.closed:
            raise StreamTimeout("the stream is closed")

    def recv(self, size: int) -> bytes:
        """Wait for bytes and return up to `size` of them; `b""` is the end. Takes `arm` back."""
        if self.armed:
            self.disarm()
        while True:
            if self.closed:
                self._refuse_if_closed()
            try:
                self._hub.wait(self.reader)
                return self.sock.recv(size)
            except BlockingIOError:
                continue
            except StreamTimeout:
                if monotonic() >= self.deadline:
                    raise

    def send(self, data: bytes) -> None:
        """Write all of `data`, a small piece at the end of this turn of the loop."""
        if not self._held and len(data) <= SMALL:
            self._held = data
            OUTBOX.add(self)
        elif len(self._held) + len(data) <= SMALL and not self._blocked:
            self._held += data
        else:
            self._send_now(data)

    @property
    def _blocked(self) -> bool:
        """Whether the kernel has refused bytes that are still held."""
        return self._writer is not None and self._writer.active

    def _send_now(self, data: bytes) -> None:
        self.flush()
        try:
            sent = self.sock.send(data)
            self.wrote = True
        except BlockingIOError:
            sent = 0
        self._send_all(memoryview(data)[sent:])

    def flush(self) -> None:
        """Write all that `send` still holds."""
        if self._held:
            if self._writer is not None:
                self._writer.stop()
            data, self._held = self._held, b""
            self._send_all(memoryview(data))

    def _send_all(self, rest: memoryview) -> None:
        while rest:
            try:
                rest = rest[self.sock.send(rest) :]
                self.wrote = True
            except BlockingIOError:
                self.wait_writable()

    def write_held(self) -> None:
        """Write what the kernel takes of what `send` holds; called by the outbox, in the hub."""
        if not self._held:  # flushed or closed meanwhile
            return
        try:
            self._held = self._held[self.sock.send(self._held) :]
        except BlockingIOError:
            pass
        except OSError:
            self.unwritten = not self.wrote
            self.abort()
        else:
            self.wrote = True
        if self._held:
            self._write_watcher().start(self._write_more)

    def _write_more(self) -> None:
        try:
            self._held = self._held[self.sock.send(self._held) :]
        except BlockingIOError:
            return
        except OSError:
            self.abort()
        if not self._held:
            self._writer.stop()

    def abort(self) -> None:
        """End both directions at once; whoever reads meanwhile sees the end of the stream."""
        self.aborted = True
        self._held = b""
        try:
            self.sock.shutdown(stdlib_socket.SHUT_RDWR)
        except OSError:
            self.deadline = 0.0  # not connected any more: a wait that is under way ends at the next tick

    def arm(self, callback: Callable[..., None], *args: object) -> None:
        """Call `callback(*args)` in the hub when the stream turns readable while nobody waits for it."""
        self._refuse_if_closed()
        self.armed = True
        self.reader.start(callback, *args)

    def disarm(self) -> None:
        """Take `arm` back."""
        if self.armed:
            self.armed = False
            self.reader.stop()

    def expire(self) -> None:
        """Cancel the current wait, if there is one."""
        if self.reader.active and not self.armed:
            self._hub.cancel_wait(self.reader, StreamTimeout())
        if self._writer is not None and self._writer.active and not self._held:
            self._hub.cancel_wait(self._writer, StreamTimeout())

    def peek(self) -> bytes | None:
        """Return the next byte without taking it, `b""` at the end, None when neither has come."""
        try:
            return self.sock.recv(1, stdlib_socket.MSG_PEEK)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def end_writing(self) -> None:
        """Write what is held, then tell the peer that no more will come; the read side stays open."""
        self.flush()
        self.sock.shutdown(stdlib_socket.SHUT_WR)

    def reset_at_close(self) -> None:
        """Let `close` reset the connection, so that the peer cannot take its end for a regular one."""
        try:
            self.sock.setsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            self.deadline = 0.0  # closed already: there is no regular end either

    def close(self) -> None:
        """Close the socket; what is held is lost, and waits of other greenlets end with `StreamTimeout`."""
        if self.closed:
            return
        DEADLINES.forget(self)
        self.disarm()
        if self._held and self._writer is not None:
            self._writer.stop()
        self._held = b""
        self.deadline = 0.0
        # libev must let go of the descriptor before the kernel may give its number away again.
        self.closed = True
        self._hub.cancel_waits_close_and_then((self.reader, self._writer), StreamTimeout, self.sock.close)
