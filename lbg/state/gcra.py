"""GCRA: one time for each key says whether a request keeps to a rate. Integer nanoseconds, no I/O.

The theoretical arrival time (TAT) is when the next request is due if all keep exactly to the rate
(ITU-T I.371, virtual scheduling algorithm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_SECOND: Final = 1_000_000_000
_LONGEST: Final = 1 << 62  # so that a TAT fits into 64 bits


@dataclass(frozen=True, slots=True)
class Rate:
    """A request is due each `interval`, and may be `tolerance` early. Both in ns."""

    interval: int
    tolerance: int

    @classmethod
    def of(cls, count: int, period: int, burst: int | None = None) -> Rate:
        """Return the rate of `count` requests in `period` ns.

        `burst` may come at once beyond the first one; None is as many as the rate brings in a second,
        and one at least.
        """
        if burst is None:
            burst = -(-count * _SECOND // period)
        interval = min(-(-period // count), _LONGEST)  # rounded up: never more than was asked for
        return cls(interval, min(burst * interval, _LONGEST))


def advance(tat: int, now: int, interval: int, tolerance: int) -> tuple[int, int]:
    """Return the TAT after a request at `now`, and how many ns too early it came: 0 when it passes."""
    if tat <= now:
        return now + interval, 0
    early = tat - now - tolerance
    if early <= 0:
        return tat + interval, 0
    if early > interval + _SECOND:
        # This rate brings no TAT so far ahead, and no worker reads the clock so long before it decides:
        # it is left from before a change of the rate.
        return now + tolerance + interval, interval
    return tat, early


def remaining(tat: int, now: int, interval: int, tolerance: int) -> int:
    """Return how many requests would pass at `now`."""
    free = now + tolerance - max(tat, now)
    return free // interval + 1 if free >= 0 else 0
