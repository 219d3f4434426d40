"""The control worker's watch over all endpoints: the one writer of what everybody knows of them.

It is ordinary threaded Python. In the control worker gevent has made greenlets of the threads; in a
process that nobody patched they are threads, and the rest is the same.
"""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final

from lbg.health.passive import PassiveDetection
from lbg.health.probe import ProbeResult
from lbg.health.transitions import Transitions
from lbg.health.watched import UsableSlots, Watched, WatchedPool
from lbg.state.layout import Admin, Cause, Ejection, Header, Health, HealthField, Kind, identity
from lbg.state.reports import ReportReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.pools import EndpointConfig, PoolConfig
    from lbg.health.events import EventLog
    from lbg.health.probe import Probe
    from lbg.state.cells import Cells
    from lbg.state.document import Published
    from lbg.state.lock import FileLock
    from lbg.state.reports import Report

    ProbeMaker = Callable[[EndpointConfig, PoolConfig], Probe | None]

log = logging.getLogger("lbg.health")

_TURN: Final = 0.05  # seconds in which a report is heard; meanwhile workers suspect by themselves
_RETRY_LOCK: Final = 0.1
_AFTER_FAILURE: Final = 1.0  # seconds, so that a turn that always fails does not fill the log
_STOPPED: Final = 1.0  # seconds between two turns, after which this process was not running
_CENSUS: Final = 10.0  # seconds between two
_COMPLAINTS: Final = 60.0  # seconds between two
_PARALLEL: Final = 500  # checks at once: 1,000 endpoints that all hang for 2 s are through in 4
_SECOND: Final = 1_000_000_000
_TRIALS: Final = frozenset({Kind.TRIAL_PASSED, Kind.TRIAL_FAILED})


class NotInCharge(Exception):
    """Another control worker writes the rows."""


