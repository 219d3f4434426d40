"""Where each number lies in the series file: numbers that have labels, which nobody can count beforehand.

The file is: header, one row per worker, then a region per worker. A region begins with cells for what
finds no room; after them come entries, which are only ever added: a head, the text of the labels,
the values. What an entry is about never changes, so what was found once stays where it is.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

from lbg.state.layout import CELL, WORKER_SLOTS

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC: Final = int.from_bytes(b"lbgserie", "big")
VERSION: Final = 2
REGION: Final = 1 << 17  # cells, 1 MB: room for every endpoint that can be configured
SPARE: Final = 64  # cells where values go that find no room: the most that an entry can have
MAX_TEXT: Final = 4096  # bytes


class Header(IntEnum):
    """The first cells. The first three identify the file and never change."""

    MAGIC = 0
    VERSION = 1
    BOOT = 2
    LOADED = 3  # whether the master could read the configuration the last time: 1 or 0
    LOADED_AT = 4  # when it last could, UNIX nanoseconds


class RegionField(IntEnum):
    """What is known of the region of a worker."""

    USED = 0  # its cells that hold something; written after what they hold
    LOST = 1  # values that found no room


ROW: Final = len(RegionField)
_ROWS: Final = 16  # the header has room to grow
_PAGE: Final = 512  # cells; a region begins on a page of its own
REGIONS: Final = -(-(_ROWS + WORKER_SLOTS * ROW) // _PAGE) * _PAGE
CELLS: Final = REGIONS + WORKER_SLOTS * REGION

_SIZES: Final = 16  # bits of each number in the head of an entry
_MASK: Final = (1 << _SIZES) - 1


def row(worker: int) -> int:
    """Return the index of the first cell that describes the region of `worker`."""
    return _ROWS + worker * ROW


def region(worker: int) -> int:
    """Return the index of the first cell of the region of `worker`."""
    return REGIONS + worker * REGION


def head_of(kind: int, text: int, values: int) -> int:
    """Return the head of an entry of this kind, with so many bytes of text and so many values."""
    return kind << (2 * _SIZES) | text << _SIZES | values


def parts_of(head: int) -> tuple[int, int, int]:
    """Return kind, bytes of text and number of values. Raises ValueError for what is no head."""
    kind, text, values = head >> (2 * _SIZES), head >> _SIZES & _MASK, head & _MASK
    if not (0 < values <= SPARE and text <= MAX_TEXT and kind <= _MASK):
        raise ValueError("a damaged entry")
    return kind, text, values


def text_cells(size: int) -> int:
    """Return how many cells `size` bytes of text take."""
    return -(-size // CELL)


def entries(view: memoryview, first: int, start: int, used: int) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield kind, index of the text, its bytes, index of the values, their number, of each entry of a region.

    `first` is the first cell of the region, `start` and `used` are counted from there. Raises ValueError
    when what is there is none.
    """
    at = start
    while at < used:
        kind, text, values = parts_of(view[first + at])
        value = at + 1 + text_cells(text)
        if value + values > used:
            raise ValueError("a damaged entry")
        yield kind, first + at + 1, text, first + value, values
        at = value + values
