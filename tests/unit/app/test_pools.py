"""What the pools of a process keep when another configuration comes into force."""

from typing import Any

import pytest

from lbg.app.pools import Pools
from lbg.app.shared import Shared
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.state.document import Published
from lbg.state.layout import assign_slots, identity
from lbg.upstream.connection import Connection
from lbg.upstream.endpoint import Endpoint
from tests.unit.upstream.test_idle import connection


class Process:
    """The pools of one process, over several configurations."""

    def __init__(self, **pools: Any) -> None:
        self._slots: dict[str, int] = {}
        self._pool_slots: dict[str, int] = {}
        self._generation = 0
        self.shared = Shared.private()
        self.pools = Pools(self._published(pools), self.shared, serves=True)

    def _published(self, pools: dict[str, Any]) -> Published:
        config = Config.model_validate({"pools": pools, "routes": [{"pool": next(iter(pools))}]})
        names = [
            identity(name, one.address.text) for name, pool in config.pools.items() for one in pool.endpoints
        ]
        self._generation += 1
        self._slots = assign_slots(self._slots, names, 100)
        self._pool_slots = assign_slots(self._pool_slots, config.pools, 100)
        snapshot = Snapshot.of(config, self._generation, "lbg.toml")
        return Published(snapshot, self._slots, self._pool_slots)

    def adopt(self, **pools: Any) -> None:
        """Take up another configuration."""
        self.pools.adopt(self._published(pools))

    def endpoint(self, name: str, pool: str = "web") -> Endpoint:
        """Return an endpoint of a pool."""
        return next(one for one in self.pools.by_name[pool].endpoints if one.name == name)

    def rest(self, name: str) -> Connection:
        """Leave an idle connection at an endpoint."""
        resting = connection()
        self.endpoint(name).idle.put(resting)
        return resting


def web(*endpoints: Any, **more: Any) -> dict[str, Any]:
    """Return the configuration of a pool."""
    return {"endpoints": list(endpoints), **more}


@pytest.fixture
def process() -> Process:
    return Process(web=web("http://a:1", "http://b:2"), api=web("http://c:3"))


def test_a_pool_that_is_the_same_stays_the_same(process: Process) -> None:
    before = process.pools.by_name
    process.adopt(web=web("http://a:1"), api=web("http://c:3"))
    assert process.pools.by_name["api"] is before["api"]
    assert process.pools.by_name["web"] is not before["web"]


def test_an_endpoint_that_stays_keeps_its_connections(process: Process) -> None:
    resting, endpoint = process.rest("a:1"), process.endpoint("a:1")
    process.adopt(web=web("http://new:1", "http://a:1", balance="random"))
    assert process.endpoint("a:1") is endpoint
    assert endpoint.idle.take() is resting


def test_an_endpoint_that_goes_closes_its_connections_and_keeps_no_more(process: Process) -> None:
    resting, gone = process.rest("b:2"), process.endpoint("b:2")
    process.adopt(web=web("http://a:1"))
    assert resting.stream.closed
    late = connection()
    gone.idle.put(late)
    assert late.stream.closed


def test_what_waits_at_an_endpoint_that_stays_is_still_known(process: Process) -> None:
    endpoint = process.endpoint("a:1")
    marker: Any = object()
    endpoint.waiting.add(marker)
    process.adopt(web=web("http://a:1"))
    assert marker in process.endpoint("a:1").waiting


def test_an_endpoint_goes_by_its_new_configuration(process: Process) -> None:
    process.adopt(
        web=web(
            "http://b:2",
            {"url": "http://a:1", "weight": 5, "max_requests": 7, "backup": True},
            connections={"idle": 0},
        )
    )
    endpoint = process.endpoint("a:1")
    assert (endpoint.weight, endpoint.max_requests, endpoint.backup) == (5, 7, True)
    assert process.rest("a:1").stream.closed


def test_less_room_for_idle_connections_closes_the_oldest(process: Process) -> None:
    oldest, newest = process.rest("a:1"), process.rest("a:1")
    process.adopt(web=web("http://a:1", connections={"idle": 1}))
    assert (oldest.stream.closed, newest.stream.closed) == (True, False)


def test_what_another_policy_measured_is_forgotten(process: Process) -> None:
    process.adopt(web=web("http://a:1", balance="peak_ewma"))
    measured = process.endpoint("a:1").latency
    assert measured is not None
    process.adopt(web=web("http://a:1", "http://b:2", balance="peak_ewma"))
    assert process.endpoint("a:1").latency is measured
    process.adopt(web=web("http://a:1", balance="random"))
    assert process.endpoint("a:1").latency is None


def test_ties_go_on_where_they_were(process: Process) -> None:
    process.endpoint("a:1").picked = 4000
    process.endpoint("b:2").picked = 4001
    process.adopt(web=web("http://a:1", "http://b:2", timeouts={"response": 7.0}))
    assert process.pools.by_name["web"]._picks == 4001


def test_who_waits_or_tries_again_does_so_at_the_endpoints_in_force(process: Process) -> None:
    before = process.pools.by_name["web"]
    process.adopt(web=web("http://b:2", "http://c:3"))
    process.adopt(web=web("http://c:3", "http://d:4"))
    assert [endpoint.name for endpoint in before.endpoints] == ["c:3", "d:4"]


def test_a_queue_outlives_a_change_of_its_pool(process: Process) -> None:
    limited = {"url": "http://a:1", "max_requests": 1}
    process.adopt(web=web(limited))
    queue = process.pools.by_name["web"].queue
    assert queue is not None
    process.adopt(web=web(limited, "http://b:2", queue={"size": 7}))
    assert process.pools.by_name["web"].queue is queue
    assert queue._size == 7
    process.adopt(web=web("http://a:1"))
    assert process.pools.by_name["web"].queue is None


def test_the_same_address_in_another_pool_is_another_endpoint(process: Process) -> None:
    before = process.endpoint("a:1")
    process.adopt(other=web("http://a:1"))
    assert process.endpoint("a:1", "other") is not before
    assert process.endpoint("a:1", "other").slot != before.slot