class Monitor:
    """Checks endpoints, hears the workers' reports, writes the rows and tells of every flip.

    With a `lock` it waits for that first: another control worker may still be writing.
    """

    def __init__(
        self,
        published: Published,
        cells: Cells,
        events: EventLog,
        make_probe: ProbeMaker,
        lock: FileLock | None,
    ) -> None:
        self._cells = cells
        self._events = events
        self._transitions = Transitions(cells, events)
        self._lock = lock
        self._published = published
        self._make_probe = make_probe
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._next_complaint = 0.0
        self._next_census = 0.0
        self._last_turn = monotonic()
        self._distrusted = 0.0
        self._begin()

    def _begin(self) -> None:
        self._results: SimpleQueue[tuple[Watched, ProbeResult]] = SimpleQueue()
        self._running = 0
        self._deciding = threading.Lock()
        self._in_charge = False
        self._unchecked: set[int] = set()
        self._passive: list[PassiveDetection] = []
        self._watched: dict[int, Watched] = {}
        self._watch()

    def _watch(self) -> None:
        """Watch the endpoints of the configuration; go on with those that were watched just so."""
        before, self._watched, self._passive = self._watched, {}, []
        self._usable = UsableSlots(self._watched)
        published = self._published
        for name, pool in published.snapshot.config.pools.items():
            slots = [published.slots[identity(name, one.address.text)] for one in pool.endpoints]
            common = self._common(name, pool, slots, before)
            self._passive.append(common.passive)
            for endpoint, slot in zip(pool.endpoints, slots, strict=True):
                watched = before.get(slot)
                if watched is None or not watched.is_like(common, endpoint):
                    probe = self._make_probe(endpoint, pool)
                    watched = Watched(common, endpoint, probe, self._cells, slot)
                watched.pool, watched.weight = common, endpoint.weight
                self._watched[slot] = watched

    def _common(
        self, name: str, pool: PoolConfig, slots: list[int], before: dict[int, Watched]
    ) -> WatchedPool:
        """Return what the endpoints of a pool have in common: what it was, as far as that fits."""
        known = before.get(slots[0])
        passive = None
        if known is not None and known.pool.is_of(name, pool.outlier, slots):
            passive = known.pool.passive
        return WatchedPool(name, pool, passive or PassiveDetection(pool.outlier, slots, self._cells))

    def adopt(self, published: Published) -> None:
        """Watch by another configuration from now on; what is the same in both goes on."""
        with self._deciding:
            before = self._published
            if published.snapshot.generation == before.snapshot.generation:
                return
            self._published = published
            watched, known = self._watched, set(self._passive)
            self._watch()
            if not self._in_charge:
                return
            self._unchecked &= set(self._watched)
            self._adopt(
                one
                for slot, one in self._watched.items()
                if watched.get(slot) is not one or one.pool.passive not in known
            )
            self._tell_of_changes(before, watched)

    def _tell_of_changes(self, before: Published, watched: dict[int, Watched]) -> None:
        pools = before.snapshot.config.pools
        for slot, one in self._watched.items():
            if not (slot in watched and watched[slot].is_at(one)):
                # It gets its share slowly where others are warm, but nobody waits for a pool that is new.
                self._transitions.added(one, ramp=one.pool.name in pools)
        for slot, one in watched.items():
            if not (slot in self._watched and self._watched[slot].is_at(one)):
                self._transitions.removed(one)

    def __repr__(self) -> str:
        return f"<Monitor of {len(self._watched)} endpoints, {self._running} checks under way>"

    def start(self) -> None:
        """Watch from now on, in a thread of its own. Called once more in a process forked since."""
        if self._thread is not None:
            self._begin()  # the checks that were under way stay behind in the parent
        self._thread = threading.Thread(target=self._run, name="lbg-health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write nothing more, let another control worker take over, and end those who follow events."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        if self._lock is not None:
            self._lock.release()
        self._events.close()

    @property
    def in_charge(self) -> bool:
        """Whether this process writes the rows."""
        return self._in_charge and not self._stopping.is_set()

    def set_admin(self, slot: int, admin: Admin) -> None:
        """Put the endpoint in `slot` into another state, as an operator wants it. Raises NotInCharge."""
        with self._deciding:
            watched = self._commanded(slot)
            if watched.row.admin is admin:
                return
            self._transitions.to_admin(watched, admin)
            if admin is Admin.MAINT and watched.pool.passive.outlier.check_passed(slot):
                # What was worked on is judged anew, and meanwhile others may be ejected in its place.
                self._transitions.restore(watched, "maintenance begins")

    def set_weight(self, slot: int, weight: int) -> None:
        """Give the endpoint in `slot` another weight than the configured one. Raises NotInCharge."""
        with self._deciding:
            watched = self._commanded(slot)
            if watched.weight_in_force != weight:
                self._transitions.to_weight(watched, weight)

    def _commanded(self, slot: int) -> Watched:
        if not self.in_charge:
            raise NotInCharge
        return self._watched[slot]

    def _run(self) -> None:
        if not self._may_write():
            return
        reports: ReportReader | None = None
        while not self._stopping.is_set():
            try:
                reports = reports or self._take_over()
                self._turn(reports)
            except Exception:
                # A bug here must not end the watch over all endpoints for the sake of one.
                log.exception("a turn of the health checks failed")
                self._stopping.wait(_AFTER_FAILURE)

    def _may_write(self) -> bool:
        """Wait for the lock; return False when it is time to stop first."""
        complained = False
        while not self._stopping.is_set():
            try:
                if self._lock is None or self._lock.try_acquire():
                    return True
            except OSError as error:
                if not complained:
                    log.error("health checks wait for their lock: %s", error)  # noqa: TRY400
                complained = True
            self._stopping.wait(_RETRY_LOCK)
        return False

    def _take_over(self) -> ReportReader:
        self._events.open_for_writing()
        self._adopt(self._watched.values())
        self._in_charge = True
        return ReportReader(self._cells)

    def _adopt(self, newly_watched: Iterable[Watched]) -> None:
        """Go on from what the rows say."""
        now = monotonic_ns()
        for watched in newly_watched:
            watched.adopt(now)
            row = watched.row
            watched.pool.passive.outlier.restore(
                watched.slot,
                row.ejection,
                row[HealthField.EJECTED_UNTIL] / _SECOND,
                row[HealthField.EJECTIONS],
                Cause(row[HealthField.EJECTED_FOR]),
                row[HealthField.EJECTED_SINCE] / _SECOND,
            )
            if watched.pool.passive.outlier.state(watched.slot).ejection is not row.ejection:
                self._transitions.restore(watched, "the configuration lets it stay in service")
            if watched.awaited:
                self._unchecked.add(watched.slot)
        self._cells.changed()
        self._note_round()

    def _turn(self, reports: ReportReader) -> None:
        results = self._wait_for_results()
        with self._deciding:
            self._decide(reports, results)

    def _decide(self, reports: ReportReader, results: list[tuple[Watched, ProbeResult]]) -> None:
        now = monotonic()
        if now - self._last_turn > _STOPPED:  # what was under way meanwhile may well have been answered
            self._distrusted = now
        self._last_turn = now
        for watched, result in results:
            self._conclude(watched, result)
        self._cells.view[Header.HEARTBEAT] = monotonic_ns()
        taken = reports.take()
        for passive in self._passive:
            passive.look()  # after the reports were taken: no success before them is missed
        for report in taken:
            reported = self._watched.get(report.endpoint)
            if reported is not None:
                self._heed(reported, report, now)
        for passive in self._passive:
            for slot in passive.outlier.tick(now):
                self._transitions.begin_trial(self._watched[slot])
        if now >= self._next_census:  # a master forgets its own workers, unless it was killed itself
            self._next_census = now + _CENSUS
            self._cells.forget_dead()
        self._begin_checks(now)

    def _wait_for_results(self) -> list[tuple[Watched, ProbeResult]]:
        """Return the results of checks that are there, after a moment if there are none."""
        found = []
        try:
            found.append(self._results.get(timeout=_TURN))
            while True:
                found.append(self._results.get_nowait())
        except Empty:
            return found

    def _begin_checks(self, now: float) -> None:
        due = [one for one in self._watched.values() if one.due <= now and not one.running and one.probe]
        room = _PARALLEL - self._running
        if len(due) > room:  # the longest overdue first, or those that hang would take all the turns
            due = sorted(due, key=lambda one: one.due)[:room]
        for watched in due:
            self._check(watched, now)

    def _check(self, watched: Watched, now: float) -> None:
        watched.begin(now)
        self._running += 1
        thread = threading.Thread(target=self._probe, args=(watched,), name="lbg-check", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread left
            self._results.put((watched, ProbeResult.unmade(str(error))))

    def _probe(self, watched: Watched) -> None:
        assert watched.probe is not None
        try:
            result = watched.probe.check(watched.pool.config.health.timeout)
        except Exception as error:
            log.exception("the check of %s could not be made", watched.url)
            result = ProbeResult.unmade(str(error))
        self._results.put((watched, result))

    def _conclude(self, watched: Watched, result: ProbeResult) -> None:
        """Take in the result of a check."""
        self._running -= 1
        if self._watched.get(watched.slot) is not watched:
            return  # another configuration checks it otherwise, or not at all
        row, now = watched.row, monotonic()
        if not result.made:
            self._complain(result.text, now)
            self._note_checked(watched)  # nothing more will be known of it by waiting
        if not result.made or (watched.began < self._distrusted and not result.passed):
            watched.postpone(now)
            return
        before = row.health
        watched.end(result, now)
        self._cells.set_text(watched.slot, result.text)
        health = Health.UP if watched.counter.is_up(row[HealthField.COUNT]) else Health.DOWN
        if health is not before:
            self._transitions.to_health(watched, health, result.text)
        outlier = watched.pool.passive.outlier
        if result.passed and outlier.check_passed(watched.slot):
            self._transitions.restore(watched, f"a check passed: {result.text}")
        # A hung endpoint still accepts connections: that no request is answered either tells it from a
        # health path that is slow.
        used = health is Health.UP and row.admin is not Admin.MAINT
        hung = used and result.timed_out and watched.silent
        if hung and outlier.silent(watched.slot, now, self._usable):
            self._transitions.eject(watched, Cause.SILENCE)
        self._note_checked(watched)

    def _complain(self, text: str, now: float) -> None:
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINTS
            log.error("health stays as it is: %s", text)

    def _heed(self, watched: Watched, report: Report, now: float) -> None:
        """Take in the report of a worker."""
        passive, slot, kind = watched.pool.passive, watched.slot, report.kind
        if watched.row.admin is Admin.MAINT:
            return  # it gets no request: only what was in flight tells of it
        if kind in _TRIALS:
            passed = kind is Kind.TRIAL_PASSED
            if passive.outlier.state(slot).ejection is not Ejection.TRIAL:
                return
            cause = passive.outlier.trial(slot, passed, now, self._usable)
            if cause is None:
                self._transitions.restore(
                    watched, "the trial request was answered" if passed else "no other is left"
                )
        else:
            watched.row[HealthField.FAILED] = monotonic_ns()
            cause = passive.failed(report, now, self._usable)
        if kind is Kind.CONNECT_FAILURE:
            watched.hasten(now)
        if cause is not None:
            self._transitions.eject(watched, cause)

    def _note_checked(self, watched: Watched) -> None:
        """Tell all workers when every endpoint was checked once."""
        if watched.slot in self._unchecked:
            self._unchecked.discard(watched.slot)
            self._note_round()

    def _note_round(self) -> None:
        if not self._unchecked:
            self._cells.view[Header.CHECKED] = self._published.snapshot.generation
