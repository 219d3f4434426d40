"""The master's side of the state directory: what its workers find there, and who they are."""

from __future__ import annotations

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeVar

from lbg.config.amendments import Amendments
from lbg.config.problems import ConfigError
from lbg.routing.limits_in_force import LimitsInForce
from lbg.state import bucket_file, directory, series_file, trace_file
from lbg.state.bucket_memory import BucketMemory
from lbg.state.cell_file import FILE
from lbg.state.cells import Cells
from lbg.state.directory import Claim, Unusable
from lbg.state.document import Published, decode, decode_amendments, decode_slots, encode
from lbg.state.layout import (
    WORKER_SLOTS,
    Header,
    WorkerField,
    worker_row,
)
from lbg.state.lock import FileLock
from lbg.state.publication import Publication, Unpublished
from lbg.state.series import Series
from lbg.state.state_file import Damaged
from lbg.state.trace_memory import TraceMemory

if TYPE_CHECKING:
    from collections.abc import Collection, Container, MutableMapping

    from lbg.config.schema import Config

log = logging.getLogger("lbg.master")

NO_SLOT: Final = -1  # of a worker that is not even listed
_HANDOVER: Final = "LBG_STATE_HANDOVER"  # at USR2: the descriptor of the lock, and 1 for a fresh directory


