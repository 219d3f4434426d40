"""Where each number lies in the bucket file.

The file is: header, one row per limit, the sets of the rate limits, the sets of the concurrency limits,
then an area per worker with what it counts of each limit and what it holds of each key. Keys are
known by a digest of (limit, key), which says the set; each set has places for eight keys, so what
is read and written for a request lies together, under one lock.

65,536 places for rates take 11 MB. A key needs its place for as long as its requests are ahead of the
rate, mostly a second or less, so that many clients can be active at the same moment.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from lbg.state.layout import CELL, WORKER_SLOTS

MAGIC: Final = int.from_bytes(b"lbgbucks", "big")
VERSION: Final = 2
DIGEST: Final = 16  # bytes
SECRET: Final = 32  # bytes
WAYS: Final = 8  # places in a set
SETS: Final = 8192  # of rate limits
HOLD_SETS: Final = 2048  # of concurrency limits
HOLD_PLACES: Final = HOLD_SETS * WAYS
LIMITS: Final = 1024


class Header(IntEnum):
    """The first cells. The first three identify the file and never change."""

    MAGIC = 0
    VERSION = 1
    BOOT = 2  # a digest of the boot: times of another boot mean nothing
    WORKERS = 3  # the highest worker slot ever used, plus one
    RESERVED = 4  # whether the sets have their disk space
    SECRET = 8  # of the digests, so that nobody can choose keys that share a set


class LimitField(IntEnum):
    """What is known of one limit. Its digest is zero when there is none in the row."""

    DIGEST = 0
    SEEN = 2  # when a worker last began to apply it, CLOCK_MONOTONIC ns


class Kind(IntEnum):
    """What is limited; names of different kinds have nothing to do with each other."""

    RATE = 0
    CONCURRENCY = 1


class Part(IntEnum):
    """Where the numbers of a set begin; each is there for each way. Times are CLOCK_MONOTONIC ns."""

    DIGESTS = 0  # zero when the place is free
    TATS = 16
    SEEN = 24  # when the key last came
    HELD = 32  # until when its row means something
    ROWS = 40


class RowField(IntEnum):
    """What is kept of a key that was rejected in the last minute, or banned in the last hour."""

    BANNED_UNTIL = 0
    BANNED_SINCE = 1
    BANS = 2  # in a row
    LIMIT = 3  # the first half of the limit's digest
    PART_BEGAN = 4  # the newest part of COUNTS
    COUNTS = 5  # rejections, as lbg.state.last_minute counts
    TEXT = 8  # the key, for people: one byte of length, the rest UTF-8


class Count(IntEnum):
    """What one worker counts of one limit."""

    PASSED = 0
    REJECTED = 1
    BANNED = 2  # rejections of those who are banned
    BANS = 3
    WOULD_REJECT = 4  # in a dry run
    EVICTIONS = 5  # keys that were forgotten before their time
    UNCOUNTED = 6  # requests that passed because all places of their set had others in flight


ROW: Final = 16  # cells
LIMIT_ROW: Final = 4
COUNTS: Final = 8
SET: Final = Part.ROWS + WAYS * ROW
HOLD_SET: Final = WAYS * DIGEST // CELL
ROW_TEXT: Final = (ROW - RowField.TEXT) * CELL - 1  # bytes

_PAGE: Final = 512  # cells
_LIMIT_ROWS: Final = 16
_SETS: Final = -(-(_LIMIT_ROWS + LIMITS * LIMIT_ROW) // _PAGE) * _PAGE
_HOLD_SETS: Final = _SETS + SETS * SET
AREAS: Final = -(-(_HOLD_SETS + HOLD_SETS * HOLD_SET) // _PAGE) * _PAGE
_HOLDS: Final = LIMITS * COUNTS
AREA: Final = _HOLDS + HOLD_PLACES // 2  # half a cell for each
CELLS: Final = AREAS + WORKER_SLOTS * AREA


def limit_row(slot: int) -> int:
    """Return the index of the first cell that describes a limit."""
    return _LIMIT_ROWS + slot * LIMIT_ROW


def rate_set(number: int) -> int:
    """Return the index of the first cell of a set of rate limits."""
    return _SETS + number * SET


def set_of(digest: bytes) -> int:
    """Return the index of the first cell of the set that a key is in, by its digest or how that begins."""
    return _SETS + (digest[0] << 8 | digest[1]) % SETS * SET


def hold_set(number: int) -> int:
    """Return the index of the first cell of a set of concurrency limits."""
    return _HOLD_SETS + number * HOLD_SET


def area(worker: int) -> int:
    """Return the index of the first cell that only `worker` writes."""
    return AREAS + worker * AREA


def counts(worker: int, limit: int) -> int:
    """Return the index of the first cell that `worker` counts a limit in."""
    return AREAS + worker * AREA + limit * COUNTS


def holds(worker: int) -> int:
    """Return the index of the first half cell that tells what `worker` holds."""
    return 2 * (AREAS + worker * AREA + _HOLDS)
