"""Requests that wait for a place: in which order, for how long, and how they leave."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import pytest

from lbg.errors import ClientGone, LocalReply
from lbg.net.deadline import NEVER
from lbg.state.layout import Ejection, Health, PoolField
from lbg.upstream import queue as module
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.lease import Lease
from lbg.upstream.pool import Busy, NoEndpoint, Pool
from lbg.upstream.tally import PoolTally
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for

DOWN = {"health": Health.DOWN}


class Requests:
    """Requests to one pool, each in a greenlet; `served` names those that got a lease, in order."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.served: list[str] = []
        self.leases: dict[str, Lease] = {}
        self.greenlets: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        return self.greenlets[name]

    def come(self, *names: str, tried: list[Endpoint] | None = None, ends: float = NEVER) -> None:
        """Let requests come one after the other, until each has a lease or waits."""
        for name in names:
            self.greenlets[name] = gevent.spawn(self._ask, name, tried or [], ends)
            settle()

    def _ask(self, name: str, tried: list[Endpoint], ends: float) -> None:
        try:
            lease = self._lease(tried, ends)
        except ClientGone:
            return
        self.served.append(name)
        self.leases[name] = lease

    def _lease(self, tried: list[Endpoint], ends: float) -> Lease:
        request = request_for()
        request.ends = ends
        try:
            return self.pool.acquire(request, tried, 0.0)
        except Busy:
            return self.pool.wait(request, tried, 0.0)

    def leave(self, name: str) -> None:
        """Let a client go away: its greenlet hears of it in the next turn of the loop."""
        self[name].kill(ClientGone("left"), block=False)

    def finish(self, *names: str) -> None:
        """Let requests end, and those that wait have their turn."""
        for name in names:
            self.leases[name].cancel()
            settle()

    def refusal(self, name: str) -> LocalReply:
        """Return the reply that a request got in place of a lease."""
        with pytest.raises(LocalReply) as caught:
            self[name].get(timeout=1.0)
        return caught.value


def settle() -> None:
    """Let all greenlets run that can."""
    for _ in range(5):
        gevent.sleep(0)


Ask = Callable[[Pool], Requests]


@pytest.fixture
def asking() -> Iterator[Ask]:
    """Give a maker of requests to a pool; those that still wait are killed at the end."""
    made: list[Requests] = []

    def ask(pool: Pool) -> Requests:
        made.append(Requests(pool))
        return made[-1]

    yield ask
    for requests in made:
        gevent.killall(list(requests.greenlets.values()))


@pytest.fixture
def requests(fleet: Fleet, asking: Ask) -> Requests:
    """Give requests to a pool of one endpoint that takes one at a time."""
    return asking(pool_of(fleet.endpoint(max_requests=1), queue={"size": 3, "timeout": 5}))


def waiting(requests: Requests) -> int:
    assert requests.pool.queue is not None
    return requests.pool.queue.waiting


def test_who_comes_first_is_served_first(fleet: Fleet, requests: Requests) -> None:
    requests.come("a", "b", "c", "d")
    assert (requests.served, waiting(requests)) == (["a"], 3)
    requests.finish("a", "b", "c", "d")
    assert (requests.served, waiting(requests)) == (["a", "b", "c", "d"], 0)
    assert fleet.pool_counts() == {"queued": 3}
    assert fleet.in_flight() == 0


def test_nobody_is_served_while_there_is_no_room(requests: Requests) -> None:
    requests.come("a", "b")
    assert requests.pool.queue is not None
    requests.pool.queue.freed()
    settle()
    assert requests.served == ["a"]


def test_as_many_are_let_in_as_there_is_room(fleet: Fleet, asking: Ask) -> None:
    requests = asking(pool_of(*[fleet.endpoint(max_requests=1) for _ in range(2)]))
    requests.come("a", "b", "c", "d", "e")
    for name in ("a", "b"):
        requests.leases[name].cancel()
    settle()
    assert requests.served == ["a", "b", "c", "d"]