class StateDirectory:
    """The state directory of this master. `published` is what workers find that start now."""

    def __init__(self, claim: Claim, config: Config, source: str) -> None:
        """Take over what an earlier master left, if it is sound, and publish `config`.

        Raises Damaged, OSError, NoSlot.
        """
        self._claim = claim
        self._readable = self._shared = True  # by the worker that is forked next
        self._detached = False
        self.path = claim.path
        self.cells = _adopt(claim.path)
        self._buckets = _kept(BucketMemory, claim.path, bucket_file.FILE, "rate limits and bans")
        self.series = _kept(Series, claim.path, series_file.FILE, "metrics")
        self._traces = _kept(TraceMemory, claim.path, trace_file.FILE, "traces")
        self._untraced = False  # a worker, for want of room
        self.taken_slots(())
        self._published: Published | None = None
        self._publish(config, source)

    @property
    def published(self) -> Published:
        """What workers find that start now."""
        assert self._published is not None
        return self._published

    def __repr__(self) -> str:
        return f"<StateDirectory {self.path} {self.cells}>"

    @classmethod
    def start(cls, environ: MutableMapping[str, str], config: Config, source: str) -> StateDirectory:
        """Return the directory that `environ` names, else the first of the usual ones that can be used.

        At USR2 it is that of the old master. Raises Unusable, NoSlot.
        """
        handed_over = _handed_over(environ)
        if handed_over is not None:
            return cls._within(handed_over, config, source)
        configured = environ.get(directory.VARIABLE)
        reasons: list[str] = []
        for choose in directory.choices(configured):
            try:
                state = cls._within(choose(), config, source)
            except (Unusable, OSError) as error:
                reasons.append(explain(error, configured or "the state directory"))
                continue
            log.info("state directory: %s%s", state.path, "".join(f" ({reason})" for reason in reasons))
            state.cells.view[Header.CHECKED] = 0  # not ready before a first round of checks
            return state
        if configured:
            raise Unusable(f"{directory.VARIABLE}: {reasons[0]}")
        raise Unusable(f"there is no place for the state, set {directory.VARIABLE}: {'; '.join(reasons)}")

    @classmethod
    def _within(cls, claim: Claim, config: Config, source: str) -> StateDirectory:
        try:
            return cls(claim, config, source)
        except BaseException as error:
            claim.give_up()
            if isinstance(error, (OSError, Damaged, Unpublished)):
                raise Unusable(explain(error, claim.path)) from error
            raise

    def publish(self, config: Config, source: str) -> None:
        """Give `config` to all workers, those that run and those that start from now on.

        Raises Unusable, Unpublished, ConfigError, OSError, NoSlot, and changes nothing then.
        """
        self._mend()
        self._publish(config, source)

    def _publish(self, config: Config, source: str) -> None:
        publication = Publication(self.path, self.cells)
        self._published = publication.publish(source, partial(self._amended, config), self._published)
        self.series.note_load(loaded=True)
        self._make_room(config)

    def _amended(self, config: Config, amendments: Amendments) -> tuple[Config, Amendments]:
        """Return `config` with what was added and removed at run time: it outlives reloads and restarts."""
        amendments = amendments.settled(config)
        try:
            return amendments.amended(config), amendments
        except ConfigError as error:
            if self._published is not None:
                raise
            log.warning("what was added or removed at run time is forgotten: %s", error)
            return config, Amendments()

    def refresh(self) -> None:
        """See what was published since: workers do so, too."""
        if self.cells.view[Header.GENERATION] == self.published.snapshot.generation:
            return
        try:
            self._published = decode(directory.read(self.path))
        except (OSError, ValueError) as error:
            log.debug("no newer configuration: %s", explain(error, self.path))

    def _make_room(self, config: Config) -> None:
        """Take the disk space that limits need before any worker starts: all workers share them, or none."""
        if not LimitsInForce.of(config.routes).all:
            return
        workers = (config.server.workers or os.cpu_count() or 1) + 1
        slots = min(2 * workers, WORKER_SLOTS)  # at a reload the old ones are still there
        self._buckets.refused = False
        try:
            for slot in range(slots):
                self.cells.reserve(slot)  # whoever has no room for these shares nothing
            self._buckets.reserve(slots - 1)
        except OSError as error:
            self._buckets.refused = True
            reason = explain(error, self.path)
            log.error("each worker limits for itself, there is no room for more: %s", reason)  # noqa: TRY400

    def _mend(self) -> None:
        """Put back what somebody deleted, a cleaner of temporary files perhaps. Raises Unusable, OSError."""
        if not self._claim.lock.in_place:
            claim = directory.claim(self.path)
            claim.fresh = self._claim.fresh
            self._claim.lock.release()
            self._claim = claim
        if not self._detached and not self.cells.is_file(self.path):
            self._detached = True  # workers inherit the mapping
            log.warning("%s is gone: health and counters are in memory only", self.path / FILE)
        try:
            _read_slots(self.path)
        except (Damaged, OSError) as error:
            log.warning("the directory document is written again: %s", explain(error, self.path))
            directory.publish(self.path, encode(self.published))

    def taken_slots(self, children: Container[int]) -> list[int]:
        """Return the slots of live workers, our `children` and another master's; dead ones lose theirs."""
        for slot, pid, _, _ in self.cells.workers():
            if pid == os.getpid():  # a dead worker had the number that the master has now
                self.cells.forget(slot, pid)
        living = self.cells.forget_dead(children)
        for slot in {*range(WORKER_SLOTS)}.difference(living):
            self._buckets.forget(slot)
        return living

    def admit(self, slot: int, taken: Collection[int]) -> int:
        """Make room for a worker about to be forked; return its slot, NO_SLOT when there is none.

        Without room for its counters it shares nothing: its slot is one at the end, that only lists it.
        """
        self._readable = self._shared = False
        try:
            self._mend()
            self._readable = True
            if slot >= WORKER_SLOTS:
                raise Unusable(f"all {WORKER_SLOTS} slots for workers are taken")
            # A page that the disk has no room for would kill the process that touches it.
            self.cells.reserve(slot)
            self.series.reserve(slot)
        except (Unusable, OSError) as error:
            log.error("the next worker counts and checks for itself: %s", explain(error, self.path))  # noqa: TRY400
            return max({*range(WORKER_SLOTS)}.difference(taken), default=NO_SLOT)
        self._shared = True
        self._make_room_for_traces(slot)
        return slot

    def _make_room_for_traces(self, slot: int) -> None:
        try:
            self._traces.reserve(slot)
        except OSError as error:
            if not self._untraced:
                log.error("workers keep no traces, there is no room: %s", explain(error, self.path))  # noqa: TRY400
            self._untraced = True
        else:
            self._untraced = False

    def enter(self, slot: int, role: int, generation: int) -> None:
        """In a new worker: leave the lock to the master, register, tell the application what is shared."""
        self._claim.lock.release()
        for variable in (directory.VARIABLE, directory.SLOT_VARIABLE):
            os.environ.pop(variable, None)
        if self._readable:
            os.environ[directory.VARIABLE] = str(self.path)
            shared = slot != NO_SLOT and self._register(slot, role, generation)
            os.environ[directory.SLOT_VARIABLE] = str(slot) if shared else ""

    def _register(self, slot: int, role: int, generation: int) -> bool:
        """Return whether this worker may count in `slot`."""
        with self.cells.locked(worker_row(slot)):
            # During a USR2 both masters may fork at once, and choose the same slot.
            holder = self.cells.view[worker_row(slot) + WorkerField.PID]
            if holder and self.cells.is_worker(holder):
                log.error("this worker counts and checks for itself: its slot was taken by pid %d", holder)
                return False
            self._buckets.forget(slot)
            note = self.cells.register if self._shared else self.cells.enlist
            note(slot, os.getpid(), role, generation)
        return self._shared

    def forget(self, slot: int, pid: int) -> None:
        """Take a dead worker's gauges out of the sums; its counters stay."""
        if slot != NO_SLOT:
            if self.cells.view[worker_row(slot) + WorkerField.PID] == pid:
                self._buckets.forget(slot)
            self.cells.forget(slot, pid)

    def hand_over(self, environ: MutableMapping[str, str]) -> None:
        """Let the program that this process executes next, with `environ`, hold the directory as well."""
        environ[directory.VARIABLE] = str(self.path)
        environ[_HANDOVER] = f"{self._claim.lock.hand_over()} {int(self._claim.fresh)}"

    def leave(self) -> None:
        """Let go of the directory; the last master removes one that nobody asked to keep."""
        self._claim.give_up()


