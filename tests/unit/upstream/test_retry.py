"""The retry table, row by row."""

from dataclasses import dataclass

import pytest

from lbg.config.pools import RetryConfig
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

REFUSED = UpstreamError("connect_refused", "x", sent=Sent.NOTHING)
RESET = UpstreamError("upstream_reset", "x", sent=Sent.WRITTEN)
STALE = UpstreamError("upstream_reset_reused", "x", sent=Sent.WRITTEN, reused=True)
LATE = UpstreamError("response_timeout", "x", sent=Sent.WRITTEN)
RESCUED = UpstreamError("upstream_reset", "x", sent=Sent.WRITTEN, rescued=True)


@dataclass
class Try:
    """What of a request counts."""

    method: str = "GET"
    attempt: int = 1
    replayable: bool = True


def policy(**config: object) -> RetryPolicy:
    """Return the policy of a pool with this configuration."""
    return RetryPolicy.of(RetryConfig.model_validate(config))


def reason_of(decision: Retry | GiveUp) -> str:
    assert isinstance(decision, GiveUp)
    return decision.why


@pytest.mark.parametrize(("method", "reason", "sent", "reused", "follows"), ROWS)
def test_what_follows_a_failure(
    method: str, reason: str, sent: Sent, reused: bool, follows: Retry | None
) -> None:
    decision = policy().decide(Try(method), UpstreamError(reason, "x", sent=sent, reused=reused))
    if follows is None:
        assert reason_of(decision)
    else:
        assert decision == follows


@pytest.mark.parametrize("failure", [REFUSED, RESET, RESCUED], ids=str)
@pytest.mark.parametrize(("attempt", "again"), [(1, True), (2, True), (3, False), (4, False)])
def test_attempts_count_all_tries(failure: UpstreamError, attempt: int, again: bool) -> None:
    decision = policy().decide(Try(attempt=attempt), failure)
    assert decision == (ANOTHER_ENDPOINT if again else GiveUp(f"{attempt} attempts were made"))


def test_one_attempt_is_no_retry() -> None:
    assert reason_of(policy(attempts=1).decide(Try(), REFUSED))


def test_a_stale_connection_costs_no_attempt() -> None:
    assert policy().decide(Try(attempt=3), STALE) == AT_ONCE
    assert policy(attempts=1).decide(Try(), STALE) == AT_ONCE


@pytest.mark.parametrize(
    "failure",
    [
        REFUSED,
        UpstreamError("upstream_reset_reused", "x", sent=Sent.NOTHING, reused=True),
        STALE,
        RESET,
        RESCUED,
    ],
    ids=str,
)
def test_a_body_that_is_gone_is_not_sent_again_and_the_reason_says_so(failure: UpstreamError) -> None:
    assert "replay buffer" in reason_of(policy().decide(Try("PUT", replayable=False), failure))


def test_the_method_is_named_where_it_forbids_a_retry() -> None:
    assert policy().decide(Try("POST"), RESET) == GiveUp("POST is not idempotent and was written")


@pytest.mark.parametrize("reason", REASONS)
def test_nothing_is_retried_once_the_response_has_begun(reason: str) -> None:
    for method in (*IDEMPOTENT, *OTHERS):
        for reused in (False, True):
            failure = UpstreamError(reason, "x", sent=Sent.ANSWERED, reused=reused)
            assert reason_of(policy(on=EVERYTHING).decide(Try(method), failure))


EVERYTHING = ("connect", "stale", "reset", "down", "timeout")
WORDS = [
    ("connect", REFUSED),
    ("connect", UpstreamError("connect_timeout", "x", sent=Sent.NOTHING)),
    ("connect", UpstreamError("dns_failure", "x", sent=Sent.NOTHING)),
    ("stale", STALE),
    ("reset", RESET),
    ("reset", UpstreamError("upstream_reset", "x", sent=Sent.NOTHING)),
    ("down", RESCUED),
    ("timeout", LATE),
]


@pytest.mark.parametrize(("word", "failure"), WORDS)
def test_a_word_in_on_opts_in_to_its_failures(word: str, failure: UpstreamError) -> None:
    assert isinstance(policy(on=[word]).decide(Try(), failure), Retry)


@pytest.mark.parametrize(("word", "failure"), WORDS)
def test_a_word_left_out_of_on_opts_out_of_its_failures(word: str, failure: UpstreamError) -> None:
    others = [other for other in EVERYTHING if other != word]
    assert policy(on=others).decide(Try(), failure) == GiveUp(f'"{word}" is not in retry.on')


def test_a_timeout_is_tried_again_only_on_request() -> None:
    assert reason_of(policy().decide(Try(), LATE)) == '"timeout" is not in retry.on'


@pytest.mark.parametrize("method", OTHERS)
def test_a_timeout_is_never_tried_again_for_what_must_not_be_sent_twice(method: str) -> None:
    assert reason_of(policy(on=EVERYTHING).decide(Try(method), LATE))


@pytest.mark.parametrize("method", IDEMPOTENT)
def test_a_status_is_tried_again_for_idempotent_methods(method: str) -> None:
    assert policy(status=[503]).decide_status(Try(method)) == ANOTHER_ENDPOINT


@pytest.mark.parametrize("method", OTHERS)
def test_a_status_is_tried_again_for_other_methods_only_on_request(method: str) -> None:
    assert policy().decide_status(Try(method)) == GiveUp(f"{method} is not idempotent")
    assert policy(non_idempotent=True).decide_status(Try(method)) == ANOTHER_ENDPOINT


def test_the_wish_to_send_posts_again_is_for_statuses_alone() -> None:
    assert reason_of(policy(non_idempotent=True).decide(Try("POST"), RESET))


def test_a_status_is_not_tried_again_when_attempts_or_body_are_used_up() -> None:
    assert policy().decide_status(Try(attempt=3)) == GiveUp("3 attempts were made")
    assert "replay buffer" in reason_of(policy().decide_status(Try("PUT", replayable=False)))


def test_the_policy_of_a_pool_is_what_its_configuration_says() -> None:
    made = policy(attempts=5, on=["reset"], status=[502, 503], non_idempotent=True)
    assert made == RetryPolicy(5, frozenset({"reset"}), frozenset({502, 503}), True)
    assert policy() == RetryPolicy()
