"""Counts what happens often, so that the log tells it once a minute."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60_000_000_000  # ns


class Minutely:
    """Counts one kind of event."""

    __slots__ = ("_count", "_next")

    def __init__(self) -> None:
        self._count = 0
        self._next = 0

    def count(self, now: int) -> int:
        """Count an event at `now`, in ns; return how many there were when it is time to tell, else 0."""
        self._count += 1
        if now < self._next:
            return 0
        self._next = now + _MINUTE
        count, self._count = self._count, 0
        return count