def test_who_comes_later_does_not_take_the_place_of_who_waits(asking: Ask) -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint(max_requests=1)
    elsewhere = pool_of(fleet.in_worker(1, here), worker=1).acquire(request_for(), [], 0.0)
    requests = asking(pool_of(here))
    requests.come("first")
    elsewhere.cancel()
    requests.come("second")
    assert requests.served == ["first"]


def test_who_waits_for_one_endpoint_keeps_nobody_from_another(fleet: Fleet, asking: Ask) -> None:
    limited, other = fleet.endpoint(max_requests=1), fleet.endpoint()
    requests = asking(pool_of(limited, other))
    requests.come("a", tried=[other])
    requests.come("b", tried=[other])
    requests.come("c", "d")
    assert requests.served == ["a", "c", "d"]


def test_who_finds_room_is_served_without_a_turn_of_the_loop(fleet: Fleet) -> None:
    pool = pool_of(endpoint := fleet.endpoint(max_requests=1))
    assert pool.wait(request_for(), [], 0.0).endpoint is endpoint
    assert fleet.pool_counts() == {"queued": 1}


def test_a_bug_in_the_choice_of_an_endpoint_leaves_nobody_in_the_queue(fleet: Fleet) -> None:
    def fail() -> None:
        raise ValueError("a bug")

    queue = pool_of(fleet.endpoint(max_requests=1)).queue
    assert queue is not None
    with pytest.raises(ValueError, match="a bug"):
        queue.wait(fail, 1.0)
    assert (len(queue), queue.waiting) == (0, 0)


def test_a_retry_that_finds_no_room_keeps_nobody_waiting(fleet: Fleet, asking: Ask) -> None:
    tried, busy = fleet.endpoint(max_requests=1), fleet.endpoint(max_requests=1)
    requests = asking(pool_of(tried, busy))
    requests.come("a", "b")
    requests.come("retry", tried=[tried])
    requests.come("c")
    [on_tried] = [name for name, lease in requests.leases.items() if lease.endpoint is tried]
    requests.finish(on_tried)
    assert requests.served == ["a", "b", "c"]
    requests.finish(*({"a", "b"} - {on_tried}))
    assert requests.served == ["a", "b", "c", "retry"]


@dataclass
class Workers:
    """Two workers over one endpoint that takes one request at a time; it is taken from the beginning."""

    fleet: Fleet
    here: Requests
    there: Requests
    lease: Lease

    def tell_oldest(self, since: int) -> None:
        """Let the other worker tell that its first request has been waiting since then."""
        PoolTally(self.fleet.cells, slot=0, worker=1).set(PoolField.OLDEST, since)


@pytest.fixture
def workers(asking: Ask) -> Workers:
    """Give two workers, each with a queue of its own."""
    fleet = Fleet(workers=2)
    endpoint = fleet.endpoint(max_requests=1)
    here, there = pool_of(endpoint), pool_of(fleet.in_worker(1, endpoint), worker=1)
    return Workers(fleet, asking(here), asking(there), here.acquire(request_for(), [], 0.0))


def oldest(fleet: Fleet) -> list[bool]:
    """Return which workers tell that somebody waits."""
    return [since > 0 for since in fleet.cells.pool_each(0, PoolField.OLDEST)]


def test_who_comes_first_is_served_first_over_all_workers(workers: Workers) -> None:
    workers.there.come("first")
    workers.here.come("second")
    workers.lease.cancel()
    assert (workers.here.served, workers.there.served) == ([], [])
    workers.there["first"].get(timeout=1.0)
    workers.there.finish("first")
    workers.here["second"].get(timeout=1.0)
    assert oldest(workers.fleet) == [False, False]


def test_each_worker_tells_whether_somebody_waits_there(workers: Workers) -> None:
    workers.there.come("a", "b")
    assert oldest(workers.fleet) == [False, True]
    workers.there.leave("a")
    settle()
    assert oldest(workers.fleet) == [False, True]
    workers.there.leave("b")
    settle()
    assert oldest(workers.fleet) == [False, False]


