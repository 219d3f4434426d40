"""One address of a pool: its counters, and connecting to it."""

from __future__ import annotations

import errno
import os
import socket as stdlib_socket
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import gevent
from gevent import socket as gevent_socket

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.net.deadline import NEVER
from lbg.net.faults import OWN_FAULTS
from lbg.net.stream import Socket, Stream
from lbg.state.layout import (
    AREA,
    RESPONSES,
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

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lbg.config.pools import EndpointConfig
    from lbg.net.address import Address
    from lbg.state.cells import Cells
    from lbg.upstream.idle import IdleConnections
    from lbg.upstream.lease import Lease

SocketAddress = tuple[str, int] | str

_IN_PROGRESS: Final = frozenset({errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EALREADY})

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

    `slot` is its row in the cell file, `worker` the slot of this process. `effective_weight` is below
    `weight` during slow start, `picked` orders the endpoints by when this worker last took them,
    `waiting` are the leases that await the first byte of a response, `suspected_until` is set when this
    worker could not connect (CLOCK_MONOTONIC seconds), `ejected_here` is set when this
    worker ejected it by itself because no control worker does.
    """

    __slots__ = (
        "_base",
        "_cells",
        "_literal",
        "_reporter",
        "_resolved",
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
        self.suspected_until = 0.0
        self._cells = cells
        self._view = cells.view
        self._base = counters(worker, slot)
        self._total = counters(0, slot) + _IN_FLIGHT  # of the first worker; the others follow
        self._row = health_row(slot)
        self._reporter = reporter or ReportWriter(cells, worker)
        self._trial_ends = 0.0
        self._literal = _literal(address)
        self._resolved: list[tuple[int, SocketAddress]] = []

    def __repr__(self) -> str:
        return f"<Endpoint {self.name} weight={self.weight}>"

    @property
    def down(self) -> bool:
        """Whether active checks say so."""
        return self._view[self._row + _HEALTH] == _DOWN

    @property
    def ejection(self) -> Ejection:
        """What passive detection says."""
        return Ejection.EJECTED if self.ejected_here else Ejection(self._view[self._row + _EJECTION])

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
        """Return a connected stream, from the first of the endpoint's addresses that answers.

        `timeout` is in seconds, for each of them. Raises UpstreamError with nothing sent.
        """
        failure: UpstreamError | None = None
        for family, sockaddr in self._literal or self._resolve(timeout):
            try:
                return self._connect_to(family, sockaddr, timeout)
            except UpstreamError as error:
                failure = error
        raise failure or self._failed("dns_failure", f"{self.address.host} has no address")

    def _connect_to(self, family: int, sockaddr: SocketAddress, timeout: float) -> Stream:
        try:
            sock = Socket(family, stdlib_socket.SOCK_STREAM)
        except OSError as error:  # no descriptors left
            raise self._failed(
                "connect_refused", f"connect failed: {error.strerror}", blameless=True
            ) from error
        sock.setblocking(False)
        stream = Stream(sock)
        try:
            if family != stdlib_socket.AF_UNIX:
                sock.setsockopt(stdlib_socket.IPPROTO_TCP, stdlib_socket.TCP_NODELAY, 1)
            self._await_connect(stream, sockaddr, timeout)
        except BaseException:
            stream.close()
            raise
        return stream

    def _await_connect(self, stream: Stream, sockaddr: SocketAddress, timeout: float) -> None:
        stream.deadline = monotonic() + timeout
        code = stream.sock.connect_ex(sockaddr)
        if code == errno.EAGAIN and isinstance(sockaddr, str):
            raise self._failed("connect_refused", "connect refused: the backlog is full")  # unix(7)
        if code in _IN_PROGRESS:
            try:
                stream.wait_writable()
            except StreamTimeout:
                raise self._failed("connect_timeout", f"connect timeout after {timeout} s") from None
            code = stream.sock.getsockopt(stdlib_socket.SOL_SOCKET, stdlib_socket.SO_ERROR)
        if code == errno.ETIMEDOUT:
            raise self._failed("connect_timeout", "connect timeout by the system")
        if code:
            raise self._failed("connect_refused", f"connect {_in_words(code)}", blameless=code in OWN_FAULTS)

    def _resolve(self, timeout: float) -> list[tuple[int, SocketAddress]]:
        late = self._failed("dns_failure", f"{self.address.host}: not resolved within {timeout} s")
        try:
            with gevent.Timeout(timeout, late):
                found = gevent_socket.getaddrinfo(
                    self.address.host, self.address.port, type=stdlib_socket.SOCK_STREAM
                )
        except (OSError, UpstreamError) as error:
            if self._resolved:
                return self._resolved  # an outage of the resolver is none of the endpoint
            if error is late:
                raise
            raise self._failed("dns_failure", f"{self.address.host}: {_told(error)}") from error
        self._resolved = [(family, sockaddr) for family, _, _, _, sockaddr in found]
        return self._resolved

    def _failed(self, reason: str, detail: str, *, blameless: bool = False) -> UpstreamError:
        return UpstreamError(reason, detail, sent=Sent.NOTHING, blameless=blameless)


def _literal(address: Address) -> list[tuple[int, SocketAddress]]:
    """Return the socket address that needs no look-up, nothing for a name."""
    if address.family == "unix":
        return [(stdlib_socket.AF_UNIX, address.path)]
    for family in (stdlib_socket.AF_INET, stdlib_socket.AF_INET6):
        try:
            stdlib_socket.inet_pton(family, address.host)
        except OSError:
            continue
        return [(family, (address.host, address.port))]
    return []


def _told(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


def _in_words(code: int) -> str:
    if code == errno.ECONNREFUSED:
        return "refused"
    return f"failed: {os.strerror(code).lower()}"