def _handed_over(environ: MutableMapping[str, str]) -> Claim | None:
    try:
        descriptor, fresh = map(int, environ.pop(_HANDOVER, "").split())
    except ValueError:
        return None
    path = Path(environ.get(directory.VARIABLE, ""))
    lock = FileLock.inherited(path / directory.MASTER_LOCK, descriptor)
    return None if lock is None else Claim(path, lock, fresh=bool(fresh))


def _adopt(path: Path) -> Cells:
    """Return the cells in `path`, new ones when they, or whose slots they are, cannot be trusted."""
    try:
        _read_slots(path)
        return Cells.open(path)
    except (Damaged, OSError) as error:
        if any(os.path.lexists(path / name) for name in (FILE, directory.DOCUMENT)):
            log.warning("health and counters begin anew: %s", explain(error, path))
    (path / directory.DOCUMENT).unlink(missing_ok=True)
    Cells.create(path)
    return Cells.open(path)


class _Kept(Protocol):
    """A file of the state directory, as its class maps and makes it."""

    @classmethod
    def open(cls, directory: Path) -> Self: ...
    @staticmethod
    def create(directory: Path) -> None: ...


_File = TypeVar("_File", bound=_Kept)


def _kept(kind: type[_File], path: Path, name: str, what: str) -> _File:
    """Return the file `name` in `path`, a new one when it cannot be trusted: then `what` begins anew."""
    try:
        return kind.open(path)
    except (Damaged, OSError) as error:
        if os.path.lexists(path / name):
            log.warning("%s begin anew: %s", what, explain(error, path))
    kind.create(path)
    return kind.open(path)


def _read_slots(path: Path) -> None:
    """Raise Damaged, or OSError, when the document in `path` does not tell whose slots are whose."""
    try:
        document = directory.read(path)
        decode_slots(document)
        decode_amendments(document)
    except ValueError as error:
        raise Damaged(f"{path / directory.DOCUMENT} is damaged: {error}") from error


def explain(error: Exception, where: Path | str) -> str:
    """Return `error` as a clause for an operator; an OSError that does not name its file is about `where`."""
    if isinstance(error, OSError):
        return f"{error.filename or where}: {error.strerror or error}"
    return str(error)
