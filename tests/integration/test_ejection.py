"""Endpoints that requests themselves find bad: taken out, tried again, and taken back."""

import itertools
from datetime import datetime

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import fetch
from tests.support.handlers import Counting, answer, close_before_answer, in_turn
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.waiting import eventually

UNCHECKED = {"type": "none"}
"""No active checks: one that passes would end an ejection."""


def _until_ejected(process: LbgProcess, backend: Backend) -> None:
    """Send requests one after the other until the backend is out."""

    def out() -> bool:
        fetch(process.address)
        return bool(process.endpoint(backend.url)["state"] == "ejected")

    eventually(out, timeout=15.0, what=f"{backend!r} to be ejected")


def _kinds(process: LbgProcess, backend: Backend) -> list[str]:
    return [event["kind"] for event in process.events(url=backend.url)]


def test_an_endpoint_that_answers_500_is_ejected_after_five_in_a_row(lbg: StartLbg) -> None:
    with Backend() as a, Backend(answer(500)) as b, Backend() as c:
        process = lbg(one_pool(a.url, b.url, c.url, balance="round_robin", health=UNCHECKED), workers=1)
        _until_ejected(process, b)
        failed = len(b.requests)
        assert failed >= 5  # failures of one moment may count as one
        assert process.endpoint(b.url)["reason"] == "server errors"
        with Load(process.address, concurrency=8, total=200) as load:
            load.finish()
        assert not load.failures
        assert len(b.requests) == failed
        (event,) = process.events()
    assert (event["kind"], event["endpoint"]) == ("ejected", b.url)
    assert event["text"] == "5 requests in a row ended in a server error"
    assert f"EJECTED main {b.url}: {event['text']}, for 10 s" in process.log()


def test_failures_are_counted_over_all_workers(lbg: StartLbg) -> None:
    with Backend() as a, Backend(answer(500)) as b:
        process = lbg(one_pool(a.url, b.url, balance="round_robin", health=UNCHECKED), workers=4)
        with Load(process.address, concurrency=8, rate=50, keep_alive=False) as load:
            process.wait_for(b.url, "ejected")
            load.wait_for(20)
            failed = len(load.failures)
            load.wait_for(50)
        assert len(load.failures) == failed
    # Each worker by itself would need five; what was under way when the fifth was heard comes on top.
    assert 5 <= failed < 4 * 5


def test_failures_with_good_answers_between_them_eject_nobody(lbg: StartLbg) -> None:
    turns = itertools.cycle([answer(500), answer(500), answer(500), answer(500), answer()])

    def mostly_bad(connection: BackendConnection) -> None:
        next(turns)(connection)

    with Backend() as a, Backend(mostly_bad) as b:
        process = lbg(one_pool(a.url, b.url, balance="round_robin", health=UNCHECKED), workers=1)
        with Load(process.address, concurrency=1, total=1000) as load:
            load.finish()
        assert process.events() == []
        assert len(b.requests) == 500


def test_not_found_is_no_failure(lbg: StartLbg) -> None:
    with Backend() as a, Backend(answer(404)) as b:
        process = lbg(one_pool(a.url, b.url, balance="round_robin", health=UNCHECKED))
        with Load(process.address, concurrency=4, total=200) as load:
            load.finish()
        assert 80 < len(load.failures) < 120
        assert process.events() == []
        assert process.endpoint(b.url)["usable"]


def test_errors_that_all_endpoints_share_eject_none(lbg: StartLbg) -> None:
    with Backend(answer(500)) as a, Backend(answer(500)) as b, Backend(answer(500)) as c:
        process = lbg(one_pool(a.url, b.url, c.url, health=UNCHECKED))
        with Load(process.address, concurrency=4, total=200) as load:
            load.finish()
        assert len(load.failures) == 200
        assert process.events() == []
        assert min(len(backend.requests) for backend in (a, b, c)) > 20


