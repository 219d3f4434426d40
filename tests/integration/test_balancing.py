"""How requests are shared among endpoints, and what clients see when some of them die."""

from collections import Counter
from collections.abc import Sequence

import pytest

from tests.conftest import StartLbg
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.handlers import answer
from tests.support.lbg import one_pool
from tests.support.load import Load
from tests.support.waiting import eventually

UNJUDGED = {"health": {"type": "none"}, "outlier": {"connect_failures": 0, "server_errors": 0}}
"""Keeps endpoints in service whatever they do."""


def _shares(address: Address, requests: int) -> Counter[bytes]:
    """Send requests one after the other, each on a connection of its own, and count who answered."""
    return Counter(fetch(address).body for _ in range(requests))


def _pattern(address: Address, requests: int) -> bytes:
    """Send requests on one connection, so to one worker, and return who answered them in turn."""
    with RawClient(address) as client:
        return b"".join(client.request().body for _ in range(requests))


def test_ninety_requests_are_split_evenly(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        shares = _shares(lbg(one_pool(a.url, b.url, balance="round_robin")).address, 90)
    assert sum(shares.values()) == 90
    assert set(shares) == {b"a", b"b"}
    assert all(40 <= share <= 50 for share in shares.values()), shares


def test_a_worker_goes_round_its_endpoints(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b, Backend(answer(body=b"c")) as c:
        config = one_pool(a.url, b.url, c.url, balance="round_robin")
        turns = _pattern(lbg(config, workers=1).address, 9)
    assert turns[:3] in (b"abc", b"bca", b"cab")
    assert turns == turns[:3] * 3


@pytest.mark.parametrize("workers", [1, 2])
def test_weights_give_shares(lbg: StartLbg, workers: int) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        endpoints = {"url": a.url, "weight": 4}, {"url": b.url, "weight": 1}
        config = one_pool(*endpoints, balance="round_robin")
        shares = _shares(lbg(config, workers=workers).address, 100)
    # Each worker is off by at most one turn.
    assert 80 - 2 * workers <= shares[b"a"] <= 80 + 2 * workers, shares
    assert shares[b"a"] + shares[b"b"] == 100


def test_a_weighted_round_is_spread_and_not_in_bursts(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        endpoints = {"url": a.url, "weight": 4}, {"url": b.url, "weight": 1}
        config = one_pool(*endpoints, balance="round_robin")
        turns = _pattern(lbg(config, workers=1).address, 20)
    assert b"aaaaa" not in turns
    assert turns.count(b"b") == 4


def test_no_client_sees_an_endpoint_die(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url))
        with Load(process.address, concurrency=32, total=2000) as load:
            load.wait_for(500)
            b.stop()
            load.finish()
    assert not load.failures
    assert load.bodies.total() == 2000
    assert load.bodies[b"a"] > load.bodies[b"b"] > 0
    assert not load.stale


def test_an_endpoint_that_comes_back_gets_its_share_again(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url))
        assert set(_shares(process.address, 10)) == {b"a", b"b"}
        b.stop()
        assert set(_shares(process.address, 10)) == {b"a"}
        b.start()

        def even() -> bool:
            shares = _shares(process.address, 20)
            return 8 <= shares[b"b"] <= 12

        eventually(even, timeout=10.0, what="an even split")


def test_all_endpoints_down_is_told_at_once(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url, **UNJUDGED))
        a.stop()
        b.stop()
        with RawClient(process.address, timeout=3.0) as client:
            response = client.request()
            again = client.request()
    assert (response.status, again.status) == (502, 502)
    (status,) = response.values("proxy-status")
    assert status.startswith("lbg;")
    assert "error=connection_refused" in status
    assert "connect_refused" in status
    assert b"connect_refused" in response.body


def test_the_log_of_a_failure_names_each_attempt(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url, **UNJUDGED))
        a.stop()
        b.stop()
        request_id = fetch(process.address, "/some/path").get("x-request-id")
        assert request_id

        def told() -> bool:
            lines: Sequence[str] = [line for line in process.log().splitlines() if request_id in line]
            return any(
                all(part in line for part in (a.url[7:], b.url[7:], "connect_refused", "/some/path"))
                for line in lines
            )

        eventually(told, what="a line with both addresses and the reason")


def test_one_worker_in_all_does_everything(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = lbg(one_pool(a.url, b.url, balance="round_robin"), args=["-w", "1"])
        assert [worker["role"] for worker in process.status()["workers"]] == ["combined"]
        with Load(process.address, concurrency=8, total=200) as load:
            load.finish()
            assert process.status()["pools"]["main"]["endpoints"][0]["requests"] > 0
    assert load.bodies == {b"a": 100, b"b": 100}


def test_the_admin_api_is_not_on_the_public_listener(lbg: StartLbg) -> None:
    with Backend(answer(body=b"from the backend")) as backend:
        process = lbg(one_pool(backend.url), args=["-w", "1"])
        assert fetch(process.address, "/api/v1/status").body == b"from the backend"
        assert fetch(process.admin_address, "/nothing").status == 404
