"""Connections kept for the next request, most recently used first."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from lbg.net.deadline import NEVER

if TYPE_CHECKING:
    from lbg.config.schema import ConnectionsConfig
    from lbg.upstream.connection import Connection

# A connection is retired this many seconds before the endpoint said it would close it, so that a
# request does not cross the close on the wire.
_MARGIN: Final = 1.0


class IdleConnections:
    """The idle connections of one endpoint in one worker.

    Each is watched while it rests: the endpoint closing it, or sending bytes nobody asked for,
    removes it at once, so a request seldom meets a stale one.
    """

    __slots__ = ("_idle", "_limit", "_max_requests", "_timeout")

    def __init__(self, config: ConnectionsConfig) -> None:
        self._limit = config.idle
        self._timeout = config.idle_timeout
        self._max_requests = config.max_requests
        self._idle: list[Connection] = []

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
        said = connection.keep_alive
        connection.expires = monotonic() + (min(self._timeout, said - _MARGIN) if said else self._timeout)
        self._idle.append(connection)
        connection.stream.deadline = NEVER
        connection.stream.arm(self._discard, connection)

    def _discard(self, connection: Connection) -> None:
        if connection in self._idle:
            self._idle.remove(connection)
        connection.close()

    def retire(self, now: float) -> None:
        """Close what has rested for too long; called every tick, oldest first."""
        while self._idle and self._idle[0].expires <= now:
            self._discard(self._idle[0])

    def close(self) -> None:
        """Close them all."""
        while self._idle:
            self._discard(self._idle[-1])