def test_a_retry_keeps_no_other_worker_waiting(workers: Workers) -> None:
    tried = workers.there.pool.endpoints[0]
    other = workers.fleet.endpoint(slot=1, worker=1, max_requests=1)
    other.began()
    limited = pool_of(*workers.there.pool.endpoints, other, worker=1)
    assert limited.queue is not None
    retry = gevent.spawn(limited.wait, None, [tried], 0.0, NEVER)
    settle()
    assert oldest(workers.fleet) == [False, False]
    retry.kill(ClientGone("left"))


@pytest.mark.parametrize(("ago", "served"), [(5.9, []), (6.1, ["a"])])
def test_a_worker_that_was_stopped_holds_up_nobody_for_longer_than_a_wait_may_take(
    workers: Workers, monkeypatch: pytest.MonkeyPatch, ago: float, served: list[str]
) -> None:
    workers.here.pool = pool_of(*workers.here.pool.endpoints, queue={"timeout": 5})
    monkeypatch.setattr(module, "monotonic_ns", lambda: 100_000_000_000)
    workers.tell_oldest(int((100.0 - ago) * 1e9))
    workers.here.come("a")
    workers.lease.cancel()
    assert workers.here.pool.queue is not None
    workers.here.pool.queue.freed()
    settle()
    assert workers.here.served == served


def test_soon_after_a_boot_workers_without_requests_hold_up_nobody(
    workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "monotonic_ns", lambda: 1_000_000_000)
    workers.here.come("a")
    workers.lease.cancel()
    settle()
    assert workers.here.served == ["a"]


def test_a_full_queue_refuses_at_once(fleet: Fleet, requests: Requests) -> None:
    requests.come("a", "b", "c", "d", "e")
    refusal = requests.refusal("e")
    assert (refusal.status, refusal.reason.code) == (503, "queue_full")
    assert fleet.pool_counts() == {"waiting": 3, "queued": 3, "queue_full": 1}


def test_a_queue_of_no_size_lets_nobody_wait(fleet: Fleet, asking: Ask) -> None:
    requests = asking(pool_of(fleet.endpoint(max_requests=1), queue={"size": 0}))
    requests.come("a", "b")
    assert requests.refusal("b").reason.code == "queue_full"


def test_the_size_counts_those_who_wait_in_all_workers(asking: Ask) -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint(max_requests=1)
    there = fleet.in_worker(1, here)
    requests = asking(pool_of(here, queue={"size": 1}))
    elsewhere = asking(pool_of(there, worker=1, queue={"size": 1}))
    requests.come("a", "b")
    elsewhere.come("c")
    assert elsewhere.refusal("c").reason.code == "queue_full"


def test_the_wait_ends_at_its_timeout(fleet: Fleet, asking: Ask) -> None:
    requests = asking(pool_of(fleet.endpoint(max_requests=1), queue={"timeout": 0.002}))
    requests.come("a", "b")
    refusal = requests.refusal("b")
    assert (refusal.status, refusal.reason.code) == (503, "queue_timeout")
    assert fleet.pool_counts() == {"queued": 1, "queue_timeouts": 1}


def test_the_wait_ends_with_the_time_for_the_whole_request(requests: Requests) -> None:
    requests.come("a")
    requests.come("b", ends=0.002)
    assert requests.refusal("b").reason.code == "queue_timeout"
    requests.come("c", ends=-1.0)
    assert requests.refusal("c").reason.code == "queue_timeout"


@pytest.mark.parametrize(
    ("completed_per_second", "seconds"),
    [(0.0, "1"), (1000.0, "1"), (3.0, "1"), (2.0, "2"), (1.0, "3"), (0.1, "30"), (0.001, "30")],
)
def test_the_client_is_told_when_to_come_again(
    requests: Requests, completed_per_second: float, seconds: str
) -> None:
    requests.come("a", "b", "c", "d")
    assert requests.pool.queue is not None
    requests.pool.queue.completed_per_second = completed_per_second
    requests.come("e")
    assert requests.refusal("e").headers == (("Retry-After", seconds),)


