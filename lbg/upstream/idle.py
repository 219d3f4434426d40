"""Connections kept for the next request, most recently used first."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from lbg.net.deadline import NEVER
from lbg.upstream.keep_alive import KeepAlive, usable_for

if TYPE_CHECKING:
    from lbg.config.pools import ConnectionsConfig
    from lbg.upstream.connection import Connection


class IdleConnections:
    """The idle connections of one endpoint in one worker.

    Each is watched while it rests: the endpoint closing it, or sending bytes nobody asked for,
    removes it at once. It is retired before the endpoint would close it, as far as the endpoint says
    when, or has been seen to. So a request seldom meets a stale one.
    """

    __slots__ = ("_idle", "_learned", "_limit", "_max_requests", "_timeout")

    def __init__(self, config: ConnectionsConfig) -> None:
        self._limit = config.idle
        self._timeout = config.idle_timeout
        self._max_requests = config.max_requests
        self._learned = KeepAlive()
        self._idle: list[Connection] = []

    def adopt(self, config: ConnectionsConfig) -> None:
        """Keep to other limits from now on."""
        self._limit = config.idle
        self._timeout = config.idle_timeout
        self._max_requests = config.max_requests
        while len(self._idle) > self._limit:
            self._discard(self._idle[0])

    def __len__(self) -> int:
        return len(self._idle)

    def __repr__(self) -> str:
        return f"<IdleConnections {len(self._idle)} of {self._limit}>"

    def take(self) -> Connection | None:
        """Return a connection that was alive when last looked at, None when there is none."""
        while self._idle:
            connection = self._idle.pop()
            connection.stream.disarm()
            if connection.expires > monotonic():
                return connection
            connection.close()
        return None

    def put(self, connection: Connection) -> None:
        """Keep `connection` for its next request, or close it when it has had its share of them."""
        if len(self._idle) >= self._limit or connection.served == self._max_requests:
            connection.close()
            return
        now = monotonic()
        said = connection.keep_alive
        rest = self._learned.usable_for
        if rest > self._timeout:  # noqa: PLR1730 - in half the time of min()
            rest = self._timeout
        connection.idle_since = now
        connection.expires = now + (min(rest, usable_for(said)) if said else rest)
        self._idle.append(connection)
        connection.stream.deadline = NEVER
        connection.stream.arm(self._woken, connection)

    def _woken(self, connection: Connection) -> None:
        """Discard a connection that turned readable: it ended, or bytes came that nobody asked for."""
        if connection.stream.peek() == b"":
            now = monotonic()
            if self._learned.closed(now, now - connection.idle_since):
                self._shorten()
        self._discard(connection)

    def _shorten(self) -> None:
        for connection in self._idle:
            connection.expires = min(connection.expires, connection.idle_since + self._learned.usable_for)

    def _discard(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()

    def retire(self, now: float) -> None:
        """Close what has rested for too long; called every tick, oldest first."""
        self._learned.forget(now)
        while self._idle and self._idle[0].expires <= now:
            self._discard(self._idle[0])

    def close(self) -> None:
        """Close them all."""
        while self._idle:
            self._discard(self._idle[-1])

    def end(self) -> None:
        """Close them all, and keep none from now on."""
        self._limit = 0
        self.close()
