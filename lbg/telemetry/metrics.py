"""Counts each request that is over. Measured: see `docs/metrics.md`."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from lbg.telemetry.metrics_kinds import (
    BOUNDS,
    CONNECT_BOUNDS,
    HISTOGRAM,
    REQUEST_VALUES,
    SECOND,
    UPSTREAM_BOUNDS,
    UPSTREAM_VALUES,
    Kind,
    RequestValue,
    UpstreamValue,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.errors import LocalReply
    from lbg.state.series import Labels, Region
    from lbg.telemetry.record import Attempt, Named, Record

METHODS: Final = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}  # RFC 9110, RFC 5789
)
OTHER: Final = "other"
_GONE: Final = "client_gone"

_SWITCHED: Final = 101
_CLIENT_GONE: Final = 499
_SUM: Final = int(RequestValue.SUM)
_RECEIVED: Final = int(RequestValue.RECEIVED)
_SENT: Final = int(RequestValue.SENT)
_CONNECT: Final = int(UpstreamValue.CONNECT)
_CONNECT_SUM: Final = int(UpstreamValue.CONNECT_SUM)
_TTFB: Final = int(UpstreamValue.TTFB)
_TTFB_SUM: Final = int(UpstreamValue.TTFB_SUM)
_DURATION: Final = int(UpstreamValue.DURATION)
_DURATION_SUM: Final = int(UpstreamValue.DURATION_SUM)


class RequestMetrics:
    """The series of requests in one worker. What was met before costs a look-up and a few additions."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._view = region.view
        self._requests: dict[tuple[Named | None, Named | None, str, int], int] = {}
        self._open: dict[str, int] = {}
        self._endpoints: dict[Named, int] = {}
        self._reused = self._find(Kind.UPSTREAM_CONNECTIONS, ("reused",), 1)

    def begun(self, route: Named) -> None:
        """Count one more request in flight."""
        self._open[route.name] = self._open.get(route.name, 0) + 1

    def forget(self) -> None:
        """Look series up by name again: routes and endpoints of another configuration are other objects."""
        self._requests.clear()
        self._endpoints.clear()

    def tick(self, now: float) -> None:  # noqa: ARG002
        """Write how many requests are in flight: as a gauge it need not outlive this worker."""
        for route, count in self._open.items():
            at = self._region.find(Kind.IN_FLIGHT, (route,), 1)
            if at is not None:
                self._view[at] = max(0, count)  # threads of another server may have met

    def observe(self, environ: dict[str, Any], record: Record, status: int, sent: int, took: float) -> None:
        """Count a request that is over; `sent` are bytes of the body, `took` is in seconds."""
        view, route, attempts = self._view, record.route, record.attempts
        if not status or record.reason is not None:
            status = self._unanswered(environ, record, status)
        if status == _SWITCHED:
            self._tunneled(environ, record)
        else:
            at = self._requests.get((route, record.pool, environ["REQUEST_METHOD"], status))
            if at is None:
                at = self._request(environ["REQUEST_METHOD"], record, status)
            view[at + bisect_left(BOUNDS, took)] += 1
            view[at + _SUM] += int(took * SECOND)
            if sent:
                view[at + _SENT] += sent
            client = environ.get("lbg.client")
            if client is not None and client.request.received:
                view[at + _RECEIVED] += client.request.received
        if route is not None:
            self._open[route.name] -= 1
        for attempt in attempts:
            at = self._endpoints.get(attempt.endpoint)
            if at is None:
                at = self._endpoint(attempt.endpoint, record)
            lasted, ttfb = attempt.took, attempt.ttfb
            view[at + _DURATION + bisect_left(UPSTREAM_BOUNDS, lasted)] += 1
            view[at + _DURATION_SUM] += int(lasted * SECOND)
            if ttfb:
                view[at + _TTFB + bisect_left(UPSTREAM_BOUNDS, ttfb)] += 1
                view[at + _TTFB_SUM] += int(ttfb * SECOND)
            if attempt.reused and attempt.error is None:
                view[self._reused] += 1
            else:
                self._unusual(attempt, at, record)
        if len(attempts) > 1 or record.queued:
            self._waited(attempts, record)

    def refused(self, environ: dict[str, Any], cause: LocalReply) -> None:
        """Count a request that was answered before anybody could route it; `environ` may say little of it."""
        self._local(cause.reason.code, cause.status)
        method = environ.get("REQUEST_METHOD")
        labels = "", "", method if method in METHODS else OTHER, _code(cause.status)
        self._view[self._find(Kind.REQUESTS, labels, REQUEST_VALUES)] += 1

    def _unusual(self, attempt: Attempt, at: int, record: Record) -> None:
        """Count that an attempt had a new connection, or none, or failed."""
        view = self._view
        if attempt.reused:
            view[self._reused] += 1
        elif attempt.connect:
            view[at + _CONNECT + bisect_left(CONNECT_BOUNDS, attempt.connect)] += 1
            view[at + _CONNECT_SUM] += int(attempt.connect * SECOND)
            self._count(Kind.UPSTREAM_CONNECTIONS, ("opened",))
        else:
            self._count(Kind.UPSTREAM_CONNECTIONS, ("failed",))
        if attempt.error is not None:
            labels = _name(record.pool), attempt.endpoint.name, attempt.error.reason.code
            self._count(Kind.UPSTREAM_ERRORS, labels)

    def _endpoint(self, endpoint: Named, record: Record) -> int:
        labels = _name(record.pool), endpoint.name
        at = self._region.find(Kind.UPSTREAM, labels, UPSTREAM_VALUES)
        if at is None:
            return self._region.spare()
        self._endpoints[endpoint] = at
        return at

    def _request(self, method: str, record: Record, status: int) -> int:
        """Return where a request is counted whose labels were not met before, or are not worth keeping."""
        known = method in METHODS
        labels = _name(record.route), _name(record.pool), method if known else OTHER, _code(status)
        at = self._region.find(Kind.REQUESTS, labels, REQUEST_VALUES)
        if at is None:
            return self._region.spare()
        if known:
            self._requests[record.route, record.pool, method, status] = at
        return at

    def _unanswered(self, environ: dict[str, Any], record: Record, status: int) -> int:
        """Count the answer that we made in place of a backend, or that nobody got; return its status."""
        fault = environ.get("lbg.fault")
        if fault is not None:
            self._local(fault.reason.code, fault.status)
            return int(fault.status)
        if status and record.reason is not None:
            self._local(record.reason.code, status)
            return status
        client = environ.get("lbg.client")
        if client is not None and client.taken:
            return _SWITCHED
        self._local(_GONE, _CLIENT_GONE)
        return _CLIENT_GONE

    def _tunneled(self, environ: dict[str, Any], record: Record) -> None:
        # How long a tunnel lasts says nothing about how fast requests are answered.
        method = environ["REQUEST_METHOD"]
        labels = _name(record.route), _name(record.pool), method if method in METHODS else OTHER
        self._count(Kind.TUNNELED, (*labels, str(_SWITCHED)))

    def _waited(self, attempts: Sequence[Attempt], record: Record) -> None:
        """Count retries, and the wait for an endpoint."""
        if record.queued:
            at = self._find(Kind.QUEUE_WAIT, (_name(record.pool),), HISTOGRAM)
            self._view[at + bisect_left(BOUNDS, record.queued)] += 1
            self._view[at + HISTOGRAM - 1] += int(record.queued * SECOND)
        for attempt in attempts[1:]:
            outcome = "failed" if attempt.error is not None else "answered"
            self._count(Kind.RETRIES, (_name(record.pool), outcome))

    def _local(self, reason: str, status: int) -> None:
        self._count(Kind.LOCAL, (reason, _code(status)))

    def _count(self, kind: Kind, labels: Labels) -> None:
        self._view[self._find(kind, labels, 1)] += 1

    def _find(self, kind: Kind, labels: Labels, values: int) -> int:
        at = self._region.find(kind, labels, values)
        return self._region.spare() if at is None else at


def _name(named: Named | None) -> str:
    return "" if named is None else named.name


def _code(status: int) -> str:
    return str(status) if 100 <= status <= 599 else OTHER
