"""Tries a request on one endpoint after another, as the retry table allows."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from greenlet import GreenletExit

from lbg.errors import ClientGone, LocalReply, RequestError, UpstreamError
from lbg.upstream.pool import Busy, NoEndpoint
from lbg.upstream.retry import GiveUp, Retry

if TYPE_CHECKING:
    from lbg.proxy.record import Record
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.exchange import Exchange
    from lbg.upstream.lease import Lease
    from lbg.upstream.pool import Pool
    from lbg.upstream.request import UpstreamRequest
    from lbg.upstream.sticky import StickyCookies

# What the client is told: the failure, but neither addresses nor system errors of the inside.
_TOLD = {
    "dns_failure": "The name of the backend could not be resolved.",
    "connect_refused": "The backend refused the connection.",
    "connect_timeout": "The backend did not accept the connection in time.",
    "tls_error": "No secure connection to the backend could be made.",
    "upstream_reset": "The backend closed the connection without an answer.",
    "upstream_reset_reused": "The backend closed the connection without an answer.",
    "response_timeout": "The backend did not answer in time.",
    "bad_response": "The backend sent an invalid answer.",
}


def forward(request: UpstreamRequest, pool: Pool, record: Record) -> Exchange:
    """Return the exchange of the first endpoint that answers.

    Raises LocalReply when none did, or LbgError for what the client did meanwhile. Every failed
    try is noted in `record`.
    """
    pool.begin_request(request)
    statuses = pool.retries.status
    tried: list[Endpoint] = []
    again: Lease | None = None
    fresh = False
    kept: Exchange | None = None  # an answer worth another try: the client gets it if that fails
    try:
        while True:
            try:
                lease = again or _acquire(pool, tried, request, record, wait=kept is None)
                exchange = _exchange(lease, request, record, fresh=fresh)
            except NoEndpoint as none:
                cause = _no_endpoint(record, none)
            except RequestError:
                raise
            except LocalReply as refusal:  # by the queue
                cause = refusal
            except UpstreamError as failure:
                record.failed(lease, failure)
                tried.append(lease.endpoint)
                decision = _after(failure, request, pool, tried)
                if isinstance(decision, Retry):
                    fresh = decision.free
                    again = lease.another() if fresh else None
                    _prepare(request, tried, free=decision.free)
                    continue
                cause = _give_up(record, decision.why)
            else:
                record.answered(lease, exchange.status)
                if pool.sticky is not None:
                    _bind(pool.sticky, request, record, exchange)
                if not statuses or exchange.status not in statuses:
                    return exchange
                tried.append(lease.endpoint)
                decision = _after_status(request, pool, tried)
                if isinstance(decision, GiveUp):
                    record.gave_up, record.candidates = decision.why, pool.candidates(tried)
                    return exchange
                kept = _put_aside(exchange, kept, lease, record)
                again, fresh = None, False
                _prepare(request, tried, free=False)
                continue
            record.candidates = pool.candidates(tried)
            if kept is None:
                raise cause
            exchange, kept = kept, None
            return exchange
    finally:
        if kept is not None:
            kept.close()


def _acquire(
    pool: Pool, tried: list[Endpoint], request: UpstreamRequest, record: Record, *, wait: bool
) -> Lease:
    """Return a lease, after a wait if all endpoints are busy.

    Without `wait`, Busy is NoEndpoint: who waits must not hold what others wait for.
    """
    now = monotonic()
    try:
        lease = pool.acquire(request, tried, now)
    except Busy:
        if not wait:
            raise NoEndpoint from None
        try:
            lease = pool.wait(request, tried, now)
        finally:
            record.queued += monotonic() - now
    if pool.failing_open:
        record.failed_open = True
    return lease


def _exchange(lease: Lease, request: UpstreamRequest, record: Record, *, fresh: bool) -> Exchange:
    """Return the exchange on `lease`, and note where the request was when nobody waits for it any longer."""
    if record.trace_context is not None:
        request.trace = record.trace_context.lines(len(record.attempts))
    try:
        return lease.exchange(request, fresh=fresh)
    except (ClientGone, GreenletExit):
        record.endpoint = lease.endpoint
        raise


def _bind(sticky: StickyCookies, request: UpstreamRequest, record: Record, exchange: Exchange) -> None:
    """Let the client come back to the endpoint that answered, unless its cookie leads there already."""
    endpoint = record.endpoint
    assert endpoint is not None
    record.sticky = endpoint is request.sticky
    if not record.sticky:
        exchange.headers.append(sticky.field(endpoint, secure=request.secure))


def _after(
    failure: UpstreamError, request: UpstreamRequest, pool: Pool, tried: list[Endpoint]
) -> Retry | GiveUp:
    decision = pool.retries.decide(request, failure)
    if isinstance(decision, GiveUp):
        return decision
    paid = decision.free or failure.rescued  # a rescue took from the budget when it began
    return _affordable(decision, request, pool, tried, paid=paid)


def _after_status(request: UpstreamRequest, pool: Pool, tried: list[Endpoint]) -> Retry | GiveUp:
    decision = pool.retries.decide_status(request)
    if isinstance(decision, GiveUp):
        return decision
    return _affordable(decision, request, pool, tried, paid=False)


def _affordable(
    decision: Retry, request: UpstreamRequest, pool: Pool, tried: list[Endpoint], *, paid: bool
) -> Retry | GiveUp:
    now = monotonic()
    if now >= request.ends:
        return GiveUp("the total timeout passed")
    if not decision.free and len(tried) >= len(pool.endpoints):
        return GiveUp("every endpoint was tried")
    if not paid and not pool.may_retry(now):
        return GiveUp("retry_budget: too many of the last requests were tried again")
    return decision


def _prepare(request: UpstreamRequest, tried: list[Endpoint], *, free: bool) -> None:
    """Make the request ready for another try; a free one is no attempt, and its endpoint not tried."""
    if free:
        tried.pop()
    else:
        request.attempt += 1
    if request.body is not None:
        request.body.rewind()


def _put_aside(exchange: Exchange, kept: Exchange | None, lease: Lease, record: Record) -> Exchange:
    """Return `exchange` for the time when no endpoint does better, in the place of `kept`."""
    record.passed_over(lease.endpoint, exchange.status)
    lease.end_upload()
    if kept is not None:
        kept.close()
    return exchange


def _no_endpoint(record: Record, none: NoEndpoint) -> LocalReply:
    if none.why:
        record.gave_up = none.why
        if none.held:
            return LocalReply("all_draining", "All backends are out of service for the moment.")
        return LocalReply("no_healthy", "No backend is healthy.")
    return _give_up(record, "no other endpoint is usable")


def _give_up(record: Record, why: str) -> LocalReply:
    """Return the reply for the last failure in `record`."""
    record.gave_up = why
    if not record.failures:
        return LocalReply("no_endpoints", "No backend is left for this request.")
    _, failure = record.failures[-1]
    return LocalReply(failure.reason.code, _TOLD[failure.reason.code])
