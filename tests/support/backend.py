"""A real HTTP backend on raw sockets that can misbehave in every way a test needs."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support import address as addresses
from tests.support.address import Address
from tests.support.backend_connection import BackendConnection, ReceivedRequest
from tests.support.handlers import Handler, answer
from tests.support.readiness import readable

LOOPBACK: Address = ("127.0.0.1", 0)


class Backend:
    """Listens, runs `handler` for each request in a thread per connection, and records what came.

    `requests` holds what was received, health probes apart in `probes`; `connections` counts accepts.
    Probes (User-Agent lbg-health/…) are answered `probe_status` unseen by the handler unless
    `answer_probes` is False. An exception in a handler is kept in `errors` and fails the test when the
    `with` block ends, unless `expect_errors` is True. `handler` may be exchanged at any time.
    """

    def __init__(
        self,
        handler: Handler | None = None,
        *,
        address: Address = LOOPBACK,
        answer_probes: bool = True,
        expect_errors: bool = False,
    ) -> None:
        self.handler = handler or answer()
        self.answer_probes = answer_probes
        self.probe_status = 200
        self.expect_errors = expect_errors
        self.requests: list[ReceivedRequest] = []
        self.probes: list[ReceivedRequest] = []
        self.errors: list[Exception] = []
        self.connections = 0
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self._open: set[BackendConnection] = set()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._wake: tuple[socket.socket, socket.socket] | None = None
        self._reserved = None if isinstance(address, str) else addresses.bound_socket(address)
        self.address = address if self._reserved is None else addresses.local_address(self._reserved)

    def __repr__(self) -> str:
        """Show where it is and what it has seen."""
        state = "up" if self._listener else "down"
        return f"<Backend {self.url} {state}, {self.connections} connections, {len(self.requests)} requests>"

    @property
    def url(self) -> str:
        """The address as a pool's `endpoints` list writes it."""
        return addresses.url(self.address)

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        with self.lock:
            return len(self._open)

    def start(self) -> None:
        """Listen; after `stop` on the same address again."""
        listener = self._listener = addresses.bound_socket(self.address)
        listener.listen(1024)
        listener.setblocking(False)
        self.stopping = threading.Event()
        self._wake = socket.socketpair()
        self._run(self._accept, listener, self._wake[0], self.stopping)

    def stop(self) -> None:
        """Close the listener and every connection, as when the process dies."""
        if self._listener is None or self._wake is None:
            return
        self.stopping.set()
        self._wake[1].send(b"!")
        with self.lock:
            for connection in self._open:
                connection.interrupt()
            threads = list(self._threads)
        for thread in threads:
            thread.join(5.0)
        for sock in (self._listener, *self._wake):
            sock.close()
        if isinstance(self.address, str):
            os.unlink(self.address)
        self._listener = self._wake = None
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck:
            raise AssertionError(f"{self!r}: handler threads do not end: {stuck}")

    def settled(self) -> bool:
        """Whether nothing more can come: no connection to accept, none in a request, no byte unread."""
        with self.lock:
            if self._listener is not None and readable(self._listener):
                return False
            return not any(connection.busy or connection.readable() for connection in self._open)

    def received(self, request: ReceivedRequest) -> None:
        """Note a request; called by its connection."""
        self.requests.append(request)

    def probed(self, request: ReceivedRequest) -> None:
        """Note a health probe; called by its connection."""
        self.probes.append(request)

    def __enter__(self) -> Self:
        """Start."""
        try:
            self.start()
        except OSError:
            self._release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and fail the test for what went wrong in a handler."""
        try:
            self.stop()
        finally:
            self._release()
        if self.errors and not self.expect_errors and error is None:
            raise AssertionError(f"{self!r}: errors in handlers: {self.errors!r}") from self.errors[0]

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved.close()

    def _run(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, name=f"{self.url} {target.__name__}", daemon=True)
        self._threads = [known for known in self._threads if known.is_alive()]
        thread.start()
        self._threads.append(thread)

    def _accept(self, listener: socket.socket, wake: socket.socket, stopping: threading.Event) -> None:
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(wake, select.POLLIN)
        while not stopping.is_set():
            poll.poll()
            with self.lock:
                while not stopping.is_set():
                    try:
                        sock, _ = listener.accept()
                    except (BlockingIOError, ConnectionAbortedError):
                        break
                    self._begin(sock)

    def _begin(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        addresses.send_at_once(sock)
        self.connections += 1
        connection = BackendConnection(sock, self.connections, self)
        connection.busy = True  # until its thread waits for the first byte
        self._open.add(connection)
        self._run(self._serve, connection)

    def _serve(self, connection: BackendConnection) -> None:
        try:
            connection.serve()
        except Exception as error:
            self.errors.append(error)
        finally:
            with self.lock:
                self._open.discard(connection)
