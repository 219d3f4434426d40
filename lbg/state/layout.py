"""Where each number lies in the cell file, and which slot an endpoint or a pool has.

The file is: header, one row per worker, one row per endpoint that only the control worker writes,
one text per endpoint, then an area per worker with its rows per endpoint, its rows per pool and
its reports. Only the areas of workers that live, or lived, take memory.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAGIC: Final = int.from_bytes(b"lbgcells", "big")
VERSION: Final = 4
CELL: Final = 8  # bytes
WORKER_SLOTS: Final = 128
ENDPOINT_SLOTS: Final = 2048
POOL_SLOTS: Final = 256
TEXT_CELLS: Final = 16  # 8 bytes each: one of length, the rest UTF-8
REPORTS: Final = 1024  # that a worker may be ahead of the control worker
MAX_WEIGHT: Final = 1000  # as in a configuration
REPORT_CELLS: Final = 3  # a time, `endpoint << 8 | Kind`, and the good responses of the worker so far


class Header(IntEnum):
    """The first cells. The first three identify the file and never change."""

    MAGIC = 0
    VERSION = 1
    BOOT = 2  # a digest of the boot: times of another boot mean nothing
    WORKERS = 3  # the highest worker slot ever used, plus one
    GENERATION = 4  # of the directory document
    EPOCH = 5  # raised after every change of an endpoint's row
    HEARTBEAT = 6  # ns, written by the control worker all the time
    CHECKED = 7  # the generation whose first round of checks is over


class WorkerField(IntEnum):
    """What is known of the worker in a slot; PID is zero when there is none."""

    PID = 0
    ROLE = 1
    GENERATION = 2
    REPORTED = 3  # reports ever written, so the next one goes to this number modulo REPORTS


class Field(IntEnum):
    """What one worker counts of one endpoint."""

    RESPONSES_2XX = 0  # by class of the status; 101 counts here
    RESPONSES_3XX = 1
    RESPONSES_4XX = 2
    RESPONSES_5XX = 3
    FAILURES = 4  # attempts that ended without a whole response
    CONNECT_FAILURES = 5  # of those, the ones that never got a connection
    RESCUES = 6  # requests taken away because the endpoint went down while they waited
    IN_FLIGHT = 7
    AWAITING = 8  # of these, the ones without a response head; written ten times a second
    CUTS = 9  # good responses whose body the endpoint cut short; they are failures, too


GOOD: Final = (Field.RESPONSES_2XX, Field.RESPONSES_3XX, Field.RESPONSES_4XX)
RESPONSES: Final = (*GOOD, Field.RESPONSES_5XX)


class PoolField(IntEnum):
    """What one worker counts of one pool."""

    REQUESTS = 0
    RETRIES = 1
    RETRIES_DENIED = 2  # by the budget
    WAITING = 3  # in the queue now
    QUEUED = 4  # ever
    QUEUE_FULL = 5
    QUEUE_TIMEOUTS = 6
    NO_HEALTHY = 7  # requests answered 503, or sent by fail_open
    OLDEST = 8  # since when the first one has been waiting, ns; 0 when nobody is


class HealthField(IntEnum):
    """What the control worker says of one endpoint. Times are CLOCK_MONOTONIC nanoseconds, 0 is never."""

    HEALTH = 0  # a Health
    COUNT = 1  # the counter of active checks
    SINCE = 2  # when HEALTH last changed
    CHECKED = 3  # when the last check ended
    CHECK_TOOK = 4  # ns
    CHECKS_PASSED = 5
    CHECKS_FAILED = 6
    FAILED = 7  # when a request last failed
    EJECTION = 8  # an Ejection
    EJECTED_UNTIL = 9
    EJECTIONS = 10  # the factor of the next ejection's length, less one
    EJECTED_TOTAL = 11
    EJECTED_FOR = 12  # a Cause
    EJECTED_SINCE = 13
    RAMP = 14  # when slow start began; 0 when it is not under way
    FORGIVEN = 15  # when EJECTIONS last fell
    ADMIN = 16  # an Admin
    ADMIN_SINCE = 17  # when ADMIN last changed
    WEIGHT = 18  # the weight set at run time; 0 is as configured
    EJECTED_BY_CONNECT_FAILURES = 19  # EJECTED_TOTAL by Cause, in its order
    EJECTED_BY_SERVER_ERRORS = 20
    EJECTED_BY_SILENCE = 21
    EJECTED_BY_TRIAL = 22


class Health(IntEnum):
    """What active checks say; UNKNOWN before the first one, and where there are none."""

    UNKNOWN = 0
    UP = 1
    DOWN = 2


class Ejection(IntEnum):
    """What passive detection says; on TRIAL one request at a time may try the endpoint."""

    NONE = 0
    EJECTED = 1
    TRIAL = 2


class Admin(IntEnum):
    """What an operator says of one endpoint: DRAIN takes no new clients, MAINT no requests at all."""

    READY = 0
    DRAIN = 1
    MAINT = 2


class Cause(IntEnum):
    """Why an endpoint was ejected."""

    NONE = 0
    CONNECT_FAILURES = 1
    SERVER_ERRORS = 2
    SILENCE = 3  # a check timed out and no request was answered meanwhile
    TRIAL = 4  # the trial request failed


EJECTED_BY: Final = {
    Cause.CONNECT_FAILURES: HealthField.EJECTED_BY_CONNECT_FAILURES,
    Cause.SERVER_ERRORS: HealthField.EJECTED_BY_SERVER_ERRORS,
    Cause.SILENCE: HealthField.EJECTED_BY_SILENCE,
    Cause.TRIAL: HealthField.EJECTED_BY_TRIAL,
}


class Kind(IntEnum):
    """What a worker reports of a request."""

    CONNECT_FAILURE = 1  # no connection, or closed before a response
    SERVER_ERROR = 2  # a 5xx, an invalid response or none in time
    TRIAL_PASSED = 3
    TRIAL_FAILED = 4


FIELDS: Final = len(Field)
POOL_FIELDS: Final = len(PoolField)
WORKER_FIELDS: Final = len(WorkerField)
HEALTH_FIELDS: Final = len(HealthField)

_WORKER_ROWS: Final = 16  # the header has room to grow
_HEALTH_ROWS: Final = _WORKER_ROWS + WORKER_SLOTS * WORKER_FIELDS
_TEXTS: Final = _HEALTH_ROWS + ENDPOINT_SLOTS * HEALTH_FIELDS
_PAGE: Final = 512  # cells; an area begins on a page of its own
AREAS: Final = -(-(_TEXTS + ENDPOINT_SLOTS * TEXT_CELLS) // _PAGE) * _PAGE
_POOL_ROWS: Final = ENDPOINT_SLOTS * FIELDS
_REPORTS: Final = _POOL_ROWS + POOL_SLOTS * POOL_FIELDS
AREA: Final = -(-(_REPORTS + REPORTS * REPORT_CELLS) // _PAGE) * _PAGE
CELLS: Final = AREAS + WORKER_SLOTS * AREA


class NoSlot(Exception):
    """The cell file has no room for one more endpoint or pool."""


def area(worker: int) -> int:
    """Return the index of the first cell that only `worker` writes, but for its row."""
    return AREAS + worker * AREA


def counters(worker: int, endpoint: int) -> int:
    """Return the index of the first cell that `worker` keeps for `endpoint`."""
    return AREAS + worker * AREA + endpoint * FIELDS


def pool_row(worker: int, pool: int) -> int:
    """Return the index of the first cell that `worker` keeps for `pool`."""
    return AREAS + worker * AREA + _POOL_ROWS + pool * POOL_FIELDS


def reports(worker: int) -> int:
    """Return the index of the first cell of the first report of `worker`."""
    return AREAS + worker * AREA + _REPORTS


def worker_row(worker: int) -> int:
    """Return the index of the first cell that describes `worker`."""
    return _WORKER_ROWS + worker * WORKER_FIELDS


def health_row(endpoint: int) -> int:
    """Return the index of the first cell that describes `endpoint`."""
    return _HEALTH_ROWS + endpoint * HEALTH_FIELDS


def text_at(endpoint: int) -> int:
    """Return the index of the first cell of the text of `endpoint`."""
    return _TEXTS + endpoint * TEXT_CELLS


def identity(pool: str, address: str) -> str:
    """Return what an endpoint is known by across reloads."""
    return f"{pool}/{address}"


def assign_slots(previous: Mapping[str, int], wanted: Iterable[str], limit: int) -> dict[str, int]:
    """Return a slot below `limit` for every name in `wanted`; names in `previous` keep theirs.

    Slots of names that are gone stay theirs, so that one that returns finds its state again, until
    there is no other slot left; then the one that is gone for longest loses its slot. The order of the
    result tells which that is: those gone for longest come first, those wanted last.
    Raises NoSlot when more than `limit` are wanted.
    """
    names = dict.fromkeys(wanted)
    if len(names) > limit:
        raise NoSlot(f"{len(names)} are configured and {limit} is the most there can be")
    gone = {name: slot for name, slot in previous.items() if name not in names}
    known = {name: previous[name] for name in names if name in previous}
    used = {*gone.values(), *known.values()}
    free = (slot for slot in range(limit) if slot not in used)
    for name in names:
        if name not in known:
            slot = next(free, None)
            known[name] = gone.pop(next(iter(gone))) if slot is None else slot
    return gone | known
