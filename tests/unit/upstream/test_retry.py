"""The retry table, row by row."""

import pytest

from lbg.errors import REASONS, Sent, UpstreamError
from lbg.upstream.retry import GiveUp, Retry, RetryPolicy

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH", "PROPFIND", "LINK", "get"]

ANOTHER_ENDPOINT = Retry(free=False)
AT_ONCE = Retry(free=True)

# What happened; what follows for idempotent methods; what follows for all others (None: the failure).
TABLE = [
    ("dns_failure", Sent.NOTHING, False, ANOTHER_ENDPOINT, ANOTHER_ENDPOINT),
    ("connect_refused", Sent.NOTHING, False, ANOTHER_ENDPOINT, ANOTHER_ENDPOINT),
    ("connect_timeout", Sent.NOTHING, False, ANOTHER_ENDPOINT, ANOTHER_ENDPOINT),
    ("upstream_reset", Sent.NOTHING, False, ANOTHER_ENDPOINT, ANOTHER_ENDPOINT),
    ("upstream_reset_reused", Sent.NOTHING, True, AT_ONCE, AT_ONCE),
    ("upstream_reset_reused", Sent.WRITTEN, True, AT_ONCE, None),
    ("upstream_reset", Sent.WRITTEN, False, ANOTHER_ENDPOINT, None),
    ("response_timeout", Sent.WRITTEN, False, None, None),
    ("response_timeout", Sent.WRITTEN, True, None, None),
    ("bad_response", Sent.WRITTEN, False, None, None),
    ("bad_response", Sent.WRITTEN, True, None, None),
    ("read_timeout", Sent.ANSWERED, False, None, None),
    ("upstream_cut_body", Sent.ANSWERED, False, None, None),
    ("upstream_cut_body", Sent.ANSWERED, True, None, None),
]
ROWS = [
    pytest.param(
        method,
        reason,
        sent,
        reused,
        follows,
        id=f"{reason}-{sent.name}-{'reused' if reused else 'fresh'}-{method}",
    )
    for reason, sent, reused, idempotent, other in TABLE
    for methods, follows in ((IDEMPOTENT, idempotent), (OTHERS, other))
    for method in methods
]


def decide(
    method: str, failure: UpstreamError, *, attempt: int = 1, attempts: int = 3, replayable: bool = True
) -> Retry | GiveUp:
    return RetryPolicy(attempts).decide(method, failure, attempt, replayable=replayable)


@pytest.mark.parametrize(("method", "reason", "sent", "reused", "follows"), ROWS)
def test_what_follows_a_failure(
    method: str, reason: str, sent: Sent, reused: bool, follows: Retry | None
) -> None:
    decision = decide(method, UpstreamError(reason, "x", sent=sent, reused=reused))
    if follows is None:
        assert isinstance(decision, GiveUp)
        assert decision.why
    else:
        assert decision == follows


@pytest.mark.parametrize(("attempt", "again"), [(1, True), (2, True), (3, False), (4, False)])
def test_attempts_count_all_tries(attempt: int, again: bool) -> None:
    decision = decide("GET", UpstreamError("connect_refused", "x", sent=Sent.NOTHING), attempt=attempt)
    assert decision == (ANOTHER_ENDPOINT if again else GiveUp(f"{attempt} attempts were made"))


def test_one_attempt_is_no_retry() -> None:
    failure = UpstreamError("connect_refused", "x", sent=Sent.NOTHING)
    assert isinstance(decide("GET", failure, attempts=1), GiveUp)


def test_a_stale_connection_costs_no_attempt() -> None:
    stale = UpstreamError("upstream_reset_reused", "x", sent=Sent.WRITTEN, reused=True)
    assert decide("GET", stale, attempt=3) == AT_ONCE
    assert decide("GET", stale, attempts=1) == AT_ONCE


@pytest.mark.parametrize(
    ("reason", "sent", "reused"),
    [
        ("connect_refused", Sent.NOTHING, False),
        ("upstream_reset_reused", Sent.NOTHING, True),
        ("upstream_reset_reused", Sent.WRITTEN, True),
        ("upstream_reset", Sent.WRITTEN, False),
    ],
)
def test_a_body_that_is_gone_is_not_sent_again_and_the_reason_says_so(
    reason: str, sent: Sent, reused: bool
) -> None:
    decision = decide("PUT", UpstreamError(reason, "x", sent=sent, reused=reused), replayable=False)
    assert isinstance(decision, GiveUp)
    assert "replay buffer" in decision.why


def test_the_method_is_named_where_it_forbids_a_retry() -> None:
    decision = decide("POST", UpstreamError("upstream_reset", "x", sent=Sent.WRITTEN))
    assert decision == GiveUp("POST is not idempotent and was written")


@pytest.mark.parametrize("reason", REASONS)
def test_nothing_is_retried_once_the_response_has_begun(reason: str) -> None:
    for method in (*IDEMPOTENT, *OTHERS):
        for reused in (False, True):
            failure = UpstreamError(reason, "x", sent=Sent.ANSWERED, reused=reused)
            assert isinstance(decide(method, failure), GiveUp)
