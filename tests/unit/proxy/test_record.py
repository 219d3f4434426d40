"""The record of one request."""

from lbg.errors import Sent, UpstreamError
from lbg.proxy.record import Record
from lbg.upstream.lease import Lease
from tests.unit.upstream.pools import pool_of
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint


def _lease() -> Lease:
    endpoint = ScriptedEndpoint()
    return Lease(pool_of(endpoint), endpoint)


def test_a_request_without_failures_has_no_story() -> None:
    assert Record("id1").story() == ""


def test_the_story_names_each_attempt_and_why_there_was_no_further_one() -> None:
    record = Record("id1")
    record.failed(_lease(), UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING))
    record.failed(_lease(), UpstreamError("upstream_reset", "connection closed", sent=Sent.WRITTEN))
    record.gave_up = "2 attempts were made"
    story = (
        "127.0.0.1:8000: connect refused; 127.0.0.1:8000: connection closed; gave up: 2 attempts were made"
    )
    assert record.story() == story
    assert repr(record) == f"<Record id1 {story}>"


def test_failures_of_one_request_are_not_anothers() -> None:
    first, second = Record("a"), Record("b")
    first.failed(_lease(), UpstreamError("upstream_reset", "x", sent=Sent.WRITTEN))
    assert second.failures == ()


def test_the_story_names_answers_worth_another_try_and_a_pool_that_failed_open() -> None:
    record = Record("id1")
    record.failed(_lease(), UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING))
    record.passed_over(ScriptedEndpoint(slot=1), 503)
    record.failed_open = True
    assert record.story() == (
        "127.0.0.1:8000: connect refused; 127.0.0.1:8001: status 503; "
        "sent although no endpoint is healthy (fail_open)"
    )
