"""One address of a pool: what is known of it in this worker, and its cells."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

from lbg.net.deadline import NEVER
from lbg.net.stream import Stream
from lbg.state.layout import (
    AREA,
    RESPONSES,
    Admin,
    Cause,
    Ejection,
    Field,
    Header,
    Health,
    HealthField,
    Kind,
    counters,
    health_row,
)
from lbg.state.reports import ReportWriter
from lbg.upstream.dialer import Dialer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lbg.balancing.latency import Latency
    from lbg.config.pools import ConnectionsConfig, EndpointConfig
    from lbg.state.cells import Cells
    from lbg.upstream.idle import IdleConnections
    from lbg.upstream.lease import Lease

# Which cell counts a response, by the first digit of its status.
_BY_CLASS: Final = tuple(
    int(field)
    for field in (
        Field.RESPONSES_2XX,
        Field.RESPONSES_2XX,
        Field.RESPONSES_2XX,
        Field.RESPONSES_3XX,
        Field.RESPONSES_4XX,
        *[Field.RESPONSES_5XX] * 5,
    )
)
_WORKERS: Final = int(Header.WORKERS)
_FAILURES: Final = int(Field.FAILURES)
_CONNECT_FAILURES: Final = int(Field.CONNECT_FAILURES)
_RESCUES: Final = int(Field.RESCUES)
_CUTS: Final = int(Field.CUTS)
_IN_FLIGHT: Final = int(Field.IN_FLIGHT)
_AWAITING: Final = int(Field.AWAITING)
_HEALTH: Final = int(HealthField.HEALTH)
_EJECTION: Final = int(HealthField.EJECTION)
_RAMP: Final = int(HealthField.RAMP)
_FAILED: Final = int(HealthField.FAILED)
_EJECTED_UNTIL: Final = int(HealthField.EJECTED_UNTIL)
_EJECTED_FOR: Final = int(HealthField.EJECTED_FOR)
_ADMIN: Final = int(HealthField.ADMIN)
_WEIGHT: Final = int(HealthField.WEIGHT)
_READY: Final = int(Admin.READY)
_DOWN: Final = int(Health.DOWN)
_EJECTED: Final = int(Ejection.EJECTED)
_SILENCE: Final = int(Cause.SILENCE)
_ENDED: Final = (*RESPONSES, Field.FAILURES)
_SECOND: Final = 1e9  # ns


class Reporter(Protocol):
    """Whoever is told of failed requests."""

    def report(self, endpoint: int, kind: Kind) -> None: ...


class Endpoint:
    """An address with a weight, its idle connections, and its cells.

    `slot` is its row in the cell file, `worker` the slot of this process. `weight` is the configured one,
    `effective_weight` the one in force, and less during slow start. `picked` orders the endpoints by when
    this worker last took them, `waiting` are the leases that await the first byte of a response,
    `suspected_until` is set when this worker could not connect (CLOCK_MONOTONIC seconds), `ejected_here`
    is set when this worker ejected it by itself because no control worker does, `latency` is there when
    the policy of its pool measures.
    """

    __slots__ = (
        "_base",
        "_cells",
        "_dialer",
        "_reporter",
        "_row",
        "_total",
        "_trial_ends",
        "_view",
        "address",
        "backup",
        "effective_weight",
        "ejected_here",
        "host_line",
        "idle",
        "latency",
        "max_requests",
        "name",
        "picked",
        "slot",
        "suspected_until",
        "waiting",
        "weight",
    )

    def __init__(
        self,
        config: EndpointConfig,
        idle: IdleConnections,
        cells: Cells,
        *,
        slot: int,
        worker: int,
        reporter: Reporter | None = None,
    ) -> None:
        address = config.address
        self.address = address
        self.name = address.text
        self.weight = config.weight
        self.effective_weight: float = config.weight
        self.max_requests = config.max_requests
        self.backup = config.backup
        self.idle = idle
        self.host_line = b"Host: %b\r\n" % address.authority.encode("ascii")
        self.slot = slot
        self.picked = 0
        self.waiting: set[Lease] = set()
        self.ejected_here = False
        self.latency: Latency | None = None
        self.suspected_until = 0.0
        self._cells = cells
        self._view = cells.view
        self._base = counters(worker, slot)
        self._total = counters(0, slot) + _IN_FLIGHT  # of the first worker; the others follow
        self._row = health_row(slot)
        self._reporter = reporter or ReportWriter(cells, worker)
        self._trial_ends = 0.0
        self._dialer = Dialer(address)

    def __repr__(self) -> str:
        return f"<Endpoint {self.name} weight={self.weight}>"

    def adopt(self, config: EndpointConfig, connections: ConnectionsConfig) -> None:
        """Go by another configuration of the same address from now on, with what is there."""
        self.weight = config.weight
        self.max_requests = config.max_requests
        self.backup = config.backup
        self.idle.adopt(connections)

    def retire(self) -> None:
        """Let go of what it has: it is in no pool any more. Requests that are there go on."""
        self.idle.end()
        self.end_trial()

    @property
    def down(self) -> bool:
        """Whether active checks say so."""
        return self._view[self._row + _HEALTH] == _DOWN

    @property
    def ejection(self) -> Ejection:
        """What passive detection says."""
        return Ejection.EJECTED if self.ejected_here else Ejection(self._view[self._row + _EJECTION])

    @property
    def admin(self) -> Admin:
        """What an operator says."""
        return Admin(self._view[self._row + _ADMIN])

    @property
    def held(self) -> bool:
        """Whether an operator keeps new clients away from it."""
        return self._view[self._row + _ADMIN] != _READY

    @property
    def weight_in_force(self) -> int:
        """The weight set at run time, else the configured one."""
        return self._view[self._row + _WEIGHT] or self.weight

    @property
    def silent(self) -> bool:
        """Whether checks say that it answers nothing, so that waiting for an answer is in vain."""
        view, row = self._view, self._row
        return view[row + _HEALTH] == _DOWN or (
            view[row + _EJECTION] == _EJECTED and view[row + _EJECTED_FOR] == _SILENCE
        )

    @property
    def ramp_began(self) -> float:
        """When slow start began, CLOCK_MONOTONIC seconds; 0 when there is none."""
        return self._view[self._row + _RAMP] / _SECOND

    @property
    def ejected_until(self) -> float:
        """When its last ejection ended or ends, CLOCK_MONOTONIC seconds."""
        return self._view[self._row + _EJECTED_UNTIL] / _SECOND

    @property
    def last_failed(self) -> int:
        """When a request last failed, CLOCK_MONOTONIC ns; 0 is never."""
        return self._view[self._row + _FAILED]

    def in_flight(self) -> int:
        """Return the requests in flight, over all workers."""
        view, first = self._view, self._total
        workers = view[_WORKERS]
        return view[first] if workers == 1 else sum(view[first : first + workers * AREA : AREA])

    def note_waiting(self) -> None:
        """Let the control worker know how many requests of this worker await a response."""
        self._view[self._base + _AWAITING] = len(self.waiting)

    def completed(self) -> int:
        """Return the requests that are over, over all workers."""
        ended = sum(self._cells.total(self.slot, field) for field in _ENDED)
        return ended - self._cells.total(self.slot, Field.CUTS)  # those are counted twice

    def has_room(self) -> bool:
        """Return whether `max_requests` lets another request in. Exact only while `reserving`."""
        return not self.max_requests or self.in_flight() < self.max_requests

    def reserving(self) -> AbstractContextManager[None]:
        """Return what keeps other workers from taking the room that `has_room` saw."""
        return self._cells.locked(self._row)

    def begin_trial(self) -> bool:
        """Take the one trial there is at a time, over all workers; `end_trial` gives it back."""
        if self._trial_ends or not self._cells.try_lock(self._row + _EJECTION):
            return False
        self._trial_ends = NEVER
        return True

    def judge_trial(self, *, passed: bool) -> None:
        """Report how the trial went; it stays taken until that shows, a second at most."""
        self._trial_ends = monotonic() + 1.0
        self.report(Kind.TRIAL_PASSED if passed else Kind.TRIAL_FAILED)

    def end_trial(self, now: float = NEVER) -> None:
        """Give the trial back if it has lasted until `now`, CLOCK_MONOTONIC seconds."""
        if self._trial_ends and self._trial_ends <= now:
            self._trial_ends = 0.0
            self._cells.unlock(self._row + _EJECTION)

    def report(self, kind: Kind) -> None:
        """Tell the control worker of a failure."""
        self._reporter.report(self.slot, kind)

    def began(self) -> None:
        """Count one more request in flight."""
        self._view[self._base + _IN_FLIGHT] += 1

    def answered(self, status: int) -> None:
        """Count a response, whose head has come."""
        self._view[self._base + _BY_CLASS[status // 100]] += 1

    def failed(self, *, connected: bool, cut: bool = False) -> None:
        """Count one request less in flight, and that it failed; `cut` if within its response."""
        view, base = self._view, self._base
        view[base + _IN_FLIGHT] -= 1
        view[base + _FAILURES] += 1
        if not connected:
            view[base + _CONNECT_FAILURES] += 1
        if cut:
            view[base + _CUTS] += 1

    def left(self) -> None:
        """Count one request less in flight."""
        self._view[self._base + _IN_FLIGHT] -= 1

    def rescued(self) -> None:
        """Count one request less in flight that was taken away because the endpoint went down."""
        self.left()
        self._view[self._base + _RESCUES] += 1

    def connect(self, timeout: float) -> Stream:
        """Return a connected stream; `timeout` is in seconds. Raises UpstreamError with nothing sent."""
        return self._dialer.connect(timeout)
