"""Where each trace lies in the trace file: a ring of slots for each kind, for each worker.

The file is: header, one row per worker, then an area per worker with its rings. Only areas whose row says
that they have disk space may be touched.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from lbg.state.layout import CELL, WORKER_SLOTS

MAGIC: Final = int.from_bytes(b"lbgtrace", "big")
VERSION: Final = 1
SLOT: Final = 4096  # bytes


class Ring(IntEnum):
    """Why a request was kept; each has a ring, so that none pushes out the others."""

    FAILED = 0  # we or an endpoint could not serve it
    REFUSED = 1  # the client's own doing: 4xx, a loop, or it left
    SERVED = 2  # slow, or drawn as a sample


SLOTS: Final = (256, 64, 128)  # by Ring


class RowField(IntEnum):
    """What is known of the area of a worker."""

    RESERVED = 0  # 1 once it has disk space
    LEFT_OUT = 1  # requests that were not kept because too many failed in the same way
    WRITTEN = 2  # traces ever written, for each Ring from here on


class SlotField(IntEnum):
    """The first cells of a slot."""

    SEQUENCE = 0  # odd while the slot is written, 0 when it never was
    AT = 1  # when the request came, UNIX ns
    CHECK = 2  # CRC-32 << 32 | bytes of the document


HEAD: Final = len(SlotField) * CELL
LONGEST: Final = SLOT - HEAD
"""Bytes of a document."""

_ROW: Final = RowField.WRITTEN + len(Ring)
_ROWS: Final = 16  # the header has room to grow
_PAGE: Final = 4096
AREAS: Final = -(-(_ROWS + WORKER_SLOTS * _ROW) * CELL // _PAGE) * _PAGE  # bytes
AREA: Final = sum(SLOTS) * SLOT
SIZE: Final = AREAS + WORKER_SLOTS * AREA


def row(worker: int) -> int:
    """Return the index of the first cell that describes the area of `worker`."""
    return _ROWS + worker * _ROW


def area(worker: int) -> int:
    """Return the first byte of the area of `worker`."""
    return AREAS + worker * AREA


def slot(worker: int, ring: Ring, number: int) -> int:
    """Return the first byte of the slot for the trace with this number, counted from 0."""
    return area(worker) + (sum(SLOTS[:ring]) + number % SLOTS[ring]) * SLOT
