"""What is read of cells and series: sums over workers, the living and the dead."""

from pathlib import Path

import pytest

from lbg.control.stats_counts import CountsReader
from tests.unit.control.control_app import published
from tests.unit.control.counting import Counting


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting(tmp_path)


@pytest.fixture
def reader(counting: Counting) -> CountsReader:
    return CountsReader(published(), counting.cells, counting.series)


def test_attempts_of_all_workers_are_added_up(counting: Counting, reader: CountsReader) -> None:
    counting.attempts("web/a:1", worker=1, responses_2xx=3, bucket=1)
    counting.attempts("web/a:1", worker=2, responses_4xx=2, bucket=1)
    found = reader.read().endpoints["web/a:1"]
    assert (found.requests, found.errors, found.durations[:3]) == (5, 0, [0, 5, 0])


def test_server_errors_and_failures_are_errors(counting: Counting, reader: CountsReader) -> None:
    counting.attempts("web/a:1", responses_2xx=3, responses_4xx=1, responses_5xx=2, failures=4)
    found = reader.read().endpoints["web/a:1"]
    assert (found.requests, found.errors) == (10, 6)


def test_a_response_that_was_cut_is_one_request(counting: Counting, reader: CountsReader) -> None:
    counting.attempts("web/a:1", responses_2xx=2, failures=1, cuts=1)
    counting.requests("web", 2)
    moment = reader.read()
    assert moment.endpoints["web/a:1"][:2] == (2, 1)
    assert moment.pools["web"][:2] == moment.total[:2] == (2, 1)


def test_endpoints_of_the_same_address_are_apart(counting: Counting, reader: CountsReader) -> None:
    counting.attempts("web/a:1", responses_2xx=1)
    counting.attempts("api/a:1", responses_2xx=2)
    endpoints = reader.read().endpoints
    assert (endpoints["web/a:1"].requests, endpoints["api/a:1"].requests) == (1, 2)
    assert (sum(endpoints["web/a:1"].durations), sum(endpoints["api/a:1"].durations)) == (1, 2)


def test_a_pool_counts_what_clients_got(counting: Counting, reader: CountsReader) -> None:
    counting.attempts("web/a:1", failures=5)  # each was tried again
    counting.requests("web", 7, worker=1, bucket=2)
    counting.requests("web", 1, worker=2, code="503")
    counting.requests("web", 1, code="499")
    counting.tunnels("web", 3)
    found = reader.read().pools["web"]
    assert (found.requests, found.errors, sum(found.durations)) == (12, 1, 9)


def test_requests_without_a_pool_are_in_the_total_only(counting: Counting, reader: CountsReader) -> None:
    counting.requests("", 2, code="404")
    counting.requests("gone", 1, code="500")
    counting.requests("web", 4)
    moment = reader.read()
    assert (moment.total.requests, moment.total.errors) == (7, 1)
    assert {pool: counts.requests for pool, counts in moment.pools.items()} == {"web": 4, "api": 0}


def test_requests_in_flight_are_those_of_live_workers(counting: Counting, reader: CountsReader) -> None:
    counting.open(3, worker=1)
    counting.open(4, worker=2)
    counting.attempts("web/b:2", worker=2, in_flight=2)
    moment = reader.read()
    assert (moment.total.in_flight, moment.pools["web"].in_flight) == (7, 2)
    counting.cells.forget(2, 4713)
    moment = reader.read()
    assert (moment.total.in_flight, moment.pools["web"].in_flight) == (3, 0)


def test_what_a_dead_worker_counted_stays(counting: Counting, reader: CountsReader) -> None:
    counting.attempts("web/a:1", worker=2, responses_2xx=2)
    counting.requests("web", 2, worker=2)
    counting.cells.forget(2, 4713)
    moment = reader.read()
    assert (moment.endpoints["web/a:1"].requests, moment.pools["web"].requests) == (2, 2)


def test_entries_that_come_later_are_read(counting: Counting, reader: CountsReader) -> None:
    counting.requests("web", 1)
    assert reader.read().pools["web"].requests == 1
    counting.requests("web", 1)
    counting.requests("web", 1, worker=2)
    assert reader.read().pools["web"].requests == 3
