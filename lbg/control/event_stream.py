"""Events for readers of the admin API: a list, or a stream of server-sent events that goes on."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lbg.health.events import Event, EventLog

_READERS: Final = 100
_RETRY: Final = 2000  # ms after which a browser connects again
_HEARTBEAT: Final = b":\n\n"  # a comment, which readers pass over


class TooManyReaders(Exception):
    """As many readers follow the events as may."""


class EventStreams:
    """Hands out streams, at most `limit` at once: each keeps a connection and a greenlet."""

    def __init__(self, events: EventLog, limit: int = _READERS) -> None:
        self._events = events
        self._limit = limit
        self._places = BoundedSemaphore(limit)

    def latest(self, last_id: int | None, history: int) -> list[dict[str, Any]]:
        """Return the events after `last_id`, without one the last `history`, as documents."""
        return [document(event) for event in self._events.since(self._start(last_id, history))]

    def follow(self, last_id: int | None, history: int) -> EventStream:
        """Return a stream of the events after `last_id`, without one from the last `history` on.

        It must be closed. Raises TooManyReaders.
        """
        if not self._places.acquire(blocking=False):
            raise TooManyReaders(f"{self._limit} readers follow the events already, and no more can.")
        return EventStream(self._events, self._start(last_id, history), self._places.release)

    def _start(self, last_id: int | None, history: int) -> int:
        if last_id is not None:
            return last_id
        if not history:
            return self._events.last_id
        older = self._events.since(0)[:-history]
        return older[-1].id if older else 0


class EventStream:
    """The body of a `text/event-stream` response (WHATWG HTML, section 9.2)."""

    def __init__(self, events: EventLog, last_id: int, release: Callable[[], None]) -> None:
        self._pieces = _pieces(events, last_id)
        self._release: Callable[[], None] | None = release

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Make room for another reader; a second call does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release()


def _pieces(events: EventLog, last_id: int) -> Iterator[bytes]:
    # The id tells a reader that is cut off before the first event where to go on.
    yield f"retry: {_RETRY}\nid: {last_id}\n\n".encode()
    for event in events.follow(last_id):
        yield _HEARTBEAT if event is None else _message(event)


def _message(event: Event) -> bytes:
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(document(event))}\n\n".encode()


def document(event: Event) -> dict[str, Any]:
    """Return what the admin API says of one event."""
    moment = datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds")
    return {
        "id": event.id,
        "time": moment.replace("+00:00", "Z"),
        "kind": event.kind,
        "pool": event.pool,
        "endpoint": event.endpoint,
        "text": event.text,
        "after_seconds": event.after,
    }
