"""How often something happened in the last minute: a number that holds a count for each five seconds.

It is exact for the minute after the first event, and to five seconds from then on. No I/O.
"""

from __future__ import annotations

from typing import Final

PART: Final = 5_000_000_000  # ns
PARTS: Final = 12
MINUTE: Final = PARTS * PART
BITS: Final = 16  # of each count
MOST: Final = (1 << BITS) - 2  # that all counts together can hold

_MASK: Final = (1 << BITS * PARTS) - 1


def count(counts: int, began: int, now: int) -> tuple[int, int]:
    """Return the counts after one more event at `now`, and when their newest part began.

    It began at `began` before. Both in ns.
    """
    parts = max(0, now - began) // PART
    counts = counts << BITS * parts & _MASK if parts < PARTS else 0
    return (counts + 1, began + parts * PART) if counts else (1, now)


def total(counts: int) -> int:
    """Return the sum of all counts, which must be at most MOST."""
    return counts % (MOST + 1)  # casting out nines: in base N each digit counts once modulo N - 1
