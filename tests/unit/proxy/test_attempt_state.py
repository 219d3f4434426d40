"""What the state of a pool means for a request: endpoints that go down, are down, or are busy."""

from typing import Any

import gevent
import pytest

from lbg.errors import LocalReply, Sent, UpstreamError
from lbg.proxy.attempt import forward
from lbg.proxy.record import Record
from lbg.state.layout import Health
from lbg.upstream.pool import Pool
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, ScriptedEndpoint, answering, silent

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)

Rescued = tuple[Pool, ScriptedEndpoint, ScriptedEndpoint, Record, Any]


@pytest.fixture
def rescued(fleet: Fleet) -> Rescued:
    """Give what a request was taken away from, and its greenlet, just after that."""
    hung, other = fleet.endpoint(silent), fleet.endpoint(answering(OK))
    pool, record, request = pool_of(hung, other), Record("id1"), request_for()
    asked = gevent.spawn(lambda: (b"".join(forward(request, pool, record)), request.attempt))
    gevent.idle()
    hung.becomes(health=Health.DOWN)
    pool.tick(0.0)
    return pool, hung, other, record, asked


def test_a_request_whose_endpoint_goes_down_is_answered_by_another(rescued: Rescued) -> None:
    _, hung, other, record, asked = rescued
    body, attempt = asked.get(timeout=1.0)
    assert (body, attempt, record.endpoint) == (b"ok", 2, other)
    assert record.story() == f"{hung.name}: went down while the request waited"
    assert (hung.counts(), other.counts()) == ({"rescues": 1}, {"responses_2xx": 1})


def test_a_rescue_takes_from_the_budget_once(fleet: Fleet, rescued: Rescued) -> None:
    *_, asked = rescued
    asked.get(timeout=1.0)
    assert fleet.pool_counts() == {"requests": 1, "retries": 1}


def test_a_request_that_an_endpoint_closes_as_it_goes_down_takes_from_the_budget_once(fleet: Fleet) -> None:
    dying, other = fleet.endpoint(silent), fleet.endpoint(answering(OK))
    pool = pool_of(dying, other)
    asked = gevent.spawn(lambda: b"".join(forward(request_for(), pool, Record("id1"))))
    gevent.idle()
    dying.becomes(health=Health.DOWN)
    dying.hang_up()
    assert asked.get(timeout=1.0) == b"ok"
    assert fleet.pool_counts() == {"requests": 1, "retries": 1}


def test_a_request_that_waited_is_counted_once(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK), max_requests=1)
    pool = pool_of(endpoint)
    first = pool.acquire(request_for(), [], 0.0)
    asked = gevent.spawn(lambda: b"".join(forward(request_for(), pool, Record("id1"))))
    gevent.idle()
    assert fleet.pool_counts() == {"requests": 1, "queued": 1, "waiting": 1}
    first.cancel()
    asked.get(timeout=1.0)
    assert fleet.pool_counts() == {"requests": 1, "queued": 1}


def test_an_endpoint_that_refused_is_asked_last_for_a_moment(fleet: Fleet) -> None:
    dead, alive = fleet.endpoint(REFUSED), fleet.endpoint(answering(*[OK] * 4))
    pool = pool_of(dead, alive)
    for _ in range(4):
        assert b"".join(forward(request_for(), pool, Record("id1"))) == b"ok"
    assert (dead.connects, alive.connects) == (1, 1)


def test_a_pool_that_is_down_says_why_in_the_story_and_not_to_the_client(fleet: Fleet) -> None:
    endpoint, record = fleet.endpoint(), Record("id1")
    endpoint.becomes(health=Health.DOWN)
    with pytest.raises(LocalReply) as caught:
        forward(request_for(), pool_of(endpoint), record)
    assert (caught.value.status, caught.value.reason.code) == (503, "no_healthy")
    assert caught.value.detail == "No backend is healthy."
    assert record.story() == "gave up: the only endpoint of pool api is down: 127.0.0.1:8000 down"


def test_when_the_rest_is_down_the_failure_counts(fleet: Fleet) -> None:
    first, second = fleet.endpoint(REFUSED), fleet.endpoint()
    second.becomes(health=Health.DOWN)
    record = Record("id1")
    with pytest.raises(LocalReply) as caught:
        forward(request_for(), pool_of(first, second), record)
    assert caught.value.reason.code == "connect_refused"
    assert record.gave_up == "no other endpoint is usable"


def test_a_request_sent_although_all_are_down_is_marked(fleet: Fleet) -> None:
    endpoint, record = fleet.endpoint(answering(OK)), Record("id1")
    endpoint.becomes(health=Health.DOWN)
    b"".join(forward(request_for(), pool_of(endpoint, when_all_down="fail_open"), record))
    assert record.failed_open
    assert record.story() == "sent although no endpoint is healthy (fail_open)"


def test_a_request_that_waited_for_a_pool_that_is_down_is_marked_too(fleet: Fleet) -> None:
    endpoint, record = fleet.endpoint(answering(OK), max_requests=1), Record("id1")
    endpoint.becomes(health=Health.DOWN)
    pool = pool_of(endpoint, when_all_down="fail_open")
    first = pool.acquire(request_for(), [], 0.0)
    asked = gevent.spawn(lambda: b"".join(forward(request_for(), pool, record)))
    gevent.idle()
    first.cancel()
    assert asked.get(timeout=1.0) == b"ok"
    assert record.failed_open


def test_a_request_waits_for_its_turn(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK), max_requests=1)
    pool = pool_of(endpoint)
    first = pool.acquire(request_for(), [], 0.0)
    asked = gevent.spawn(lambda: b"".join(forward(request_for(), pool, Record("id1"))))
    gevent.idle()
    assert not asked.ready()
    first.cancel()
    assert asked.get(timeout=1.0) == b"ok"
    assert (fleet.in_flight(), fleet.pool_counts()) == (0, {"requests": 1, "queued": 1})


def test_the_reply_of_a_full_queue_says_when_to_come_again(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(max_requests=1)
    pool = pool_of(endpoint, queue={"size": 0})
    pool.acquire(request_for(), [], 0.0)
    with pytest.raises(LocalReply) as caught:
        forward(request_for(), pool, Record("id1"))
    assert (caught.value.reason.code, caught.value.headers) == ("queue_full", (("Retry-After", "1"),))
