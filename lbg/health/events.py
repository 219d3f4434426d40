"""What happened to endpoints, in order: kept in memory, followed by readers, continued from a file.

One process adds events. Others read the file, and may become the one that writes.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
from collections import deque
from dataclasses import asdict, dataclass
from threading import Condition
from time import monotonic, time
from typing import TYPE_CHECKING, Final

from pydantic import TypeAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

log = logging.getLogger("lbg.health")

FILE: Final = "events"
KEPT: Final = 1000
HEARTBEAT: Final = 15.0  # seconds
_POLL: Final = 1.0  # seconds between two looks at the file of another process
_TAIL: Final = 2 << 20  # bytes: room for twice the events that are kept
_GREATEST_ID: Final = 2**53 - 1  # RFC 8259 section 6: what every JSON reader takes as a whole number


@dataclass(frozen=True, slots=True)
class Event:
    """One change of an endpoint.

    `kind` is "up", "down", "ejected", "trial", "restored", "checks_stale" or another such word, `time`
    is wall-clock time, `text` tells what was met, `after` is how many seconds the state before lasted.
    `id` rises from event to event, across processes and restarts too.
    """

    id: int
    time: float
    kind: str
    pool: str
    endpoint: str
    text: str
    after: float


_EVENT: Final = TypeAdapter(Event)


class ForeignFile(Exception):
    """What has the name of the event file is something else."""


class EventLog:
    """The last events. All methods may be called from several threads or greenlets.

    With a directory the events are read from `FILE` in it. `open_for_writing` makes this process the
    one that adds to it. What is wrong with the file costs the history on disk and a warning, no event.
    """

    def __init__(
        self, directory: Path | None = None, kept: int = KEPT, clock: Callable[[], float] = time
    ) -> None:
        self._events: deque[Event] = deque(maxlen=kept)
        self._file = _File(directory / FILE) if directory is not None else None
        self._reading = directory is not None
        self._clock = clock
        self._newest = 0
        self._closed = False
        self._changed = Condition()
        self._catch_up()

    def __repr__(self) -> str:
        return f"<EventLog {len(self._events)} events, last id {self._newest}>"

    @property
    def last_id(self) -> int:
        """The id of the newest event, 0 when there is none."""
        with self._changed:
            self._catch_up()
            return self._newest

    def open_for_writing(self) -> None:
        """Continue the history in the file, from what it holds by now."""
        with self._changed:
            self._reading = False
            if self._file is None:
                return
            try:
                self._take(self._file.read())
                self._file.open(self._events)
            except (OSError, ForeignFile) as error:
                self._lose_file(error)
            self._changed.notify_all()

    def add(self, kind: str, pool: str, endpoint: str, text: str, after: float = 0.0) -> Event:
        """Note an event that happens now and return it."""
        with self._changed:
            now = self._clock()
            # Milliseconds: ids rise even when the history is lost, so that a reader's last id stays good.
            number = max(self._newest + 1, int(now * 1000))
            event = Event(number, round(now, 3), kind, pool, endpoint, text, round(after, 3))
            self._take([event])
            self._write(event)
            self._changed.notify_all()
        return event

    def since(self, last_id: int) -> list[Event]:
        """Return the events after `last_id`, all when no event so far had an id that high."""
        with self._changed:
            self._catch_up()
            return self._after(self._known(last_id))

    def follow(self, last_id: int, heartbeat: float = HEARTBEAT) -> Iterator[Event | None]:
        """Yield the events after `last_id` as they come, and None after `heartbeat` seconds without one.

        Ends after `close`. A reader too slow for the events that are kept misses the oldest.
        """
        last_id = self._known(last_id)
        while True:
            events = self._wait(last_id, monotonic() + heartbeat)
            for event in events:
                last_id = event.id
                yield event
            if self._closed:
                return
            if not events:
                yield None

    def close(self) -> None:
        """End all `follow` and stop writing."""
        with self._changed:
            self._closed = True
            if self._file is not None:
                self._file.close()
            self._changed.notify_all()

    def _wait(self, last_id: int, until: float) -> list[Event]:
        with self._changed:
            while True:
                self._catch_up()
                found = self._after(last_id)
                left = until - monotonic()
                if found or left <= 0 or self._closed:
                    return found
                self._changed.wait(min(left, _POLL) if self._reading else left)

    def _known(self, last_id: int) -> int:
        """Return `last_id`, or 0 for one from the future: the log was begun anew after a clock was set."""
        return last_id if last_id <= self._newest else 0

    def _after(self, last_id: int) -> list[Event]:
        return [event for event in self._events if event.id > last_id]

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if event.id > self._newest:
                self._events.append(event)
                self._newest = event.id

    def _catch_up(self) -> None:
        """Take what the writing process has added."""
        if self._reading and self._file is not None and not self._closed:
            try:
                if self._file.has_changed():
                    self._take(self._file.read())
            except (OSError, ForeignFile):
                log.debug("no events from %s", self._file.path, exc_info=True)

    def _write(self, event: Event) -> None:
        if self._file is None or self._reading or self._closed:
            return
        try:
            self._file.append(event)
            if self._file.lines > 2 * (self._events.maxlen or 0):
                self._file.rewrite(self._events)
        except OSError as error:
            self._lose_file(error)

    def _lose_file(self, error: Exception) -> None:
        if self._file is not None:
            log.warning("events are kept in memory only: %s", error)
            self._file.close()
            self._file = None


class _File:
    """The events as lines of JSON. Raises OSError, and ForeignFile when it is not a file to trust."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = 0
        self._sound = True
        self._descriptor = -1
        self._seen: tuple[int, int, int] | None = None

    def has_changed(self) -> bool:
        """Return whether there is something that `read` has not seen."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return False
        return self._seen != (status.st_ino, status.st_size, status.st_mtime_ns)

    def read(self) -> list[Event]:
        """Return the events in the last part of the file, without damaged lines."""
        self.lines, self._sound = 0, True
        try:
            # Not blocking: opening a pipe would wait for a writer.
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return []
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise ForeignFile(f"{self.path} is not a file of this user")
            file.seek(max(0, status.st_size - _TAIL))
            data = file.read(_TAIL)
        self._seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        return self._decode(data, whole=status.st_size <= _TAIL)

    def _decode(self, data: bytes, *, whole: bool) -> list[Event]:
        *lines, rest = data.split(b"\n")
        decoded = [_decode(line) for line in lines]
        events = [event for event in decoded if event is not None]
        if data and not events and not data.startswith(b'{"id":'):
            raise ForeignFile(f"{self.path} holds something else")
        self.lines = len(lines)
        self._sound = whole and not rest and len(events) == len(lines)
        return events

    def open(self, events: Iterable[Event]) -> None:
        """Begin to append; a file that `read` found damaged or too long is replaced by `events`."""
        if not self._sound:
            log.warning("%s was damaged or too long; it goes on with what could be read", self.path)
            self.rewrite(events)
            return
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._replace_descriptor(os.open(self.path, flags, 0o600))

    def append(self, event: Event) -> None:
        """Add a line, in one write so that a reader never sees a part of it."""
        _write_whole(self._descriptor, _encode(event))
        self.lines += 1

    def rewrite(self, events: Iterable[Event]) -> None:
        """Replace the file by one that holds `events`."""
        lines = [_encode(event) for event in events]
        temporary = self.path.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
        try:
            _write_whole(descriptor, b"".join(lines))
            temporary.replace(self.path)
        except BaseException:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        self._replace_descriptor(descriptor)
        self.lines = len(lines)

    def close(self) -> None:
        """Stop appending."""
        self._replace_descriptor(-1)

    def _replace_descriptor(self, descriptor: int) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor


def _write_whole(descriptor: int, data: bytes) -> None:
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _encode(event: Event) -> bytes:
    return json.dumps(asdict(event)).encode() + b"\n"


def _decode(line: bytes) -> Event | None:
    try:
        event = _EVENT.validate_json(line, strict=True)
    except ValueError:
        return None
    return event if 0 < event.id <= _GREATEST_ID and event.kind.isidentifier() else None
