"""Starting backends on ports of their own."""

import errno
import signal
import socket
import sys
from collections.abc import Container
from itertools import islice

from lbg.demo.child import start
from lbg.demo.supervisor import Process

_HOST = "127.0.0.1"
_PORTS = range(9001, 9400)
_BACKLOG = 1024


class Launcher:
    """Starts a backend on a port that was free when this was made, any number of times one after another."""

    def __init__(self, listener: socket.socket) -> None:
        self._port: int = listener.getsockname()[1]
        self._listener: socket.socket | None = listener

    @property
    def url(self) -> str:
        """Where the backend is."""
        return f"http://{_HOST}:{self._port}"

    def __call__(self, name: str) -> Process:
        """Return a process that listens already. Raises OSError."""
        listener, self._listener = self._listener or _listen(self._port), None
        with listener:
            command = [sys.executable, "-m", "lbg.demo.backend", name]
            return start(command, when_orphaned=signal.SIGKILL, stdin=listener.fileno())


def free_launchers(count: int, taken: Container[int]) -> list[Launcher]:
    """Return launchers on free ports, without the `taken` ones. Raises OSError when there are not enough."""
    candidates = (_listen_if_free(port) for port in _PORTS if port not in taken)
    listeners = list(islice((listener for listener in candidates if listener), count))
    if len(listeners) < count:
        for listener in listeners:
            listener.close()
        raise OSError(errno.EADDRINUSE, f"no {count} ports are free from {_PORTS[0]} to {_PORTS[-1]}")
    return [Launcher(listener) for listener in listeners]


def _listen_if_free(port: int) -> socket.socket | None:
    try:
        return _listen(port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return None


def _listen(port: int) -> socket.socket:
    return socket.create_server((_HOST, port), backlog=_BACKLOG)
