"""Accepts client connections of one listener."""

from __future__ import annotations

import errno
import logging
import socket as stdlib_socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.pool import Pool
from gevent.server import StreamServer

from lbg.net.stream import Socket, Stream
from lbg.server.environ import base_environ
from lbg.server.http1 import Http1Connection

if TYPE_CHECKING:
    from lbg.server.service import Service

log = logging.getLogger("lbg.server")

_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE: Final = 0.5  # seconds
_COMPLAINT_INTERVAL: Final = 60.0  # seconds between two log lines about the same
_INTERNET: Final = frozenset({stdlib_socket.AF_INET, stdlib_socket.AF_INET6})


class Acceptor(StreamServer):
    """gevent's accept loop (full pools, back-off on errors), handing out raw sockets for `Stream`.

    It takes one connection per wake-up: workers share the listener, and one of them would
    otherwise take all that arrive together.
    """

    max_accept = 1

    def __init__(self, listener: Any, service: Service, pool: Pool, *, name: str, multiprocess: bool) -> None:
        self._service = service
        self._listener = listener
        self._complained = -_COMPLAINT_INTERVAL
        self._internet = listener.family in _INTERNET
        if self._internet:
            # Accepted sockets inherit it, which saves a system call each.
            listener.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
        self._environ = base_environ("http", _server_name(listener), multiprocess=multiprocess)
        self._environ["lbg.listener"] = name
        super().__init__(listener, handle=self._serve, spawn=pool)

    def do_read(self) -> tuple[Any, Any] | None:
        try:
            fd, address = self._listener._accept()
        except BlockingIOError:
            return None  # another worker was faster
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            self._pause(error)
            return None
        sock = Socket(self._listener.family, stdlib_socket.SOCK_STREAM, 0, fileno=fd)
        sock.setblocking(False)
        return sock, address

    def _pause(self, error: OSError) -> None:
        """Accept nothing for a moment: the listener would only wake us again for the same failure."""
        if monotonic() - self._complained > _COMPLAINT_INTERVAL:
            self._complained = monotonic()
            log.error("cannot accept connections: %s", error.strerror)
        self.stop_accepting()
        gevent.spawn_later(_PAUSE, self._resume)

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()

    def do_close(self, sock: Any, *_: Any) -> None:
        sock.close()

    def _serve(self, sock: Any, address: Any) -> None:
        environ = self._environ.copy()
        if self._internet:
            environ["REMOTE_ADDR"], environ["REMOTE_PORT"] = address[0], str(address[1])
        else:
            environ["REMOTE_ADDR"] = ""
        self._attend(Http1Connection(self._service, Stream(sock), environ))

    def _attend(self, connection: Http1Connection) -> None:
        connection.serve()


class AdminAcceptor(Acceptor):
    """Has `limit` connections at most, and room for another one all the same.

    The oldest that waits for a request makes it. Strangers may ask for health, but not keep operators out.
    """

    def __init__(self, listener: Any, service: Service, limit: int, *, name: str, multiprocess: bool) -> None:
        self._open: dict[Http1Connection, None] = {}
        super().__init__(listener, service, Pool(limit), name=name, multiprocess=multiprocess)

    def _attend(self, connection: Http1Connection) -> None:
        if self.full():
            self._make_room()
        self._open[connection] = None
        try:
            connection.serve()
        finally:
            del self._open[connection]

    def _make_room(self) -> None:
        oldest = next((one for one in self._open if one not in self._service.active), None)
        if oldest is not None:
            oldest.stream.abort()


def _server_name(listener: Any) -> tuple[str, str]:
    name = listener.getsockname()
    if isinstance(name, tuple):
        return str(name[0]), str(name[1])
    return "localhost", "80"
