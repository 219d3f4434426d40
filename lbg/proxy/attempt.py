"""Tries a request on one endpoint after another, as the retry table allows."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING

from lbg.errors import LocalReply, UpstreamError
from lbg.upstream.pool import NoEndpoint
from lbg.upstream.retry import GiveUp

if TYPE_CHECKING:
    from lbg.proxy.record import Record
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.exchange import Exchange
    from lbg.upstream.lease import Lease
    from lbg.upstream.pool import Pool
    from lbg.upstream.request import UpstreamRequest

# What the client is told: the failure, but neither addresses nor system errors of the inside.
_TOLD = {
    "dns_failure": "The name of the backend could not be resolved.",
    "connect_refused": "The backend refused the connection.",
    "connect_timeout": "The backend did not accept the connection in time.",
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
    tried: list[Endpoint] = []
    lease: Lease | None = None
    fresh = False
    while True:
        try:
            lease = lease.again() if lease is not None and fresh else pool.acquire(None, tried, 0.0)
        except NoEndpoint:
            raise _give_up(record, "every endpoint was tried") from None
        try:
            exchange = lease.exchange(request, fresh=fresh)
        except UpstreamError as failure:
            record.failed(lease.endpoint, failure)
            decision = pool.retries.decide(
                request.method, failure, len(tried) + 1, replayable=request.replayable
            )
            if isinstance(decision, GiveUp):
                raise _give_up(record, decision.why) from failure
            if monotonic() >= request.ends:
                raise _give_up(record, "the total timeout passed") from failure
            fresh = decision.free
            if not fresh:
                tried.append(lease.endpoint)
            if request.body is not None:
                request.body.rewind()
        else:
            record.endpoint = lease.endpoint
            return exchange


def _give_up(record: Record, why: str) -> LocalReply:
    """Return the reply for the last failure in `record`."""
    record.gave_up = why
    if not record.failures:
        return LocalReply("no_endpoints", "No backend is configured for this request.")
    _, failure = record.failures[-1]
    return LocalReply(failure.reason.code, _TOLD[failure.reason.code])
