"""Requests taken away from an endpoint that goes down while they wait for its answer."""

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import gevent
import pytest

from lbg.errors import ClientGone, Sent, UpstreamError
from lbg.net.stream import Stream
from lbg.state.layout import Cause, Ejection, Health
from lbg.upstream.body import RequestBody
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.lease import Lease
from lbg.upstream.pool import Pool
from lbg.upstream.request import UpstreamRequest
from tests.unit.upstream.inputs import Waiting
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, ScriptedEndpoint, read_head, silent

DOWN = {"health": Health.DOWN}
HUNG = {"ejection": Ejection.EJECTED, "ejected_for": Cause.SILENCE}


class Waiter:
    """A request that waits for the answer of the endpoint it has a lease on."""

    def __init__(self, lease: Lease, request: UpstreamRequest | None = None) -> None:
        self.lease = lease
        self._greenlet = gevent.spawn(self._run, request or request_for())
        gevent.idle()
        assert self._still_waits

    def _run(self, request: UpstreamRequest) -> Any:
        try:
            return b"".join(self.lease.exchange(request, fresh=False))
        except (UpstreamError, ClientGone) as error:
            return error

    @property
    def _still_waits(self) -> bool:
        return not self._greenlet.ready()

    @property
    def stays(self) -> bool:
        """Whether it still waits when all that can happen has happened."""
        gevent.idle()
        return self._still_waits

    def outcome(self) -> Any:
        """Return the answer or the failure."""
        return self._greenlet.get(timeout=1.0)

    def leave(self) -> None:
        """Let its client go away."""
        self._greenlet.kill(ClientGone("left"), block=False)


def waiting_on(
    pool: Pool, endpoint: Endpoint, request: UpstreamRequest | None = None, tried: Sequence[Endpoint] = ()
) -> Waiter:
    """Return a request that waits for `endpoint`, one of the pool's, and was at `tried` before."""
    return Waiter(Lease(pool, endpoint, tried), request)


Place = tuple[Pool, ScriptedEndpoint, ScriptedEndpoint]


@pytest.fixture
def place(fleet: Fleet) -> Place:
    """Give a pool, its endpoint that never answers, and another one."""
    hung, other = fleet.endpoint(*[silent] * 3), fleet.endpoint()
    return pool_of(hung, other), hung, other


@pytest.mark.parametrize("fields", [DOWN, HUNG], ids=["down", "hung"])
@pytest.mark.parametrize(
    "notice", [lambda pool: pool.tick(0.0), lambda pool: pool.acquire(request_for(), [], 0.0)]
)
def test_a_request_waiting_for_an_endpoint_that_goes_down_fails_at_once(
    place: Place, fields: dict[str, int], notice: Callable[[Pool], object]
) -> None:
    pool, hung, _ = place
    waiter = waiting_on(pool, hung)
    hung.becomes(**fields)
    notice(pool)
    failure = waiter.outcome()
    assert (failure.reason.code, failure.sent, failure.rescued) == ("upstream_reset", Sent.WRITTEN, True)
    assert failure.detail == "went down while the request waited"


def test_a_rescue_is_counted_blames_nobody_and_takes_from_the_budget(fleet: Fleet, place: Place) -> None:
    pool, hung, _ = place
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    pool.tick(0.0)
    waiter.outcome()
    assert hung.counts() == {"rescues": 1}
    assert fleet.reports() == []
    assert fleet.pool_counts() == {"retries": 1}
    assert hung.was_left()


def test_all_that_wait_are_rescued(place: Place) -> None:
    pool, hung, _ = place
    waiters = [waiting_on(pool, hung) for _ in range(3)]
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert [waiter.outcome().rescued for waiter in waiters] == [True] * 3


@pytest.mark.parametrize(
    "fields",
    [
        {"health": Health.UP},
        {"ejection": Ejection.EJECTED, "ejected_for": Cause.SERVER_ERRORS},
        {"ejection": Ejection.EJECTED, "ejected_for": Cause.CONNECT_FAILURES},
    ],
)
def test_a_request_stays_while_its_endpoint_may_still_answer(place: Place, fields: dict[str, int]) -> None:
    pool, hung, _ = place
    waiter = waiting_on(pool, hung)
    hung.becomes(**fields)
    pool.tick(0.0)
    assert waiter.stays


def test_a_trial_is_not_taken_away_for_what_happened_before_it(place: Place) -> None:
    pool, hung, other = place
    hung.becomes(ejection=Ejection.TRIAL, ejected_for=Cause.SILENCE)
    waiter = Waiter(pool.acquire(request_for(), [], 0.0))
    assert waiter.lease.trial
    other.becomes(checked=1)
    pool.tick(0.0)
    assert waiter.stays


def test_a_trial_whose_endpoint_goes_down_is_given_back(fleet: Fleet, place: Place) -> None:
    pool, hung, _ = place
    hung.becomes(ejection=Ejection.TRIAL)
    waiter = Waiter(pool.acquire(request_for(), [], 0.0))
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.outcome().rescued
    assert fleet.reports() == []
    assert hung.begin_trial()


@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_what_must_not_be_sent_twice_stays(place: Place, method: str) -> None:
    pool, hung, _ = place
    waiter = waiting_on(pool, hung, request_for(method))
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.stays


