"""A pool: whom it hands out, and what it says when there is nobody."""

from collections.abc import Sequence
from time import monotonic, monotonic_ns

import gevent
import pytest

from lbg.balancing.power_of_two import PowerOfTwo
from lbg.balancing.round_robin import RoundRobin
from lbg.state.layout import Ejection, Field, Health, PoolField
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.lease import Lease
from lbg.upstream.pool import Busy, NoEndpoint, Pool
from lbg.upstream.tally import PoolTally
from tests.unit.health.watching import Clock
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, answering, silent

SECOND = 1_000_000_000  # ns
SUSPICION = 0.2  # s

DOWN = {"health": Health.DOWN}
EJECTED = {"ejection": Ejection.EJECTED}


def picks(pool: Pool, count: int, tried: list[Endpoint] | None = None, now: float = 0.0) -> list[Endpoint]:
    return [pool.acquire(request_for(), tried or [], now).endpoint for _ in range(count)]


def test_leases_go_round_the_endpoints(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    assert picks(pool_of(first, second), 4) == [first, second, first, second]


def test_an_endpoint_that_was_tried_is_not_handed_out_again(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    assert picks(pool_of(first, second), 3, [first]) == [second] * 3


def test_when_all_were_tried_there_is_none(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    with pytest.raises(NoEndpoint) as caught:
        pool_of(first, second).acquire(request_for(), [first, second], 0.0)
    assert caught.value.why == ""


def test_a_lease_counts_in_flight_from_its_beginning(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint())
    picks(pool, 2)
    assert endpoint.counts() == {"in_flight": 2}


def test_a_refused_lease_counts_nothing(fleet: Fleet) -> None:
    endpoint = fleet.endpoint()
    with pytest.raises(NoEndpoint):
        pool_of(endpoint).acquire(request_for(), [endpoint], 0.0)
    assert endpoint.counts() == {}


def test_a_request_is_counted_once_however_often_it_is_tried(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second)
    pool.begin_request(request_for())
    pool.acquire(request_for(), [], 0.0)
    pool.acquire(request_for(), [first], 0.0)
    assert fleet.pool_counts() == {"requests": 1}


def test_asking_for_a_lease_counts_no_request(fleet: Fleet) -> None:
    pool = pool_of(fleet.endpoint(max_requests=1))
    pool.acquire(request_for(), [], 0.0)
    with pytest.raises(Busy):
        pool.acquire(request_for(), [], 0.0)
    assert fleet.pool_counts() == {}


def test_each_pick_is_remembered_in_order(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    picks(pool_of(first, second), 3)
    assert (first.picked, second.picked) == (3, 2)


def test_the_repr_names_the_endpoints(fleet: Fleet) -> None:
    assert repr(pool_of(fleet.endpoint())) == "<Pool api [<Endpoint 127.0.0.1:8000 weight=1>]>"


@pytest.mark.parametrize("fields", [DOWN, EJECTED], ids=["down", "ejected"])
def test_an_endpoint_out_of_service_gets_nothing(fleet: Fleet, fields: dict[str, int]) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    first.becomes(**fields)
    assert picks(pool_of(first, second), 2) == [second, second]


def test_a_change_is_noticed_at_the_next_request(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second)
    picks(pool, 1)
    first.becomes(**DOWN)
    assert picks(pool, 2) == [second, second]
    first.becomes(health=Health.UP)
    assert set(picks(pool, 2)) == {first, second}


def test_a_change_is_noticed_at_the_next_tick(fleet: Fleet) -> None:
    warming = fleet.endpoint()
    pool = pool_of(warming, slow_start=10)
    warming.becomes(ramp=100 * SECOND)
    pool.tick(100.0)
    assert warming.effective_weight == pytest.approx(0.1)


def test_nothing_is_computed_anew_while_nothing_changes(fleet: Fleet) -> None:
    made: list[object] = []

    def policy(endpoints: object) -> PowerOfTwo[Endpoint]:
        made.append(endpoints)
        return PowerOfTwo([first])

    first = fleet.endpoint()
    pool = pool_of(first, policy=policy)
    before = len(made)
    picks(pool, 10)
    for tick in range(100):
        pool.tick(tick / 10)
    assert len(made) == before


def test_backups_wait_until_no_other_is_usable(fleet: Fleet) -> None:
    first, backup = fleet.endpoint(), fleet.endpoint(backup=True)
    pool = pool_of(first, backup)
    assert picks(pool, 3) == [first] * 3
    first.becomes(**DOWN)
    assert picks(pool, 3) == [backup] * 3


def test_backups_take_what_failed_at_all_others(fleet: Fleet) -> None:
    first, backup = fleet.endpoint(), fleet.endpoint(backup=True)
    assert picks(pool_of(first, backup), 1, [first]) == [backup]


def test_ejected_endpoints_are_used_when_there_are_no_others(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    first.becomes(**EJECTED)
    second.becomes(**EJECTED)
    assert picks(pool_of(first, second), 2) == [first, second]


def test_a_pool_that_is_down_says_what_its_endpoints_met(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    for endpoint, text in ((first, "connect refused"), (second, "status 503")):
        endpoint.becomes(**DOWN)
        fleet.cells.set_text(endpoint.slot, text)
    with pytest.raises(NoEndpoint) as caught:
        pool_of(first, second).acquire(request_for(), [], 0.0)
    assert caught.value.why == (
        "all 2 endpoints of pool api are down: "
        "127.0.0.1:8000 down: connect refused; 127.0.0.1:8001 down: status 503"
    )
    assert fleet.pool_counts() == {"no_healthy": 1}


def test_only_the_first_endpoints_of_a_large_pool_are_described(fleet: Fleet) -> None:
    endpoints = [fleet.endpoint() for _ in range(7)]
    for endpoint in endpoints:
        endpoint.becomes(**DOWN)
    with pytest.raises(NoEndpoint) as caught:
        pool_of(*endpoints).acquire(request_for(), [], 0.0)
    assert caught.value.why.startswith("all 7 endpoints ")
    assert caught.value.why.endswith("127.0.0.1:8004 down; and 2 more")


def test_a_request_under_way_is_not_told_that_the_pool_went_down(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint(max_requests=1)
    pool = pool_of(first, second)
    first.becomes(**DOWN)
    second.becomes(**DOWN)
    with pytest.raises(NoEndpoint) as caught:
        pool.acquire(request_for(), [first], 0.0)
    assert caught.value.why == ""
    assert fleet.pool_counts() == {}


def test_a_pool_that_fails_open_goes_on_and_says_so(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second, when_all_down="fail_open")
    assert not pool.failing_open
    first.becomes(**DOWN, failed=20)
    second.becomes(**DOWN, failed=10)
    assert picks(pool, 2) == [second, second]
    assert picks(pool, 1, [second]) == [first]
    assert pool.failing_open
    assert caplog.text.count("requests are sent all the same, as when_all_down says") == 1
    assert fleet.pool_counts() == {"no_healthy": 2}


def test_a_pool_that_fails_open_shares_evenly_while_nothing_fails(fleet: Fleet) -> None:
    endpoints = [fleet.endpoint() for _ in range(3)]
    for endpoint in endpoints:
        endpoint.becomes(**DOWN)
    picked = picks(pool_of(*endpoints, when_all_down="fail_open"), 9, now=100.0)
    assert [picked.count(endpoint) for endpoint in endpoints] == [3, 3, 3]


def test_a_pool_that_failed_open_is_as_before_when_one_is_back(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second, when_all_down="fail_open")
    for endpoint in (first, second):
        endpoint.becomes(**DOWN)
    picks(pool, 1)
    first.becomes(health=Health.UP)
    assert picks(pool, 2) == [first, first]
    assert not pool.failing_open


def test_a_limit_is_kept(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint(max_requests=2))
    picks(pool, 2)
    with pytest.raises(Busy):
        pool.acquire(request_for(), [], 0.0)
    assert endpoint.in_flight() == 2


def test_what_one_worker_sends_counts_for_the_limit_in_another() -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint(max_requests=2)
    there = fleet.in_worker(1, here)
    picks(pool_of(here), 1)
    other = pool_of(there, worker=1)
    picks(other, 1)
    with pytest.raises(Busy):
        other.acquire(request_for(), [], 0.0)


def test_the_next_one_is_asked_before_a_request_has_to_wait(fleet: Fleet) -> None:
    first, second = fleet.endpoint(max_requests=1), fleet.endpoint(max_requests=1)
    backup = fleet.endpoint(max_requests=1, backup=True)
    pool = pool_of(first, second, backup)
    assert set(picks(pool, 2)) == {first, second}
    assert picks(pool, 1) == [backup]
    with pytest.raises(Busy):
        pool.acquire(request_for(), [], 0.0)


def test_an_endpoint_that_is_down_makes_nobody_wait_for_it(fleet: Fleet) -> None:
    first, dead = fleet.endpoint(), fleet.endpoint(max_requests=1)
    dead.becomes(**DOWN)
    with pytest.raises(NoEndpoint):
        pool_of(first, dead).acquire(request_for(), [first], 0.0)


def waiting_in(worker: int, fleet: Fleet) -> PoolTally:
    """Let a request of this worker wait in the queue of the pool."""
    tally = PoolTally(fleet.cells, slot=0, worker=worker)
    tally.add(PoolField.WAITING)
    tally.set(PoolField.OLDEST, monotonic_ns())
    return tally


@pytest.mark.parametrize("worker", [0, 1])
def test_nobody_goes_before_those_who_wait_in_any_worker(worker: int) -> None:
    fleet = Fleet(workers=2)
    pool = pool_of(endpoint := fleet.endpoint(max_requests=1))
    tally = waiting_in(worker, fleet)
    with pytest.raises(Busy):
        pool.acquire(request_for(), [], monotonic())
    assert endpoint.in_flight() == 0
    assert pool.acquire(request_for(), [], 0.0, queued=True).endpoint is endpoint
    tally.add(PoolField.WAITING, -1)
    with pytest.raises(Busy):
        pool.acquire(request_for(), [], 0.0, queued=True)


def test_who_waits_for_one_endpoint_only_is_no_reason_to_wait_for_another(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint(max_requests=1))
    waiting_in(0, fleet).set(PoolField.OLDEST, 0)
    assert picks(pool, 1) == [endpoint]


def test_who_was_stopped_while_waiting_is_not_waited_for(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint(max_requests=1), queue={"timeout": 1.0})
    waiting_in(0, fleet).set(PoolField.OLDEST, monotonic_ns() - 3_000_000_000)
    assert pool.acquire(request_for(), [], monotonic()).endpoint is endpoint


def test_what_was_tried_again_before_a_worker_began_is_not_in_its_budget(fleet: Fleet) -> None:
    PoolTally(fleet.cells, slot=0, worker=0).add(PoolField.RETRIES, 1000)
    pool = pool_of(fleet.endpoint())
    assert [pool.may_retry(monotonic()) for _ in range(31)] == [True] * 30 + [False]


def test_where_nobody_can_wait_nobody_is_waited_for(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint())
    waiting_in(0, fleet)  # under a configuration with limits
    assert picks(pool, 1) == [endpoint]


def test_a_pool_without_limits_has_no_queue(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint())
    assert pool.queue is None
    with pytest.raises(NoEndpoint):
        pool.wait(request_for(), [endpoint], 0.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock of the pool."""
    clock = Clock(now=100.0)
    monkeypatch.setattr("lbg.upstream.pool.monotonic", clock.monotonic)
    return clock


def test_others_are_preferred_to_a_suspect_for_a_moment(fleet: Fleet, clock: Clock) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second)
    pool.suspect(first)
    assert picks(pool, 3) == [second] * 3
    pool.tick(100.0 + SUSPICION - 0.01)
    assert picks(pool, 1) == [second]
    pool.tick(100.0 + SUSPICION)
    assert set(picks(pool, 2)) == {first, second}


def test_a_suspect_is_better_than_none_and_than_a_backup(fleet: Fleet, clock: Clock) -> None:
    first, backup = fleet.endpoint(), fleet.endpoint(backup=True)
    pool = pool_of(first, backup)
    pool.suspect(first)
    assert picks(pool, 1) == [first]
    assert picks(pool, 1, [first]) == [backup]


def test_what_fails_again_is_a_suspect_for_longer_and_nothing_is_computed_anew(
    fleet: Fleet, clock: Clock
) -> None:
    made: list[object] = []

    def policy(endpoints: Sequence[Endpoint]) -> RoundRobin[Endpoint]:
        made.append(endpoints)
        return RoundRobin(endpoints)

    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second, policy=policy)
    pool.suspect(first)
    before = len(made)
    clock.now += SUSPICION / 2
    pool.suspect(first)
    assert len(made) == before
    pool.tick(100.0 + SUSPICION)
    assert picks(pool, 2) == [second] * 2
    pool.tick(100.0 + SUSPICION * 1.5)
    assert set(picks(pool, 2)) == {first, second}


def test_a_tick_tells_how_many_requests_await_their_answer(fleet: Fleet) -> None:
    begun = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo")
    hung, endpoint = fleet.endpoint(silent, silent), fleet.endpoint(begun)
    pool = pool_of(hung, endpoint)
    asked = [gevent.spawn(Lease(pool, hung).exchange, request_for(), fresh=True) for _ in range(2)]
    exchange = Lease(pool, endpoint).exchange(request_for(), fresh=False)
    gevent.idle()
    pool.tick(0.0)
    assert [fleet.cells.total(slot, Field.AWAITING) for slot in (0, 1)] == [2, 0]
    assert [fleet.cells.total(slot, Field.IN_FLIGHT) for slot in (0, 1)] == [2, 1]
    gevent.killall(asked)
    exchange.close()
    pool.tick(0.1)
    assert fleet.cells.total(0, Field.AWAITING) == 0


def test_a_new_worker_takes_up_a_slow_start_where_it_is(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.upstream.pool.monotonic", lambda: 105.0)
    endpoint = fleet.endpoint(weight=10)
    endpoint.becomes(ramp=100 * SECOND)
    pool_of(endpoint, slow_start=10)
    assert endpoint.effective_weight == pytest.approx(5.5)


def test_a_weight_grows_with_the_ticks_of_slow_start(fleet: Fleet) -> None:
    endpoint, other = fleet.endpoint(weight=10), fleet.endpoint(weight=10)
    pool = pool_of(endpoint, other, slow_start=10)
    endpoint.becomes(ramp=100 * SECOND)
    seen = []
    for tick in range(1000, 1121):
        pool.tick(tick / 10)
        seen.append(endpoint.effective_weight)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 10
    assert (seen[0], seen[-1]) == (pytest.approx(1.0), 10)


def test_a_smaller_weight_gets_fewer_requests(fleet: Fleet) -> None:
    warming, warm = fleet.endpoint(weight=10), fleet.endpoint(weight=10)
    pool = pool_of(warming, warm, slow_start=10)
    warming.becomes(ramp=100 * SECOND)
    assert picks(pool, 11, now=100.0).count(warming) == 1


def test_the_budget_is_a_share_of_the_requests_of_all_workers() -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint()
    there = fleet.in_worker(1, here)
    pools = pool_of(here, retry={"budget": 0.5}), pool_of(there, worker=1, retry={"budget": 0.5})
    for pool in pools:
        pool.tick(0.0)
    for pool in pools:
        for _ in range(60):
            pool.begin_request(request_for())
    granted = [pools[number % 2].may_retry(1.0) for number in range(70)]
    assert granted == [True] * 60 + [False] * 10
    assert fleet.pool_counts() == {"requests": 120, "retries": 60, "retries_denied": 10}


def test_a_budget_comes_back_with_time(fleet: Fleet) -> None:
    pool = pool_of(fleet.endpoint(), retry={"budget": 0})
    pool.tick(0.0)
    while pool.may_retry(0.5):
        pass
    for second in range(1, 12):
        pool.tick(float(second))
    assert pool.may_retry(11.5)


def test_a_tick_retires_idle_connections(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK))
    pool = pool_of(endpoint)
    b"".join(pool.acquire(request_for(), [], 0.0).exchange(request_for(), fresh=False))
    assert len(endpoint.idle) == 1
    pool.tick(1e12)
    assert len(endpoint.idle) == 0
