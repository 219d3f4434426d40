"""What all client connections of a worker share: the application, the settings, the state of stopping."""

from __future__ import annotations

from email.utils import formatdate
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final, Protocol

from lbg.http.headers import EnvironKeys
from lbg.net.deadline import DEADLINES

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.errors import LocalReply
    from lbg.net.stream import Stream


_FIRST_REQUEST: Final = 1.0  # seconds that a client which had just connected has left at a stop


class Settings(Protocol):
    """The limits of a listener; `[server]` of the configuration has them."""

    header_timeout: float
    keepalive_timeout: float
    body_timeout: float
    max_header_bytes: int
    max_body_bytes: int
    underscore_headers: bool


class Watched(Protocol):
    """A client connection as its service sees it."""

    idle: bool
    fresh: bool
    stream: Stream

    def watch(self) -> None: ...


class Service:
    """One per worker. `application` is the WSGI callable; `active` are the connections that serve a
    request, `requests` counts those begun. `on_refusal` are told of a request that was answered before it
    reached the application, and of what is known of it: an environ that may lack any key of the request.
    """

    def __init__(self, application: Any, settings: Settings) -> None:
        self.application = application
        self.settings = settings
        self.keys = EnvironKeys(underscores=settings.underscore_headers)
        self.stopping = False
        self.connections: set[Watched] = set()
        self.date = ""
        self.requests = 0
        self.active: set[Watched] = set()
        self.on_refusal: list[Callable[[LocalReply, dict[str, Any]], None]] = []
        self._waiting: list[Watched] = []
        self._tick(0.0)
        DEADLINES.on_tick(self._tick)

    def _tick(self, now: float) -> None:  # noqa: ARG002
        self.date = f"Date: {formatdate(time(), usegmt=True)}\r\n"
        # A request that is still there after a tick is worth a watch on its client. Most are not,
        # and pay nothing.
        for connection in self._waiting:
            if connection in self.active:
                connection.watch()
        self._waiting = list(self.active)

    def stop(self) -> None:
        """Close idle connections now, all others after the response they are in or wait for.

        A client that has just connected keeps a moment for its request, and one whose next request
        has already come gets its answer.
        """
        self.stopping = True
        for connection in list(self.connections):
            stream = connection.stream
            if connection.fresh and connection.idle:
                stream.deadline = min(stream.deadline, monotonic() + _FIRST_REQUEST)
            elif connection.idle and stream.peek() is None:
                stream.close()