def test_a_request_whose_body_is_gone_stays(place: Place) -> None:
    pool, hung, _ = place
    request = request_for("PUT")
    request.body = RequestBody(BytesIO(b"body"), 4, buffer=3)
    waiter = waiting_on(pool, hung, request)
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.stays


def test_a_request_whose_attempts_are_used_up_stays(place: Place) -> None:
    pool, hung, _ = place
    request = request_for()
    request.attempt = 3
    waiter = waiting_on(pool, hung, request)
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.stays


def test_a_request_stays_when_the_budget_is_used_up(fleet: Fleet, place: Place) -> None:
    pool, hung, _ = place
    pool.tick(0.0)
    while pool.may_retry(0.5):
        pass
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    pool.tick(0.5)
    assert waiter.stays


def test_it_is_taken_away_when_the_budget_is_back(place: Place) -> None:
    pool, hung, _ = place
    pool.tick(0.0)
    while pool.may_retry(0.5):
        pass
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    for second in range(1, 10):
        pool.tick(float(second))
    assert waiter.stays
    for second in range(10, 13):
        pool.tick(float(second))
    assert waiter.outcome().rescued


def test_a_request_stays_when_no_other_endpoint_is_usable(place: Place) -> None:
    pool, hung, other = place
    waiter = waiting_on(pool, hung)
    other.becomes(**DOWN)
    hung.becomes(**HUNG)
    pool.tick(0.0)
    assert waiter.stays


def test_a_request_stays_when_the_pool_fails_open(fleet: Fleet) -> None:
    hung, other = fleet.endpoint(silent), fleet.endpoint()
    pool = pool_of(hung, other, when_all_down="fail_open")
    waiter = waiting_on(pool, hung)
    for endpoint in (hung, other):
        endpoint.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.stays


def test_a_request_stays_when_it_was_at_all_others(place: Place) -> None:
    pool, hung, other = place
    waiter = waiting_on(pool, hung, tried=[other])
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.stays


def test_a_pool_can_do_without_rescues(fleet: Fleet) -> None:
    hung, other = fleet.endpoint(silent), fleet.endpoint()
    pool = pool_of(hung, other, retry={"on": ["connect", "stale", "reset"]})
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.stays


def test_a_rescue_takes_from_the_budget_once(fleet: Fleet, place: Place) -> None:
    pool, hung, other = place
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    pool.tick(0.0)
    other.becomes(checked=1)
    pool.tick(0.1)
    waiter.outcome()
    assert fleet.pool_counts()["retries"] == 1


def test_a_request_that_fails_by_itself_in_that_moment_is_not_rescued_besides(
    fleet: Fleet, place: Place
) -> None:
    pool, hung, _ = place
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    hung.hang_up()
    failure = waiter.outcome()
    assert (failure.reason.code, failure.rescued) == ("upstream_reset", False)
    assert (hung.counts(), fleet.pool_counts()) == ({"failures": 1}, {})


def test_an_answer_that_comes_in_the_moment_of_the_rescue_is_not_begun(fleet: Fleet) -> None:
    received: list[Stream] = []

    def hung_for_a_while(stream: Stream) -> None:
        read_head(stream)
        received.append(stream)
        gevent.sleep(9)

    hung, other = fleet.endpoint(hung_for_a_while), fleet.endpoint()
    pool = pool_of(hung, other)
    waiter = waiting_on(pool, hung)
    received[0].sock.send(OK[:-1])  # and the rest of its body is still to come
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.outcome().rescued
    assert hung.counts() == {"rescues": 1}


def test_a_client_that_leaves_in_the_moment_of_the_rescue_is_gone(fleet: Fleet, place: Place) -> None:
    pool, hung, _ = place
    waiter = waiting_on(pool, hung)
    hung.becomes(**DOWN)
    waiter.leave()
    pool.tick(0.0)
    assert isinstance(waiter.outcome(), ClientGone)
    assert hung.counts() == {}


def test_a_rescue_ends_the_upload_that_is_under_way(fleet: Fleet) -> None:
    hung, other = fleet.endpoint(silent), fleet.endpoint()
    pool = pool_of(hung, other)
    request = request_for("PUT")
    source = Waiting()
    source.queue.put(b"begun")
    request.body = RequestBody(source, 100, buffer=1000)
    waiter = waiting_on(pool, hung, request)
    hung.becomes(**DOWN)
    pool.tick(0.0)
    assert waiter.outcome().rescued
    assert request.replayable
    request.body.rewind()
    assert request.body.read_some() == b"begun"


def test_a_request_that_has_its_answer_is_left_alone(fleet: Fleet) -> None:
    def answers_in_part(stream: Stream) -> None:
        read_head(stream)
        stream.send(OK[:-1])
        gevent.sleep(9)

    endpoint, other = fleet.endpoint(answers_in_part), fleet.endpoint()
    pool = pool_of(endpoint, other)
    exchange = pool.acquire(request_for(), [other], 0.0).exchange(request_for(), fresh=False)
    endpoint.becomes(**DOWN)
    pool.tick(0.0)
    assert not exchange.tunnel()[0].aborted
    exchange.close()
