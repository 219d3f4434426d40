"""What happened to one request: `lbg.exchange` in its environ, read by filters and the log."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.errors import Reason, UpstreamError
    from lbg.routing.table import Route
    from lbg.telemetry.trace_context import TraceContext
    from lbg.upstream.candidates import Candidate
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.lease import Lease
    from lbg.upstream.pool import Pool


class Attempt:
    """One try on one endpoint. Times are seconds; `began` is CLOCK_MONOTONIC.

    `connect` is 0 on a connection that had served before, `ttfb` is from the beginning of the try to the
    response head, 0 without one; `status` is 0 when there was none. `error` is set then, and when the
    endpoint cut its response short. `took` is known once the try is over.
    """

    __slots__ = ("began", "connect", "endpoint", "error", "reused", "status", "took", "ttfb")

    def __init__(self, lease: Lease, status: int, error: UpstreamError | None = None) -> None:
        self.endpoint = lease.endpoint
        self.began = lease.began
        self.connect = lease.connect_took
        self.reused = lease.reused
        self.status = status
        self.error = error
        self.ttfb = lease.head_took
        self.took = 0.0 if error is None else monotonic() - lease.began

    def __repr__(self) -> str:
        return f"<Attempt {self.endpoint.name} {self.error or self.status}>"


class Record:
    """Filled in as the request goes its way; `failures` are the attempts that brought no answer, `answers`
    those whose status was worth another try, `sticky` tells whether the client's cookie led to `endpoint`,
    None where there are no such cookies.

    `client` is its address and `scheme` how it came, as trusted proxies tell it, and `path` the path that
    routing looked at; they are there for filters and actions, and not where a request goes straight to
    the only pool. `switched` tells that it speaks another protocol now. `began` is when it came
    (CLOCK_MONOTONIC), `queued` the seconds it waited for an endpoint. `detail` is what a local reply told the
    client, `candidates` are the endpoints as they were when it was decided that there is no further try.
    `trace_context` is the part of lbg in a trace, None where it takes no part. `action` is what comes after
    the filters of the route.
    Most requests set few of these: class defaults make the rest free.
    """

    client = ""
    path = ""
    scheme = "http"
    pool: Pool | None = None
    route: Route | None = None
    endpoint: Endpoint | None = None
    failures: tuple[tuple[Endpoint, UpstreamError], ...] = ()
    answers: tuple[tuple[Endpoint, int], ...] = ()
    sticky: bool | None = None
    failed_open = False
    switched = False
    gave_up = ""
    reason: Reason | None = None
    attempts: tuple[Attempt, ...] = ()
    lease: Lease | None = None
    queued = 0.0
    detail = ""
    candidates: tuple[Candidate, ...] = ()
    trace_context: TraceContext | None = None
    action: Callable[[dict[str, Any], Any], Iterable[bytes]] | None = None

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.began = monotonic()

    def __repr__(self) -> str:
        return f"<Record {self.request_id} {self.story()}>"

    def failed(self, lease: Lease, failure: UpstreamError) -> None:
        """Note an attempt without an answer."""
        self.failures = (*self.failures, (lease.endpoint, failure))
        self.attempts = (*self.attempts, Attempt(lease, 0, failure))

    def answered(self, lease: Lease, status: int) -> None:
        """Note an attempt with an answer, whose body is still to come."""
        self.endpoint = lease.endpoint
        self.lease = lease
        self.attempts = (*self.attempts, Attempt(lease, status))

    def passed_over(self, endpoint: Endpoint, status: int) -> None:
        """Note an answer for which another endpoint is tried."""
        self.attempts[-1].took = monotonic() - self.attempts[-1].began
        self.answers = (*self.answers, (endpoint, status))

    def story(self) -> str:
        """Return the failed attempts in words: `127.0.0.1:8001: connect refused; gave up: …`."""
        parts = [f"{endpoint.name}: {failure.detail}" for endpoint, failure in self.failures]
        parts += [f"{endpoint.name}: status {status}" for endpoint, status in self.answers]
        if self.failed_open:
            parts.append("sent although no endpoint is healthy (fail_open)")
        if self.gave_up:
            parts.append(f"gave up: {self.gave_up}")
        return "; ".join(parts)