def test_completions_are_counted_over_all_workers_and_the_last_seconds() -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint(max_requests=9)
    there = fleet.in_worker(1, here)
    pool = pool_of(here)
    assert pool.queue is not None
    for second in range(20):
        for endpoint in (here, there, there):
            endpoint.began()
            endpoint.answered(200)
            endpoint.left()
        pool.tick(float(second))
    assert pool.queue.completed_per_second == pytest.approx(3.0)


def test_a_client_that_leaves_gives_up_its_place(fleet: Fleet, requests: Requests) -> None:
    requests.come("a", "b", "c")
    requests.leave("b")
    settle()
    assert waiting(requests) == 1
    requests.finish("a")
    assert requests.served == ["a", "c"]
    assert fleet.pool_counts() == {"queued": 2}


def test_a_lease_handed_over_in_the_moment_its_client_leaves_goes_to_the_next(
    fleet: Fleet, requests: Requests
) -> None:
    requests.come("a", "b", "c")
    requests.leave("b")
    requests.leases["a"].cancel()
    settle()
    assert requests.served == ["a", "c"]
    requests.finish("c")
    assert (fleet.in_flight(), waiting(requests)) == (0, 0)


def test_a_trial_handed_over_in_the_moment_its_client_leaves_is_given_back(fleet: Fleet, asking: Ask) -> None:
    endpoint, other = fleet.endpoint(max_requests=1), fleet.endpoint(max_requests=1)
    requests = asking(pool_of(endpoint, other))
    requests.come("a", "b", "c", "d")
    endpoint.becomes(ejection=Ejection.TRIAL)
    [on_it] = [lease for lease in requests.leases.values() if lease.endpoint is endpoint]
    requests.leave("c")
    on_it.cancel()
    settle()
    assert (requests.leases["d"].endpoint, requests.leases["d"].trial) == (endpoint, True)


def test_all_endpoints_going_down_end_the_wait(fleet: Fleet, requests: Requests) -> None:
    requests.come("a", "b", "c")
    fleet.endpoints[0].becomes(**DOWN)
    for name in ("b", "c"):
        with pytest.raises(NoEndpoint) as caught:
            requests[name].get(timeout=1.0)
        assert caught.value.why.startswith("the only endpoint of pool api is down")
    assert fleet.pool_counts() == {"queued": 2, "no_healthy": 2}


def test_what_ends_in_another_worker_is_noticed(asking: Ask) -> None:
    fleet = Fleet(workers=2)
    here = fleet.endpoint(max_requests=1)
    elsewhere = pool_of(fleet.in_worker(1, here), worker=1).acquire(request_for(), [], 0.0)
    requests = asking(pool_of(here))
    requests.come("a")
    assert requests.served == []
    elsewhere.cancel()
    requests["a"].get(timeout=1.0)
    assert requests.served == ["a"]


def test_nobody_looks_around_while_nobody_waits(requests: Requests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LOOK", 0.0)
    looks: list[int] = []
    queue = requests.pool.queue
    assert queue is not None
    monkeypatch.setattr(type(queue), "freed", lambda queue: looks.append(len(queue)))
    requests.come("a", "b")
    settle()
    assert len(looks) >= 3
    requests.leave("b")
    settle()
    before = len(looks)
    settle()
    assert len(looks) == before


def test_an_endpoint_that_comes_up_lets_those_in_who_wait(fleet: Fleet, asking: Ask) -> None:
    first, second = fleet.endpoint(max_requests=1), fleet.endpoint(max_requests=1)
    second.becomes(**DOWN)
    requests = asking(pool_of(first, second))
    requests.come("a", "b")
    second.becomes(health=Health.UP)
    requests["b"].get(timeout=1.0)
    assert requests.leases["b"].endpoint is second


def test_the_repr_tells_how_many_wait(requests: Requests) -> None:
    requests.come("a", "b")
    assert repr(requests.pool.queue) == "<Queue 1 here, 1 of 3 in all>"