@pytest.mark.parametrize("how", ["refused", "closed"])
def test_connect_failures_eject_and_no_client_sees_one(lbg: StartLbg, how: str) -> None:
    with Backend() as a, Backend(close_before_answer()) as b:
        if how == "refused":
            b.stop()
        process = lbg(one_pool(a.url, b.url, health=UNCHECKED, connections={"idle": 0}))
        with Load(process.address, concurrency=4, rate=100) as load:
            ejected = process.wait_for(b.url, "ejected")
            load.wait_for(10)
            failures = process.endpoint(b.url)["failures"]
            load.wait_for(50)
            assert process.endpoint(b.url)["failures"] == failures
        assert ejected["reason"] == "connect failures"
    assert not load.failures


def test_the_last_usable_endpoint_is_never_ejected(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b, Backend() as c:
        process = lbg(one_pool(a.url, b.url, c.url, health=UNCHECKED, outlier={"max_ejected": 1.0}))
        for backend in (a, b, c):
            backend.stop()

        def two_out() -> bool:
            assert fetch(process.address).status == 502  # asked for in vain, not refused by lbg
            return len(process.events("ejected")) == 2

        eventually(two_out, what="two to be ejected")
        for _ in range(30):
            assert fetch(process.address).status == 502
        out = {event["endpoint"] for event in process.events("ejected")}
        assert len(out) == 2
        (last,) = [backend for backend in (a, b, c) if backend.url not in out]
        last.start()
        assert fetch(process.address).status == 200


def test_the_last_one_that_its_checks_left_is_never_ejected(lbg: StartLbg) -> None:
    with Backend() as down, Backend(answer(500)) as ejected, Backend() as last:
        down.probe_status = 503
        urls = [each.url for each in (down, ejected, last)]
        process = lbg(one_pool(*urls, health={"interval": 60.0}, outlier={"max_ejected": 1.0}), workers=1)
        _until_ejected(process, ejected)
        last.handler = close_before_answer()
        for _ in range(30):
            assert fetch(process.address).status == 502
        assert process.endpoint(last.url)["failures"] >= 30
        last.handler = answer()
        assert fetch(process.address).status == 200
        assert [(event["kind"], event["endpoint"]) for event in process.events("ejected")] == [
            ("ejected", ejected.url)
        ]


def test_a_check_that_passes_ends_an_ejection(lbg: StartLbg) -> None:
    with Backend() as a, Backend(answer(500)) as b:
        process = lbg(one_pool(a.url, b.url, health={"interval": 1.0}, outlier={"eject": 60.0}))
        _until_ejected(process, b)
        b.handler = answer()
        eventually(lambda: _kinds(process, b)[-1] == "restored", what="the endpoint to be back")
        assert process.endpoint(b.url)["state"] == "up"


def test_one_request_at_a_time_tries_an_ejected_endpoint(lbg: StartLbg) -> None:
    counting = Counting(0.7, in_turn(answer(500), answer(body=b"back")))
    peaks = []

    def tried(connection: BackendConnection) -> None:
        counting(connection)
        peaks.append(counting.peak)

    outlier = {"eject": 0.4, "server_errors": 3}
    with Backend() as a, Backend(answer(500)) as b:
        config = one_pool(a.url, b.url, balance="round_robin", health=UNCHECKED, outlier=outlier)
        process = lbg(config, workers=4)
        _until_ejected(process, b)
        b.handler = tried
        with Load(process.address, concurrency=16, rate=200, keep_alive=False) as load:
            eventually(
                lambda: _kinds(process, b)[-1] == "restored", timeout=15.0, what="the endpoint's return"
            )
            eventually(lambda: peaks[-1:] > [1], what="more than one request at a time")
        ejected, trial, again, last, restored = process.events(url=b.url)
    assert [event["kind"] for event in (ejected, trial, again, last, restored)] == [
        *("ejected", "trial", "ejected", "trial", "restored")
    ]
    assert peaks[:2] == [1, 1]
    assert again["text"] == "the trial request failed"
    assert _between(again, last) > _between(ejected, trial)
    assert len(load.failures) == 1  # the trial that failed


def _between(event: dict[str, str], other: dict[str, str]) -> float:
    return (datetime.fromisoformat(other["time"]) - datetime.fromisoformat(event["time"])).total_seconds()
