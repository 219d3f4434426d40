"""Where each number lies in the cell file, and which slot an endpoint has."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAGIC: Final = int.from_bytes(b"lbgcells", "big")
VERSION: Final = 1
HEADER: Final = 4  # cells: magic, version, worker slots, endpoint slots
WORKER_SLOTS: Final = 128
ENDPOINT_SLOTS: Final = 2048


class WorkerField(IntEnum):
    """What is known of the worker in a slot; all zero when there is none."""

    PID = 0
    ROLE = 1
    GENERATION = 2


class Field(IntEnum):
    """What one worker counts of one endpoint."""

    REQUESTS = 0  # answered with a whole head
    FAILURES = 1  # attempts that ended without one
    CONNECT_FAILURES = 2  # of those, the ones that never got a connection
    IN_FLIGHT = 3


FIELDS: Final = len(Field)
WORKER_FIELDS: Final = len(WorkerField)
COUNTERS: Final = HEADER + WORKER_SLOTS * WORKER_FIELDS  # index of the first counter cell


class NoSlot(Exception):
    """The cell file has no room for one more endpoint."""


def counters(worker: int, endpoint: int) -> int:
    """Return the index of the first cell that `worker` keeps for `endpoint`."""
    return COUNTERS + (worker * ENDPOINT_SLOTS + endpoint) * FIELDS


def worker_row(worker: int) -> int:
    """Return the index of the first cell that describes `worker`."""
    return HEADER + worker * WORKER_FIELDS


def identity(pool: str, address: str) -> str:
    """Return what an endpoint is known by across reloads."""
    return f"{pool}/{address}"


def assign_slots(previous: Mapping[str, int], wanted: Iterable[str]) -> dict[str, int]:
    """Return `previous` with a slot for every identity in `wanted`; known ones keep theirs.

    Slots of endpoints that are gone stay theirs, so that one that returns finds its counts again.
    Raises NoSlot when none is free.
    """
    slots = dict(previous)
    used = set(slots.values())
    free = (slot for slot in range(ENDPOINT_SLOTS) if slot not in used)
    for name in wanted:
        if name not in slots:
            slot = next(free, None)
            if slot is None:
                raise NoSlot(f"more than {ENDPOINT_SLOTS} endpoints were configured since the start")
            slots[name] = slot
    return slots
