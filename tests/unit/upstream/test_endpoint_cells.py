"""An endpoint's cells: what it counts, what its row says, and its trial."""

import os
from pathlib import Path

import pytest

from lbg.config.pools import ConnectionsConfig, EndpointConfig
from lbg.state.cells import Cells
from lbg.state.health_row import HealthRow
from lbg.state.layout import WORKER_SLOTS, Cause, Ejection, Field, Health, HealthField, Kind, counters
from lbg.state.reports import ReportReader
from lbg.upstream import endpoint as module
from lbg.upstream.endpoint import Endpoint, Reporter
from lbg.upstream.idle import IdleConnections
from lbg.upstream.lease import Lease


def endpoint(
    cells: Cells | None = None, *, worker: int = 0, slot: int = 0, reporter: Reporter | None = None
) -> Endpoint:
    idle = IdleConnections(ConnectionsConfig())
    config = EndpointConfig(url="http://a")
    return Endpoint(config, idle, cells or Cells.private(), slot=slot, worker=worker, reporter=reporter)


def test_counts_go_to_the_cells_of_its_worker_and_slot() -> None:
    cells = Cells.private()
    one = endpoint(cells, worker=2, slot=5)
    for _ in range(10):
        one.began()
    for status in (101, 200, 299, 304, 404, 503, 999):
        one.answered(status)
    one.failed(connected=True, cut=True)
    one.failed(connected=False)
    row = counters(2, 5)
    assert dict(zip(Field, cells.view[row : row + len(Field)], strict=True)) == {
        Field.RESPONSES_2XX: 3,
        Field.RESPONSES_3XX: 1,
        Field.RESPONSES_4XX: 1,
        Field.RESPONSES_5XX: 2,
        Field.FAILURES: 2,
        Field.CONNECT_FAILURES: 1,
        Field.RESCUES: 0,
        Field.IN_FLIGHT: 8,
        Field.AWAITING: 0,
        Field.CUTS: 1,
    }
    assert sum(cells.view[counters(0, 0) :]) == 19


def test_an_answer_does_not_end_its_request() -> None:
    one = endpoint()
    one.began()
    one.answered(200)
    assert (one.in_flight(), one.completed()) == (1, 1)


def test_the_requests_that_wait_are_noted_in_the_cells_of_its_worker() -> None:
    cells = Cells.private()
    one = endpoint(cells, worker=2, slot=5)
    one.waiting |= {Lease.__new__(Lease) for _ in range(3)}
    one.note_waiting()
    assert cells.view[counters(2, 5) + Field.AWAITING] == 3
    assert sum(cells.view[counters(0, 0) :]) == 3
    one.waiting.clear()
    one.note_waiting()
    assert sum(cells.view[counters(0, 0) :]) == 0


def test_a_client_that_left_counts_as_nothing() -> None:
    cells = Cells.private()
    one = endpoint(cells)
    one.began()
    one.left()
    assert not any(cells.view[counters(0, 0) :])


def test_a_rescue_is_counted_and_neither_answer_nor_failure() -> None:
    cells = Cells.private()
    one = endpoint(cells)
    one.began()
    one.rescued()
    assert (cells.total(0, Field.RESCUES), one.in_flight(), one.completed()) == (1, 0, 0)


def two_workers() -> tuple[Cells, Endpoint, Endpoint]:
    cells = Cells.private()
    cells.register(1, pid=2, role=0, generation=1)
    return cells, endpoint(cells), endpoint(cells, worker=1)


def test_requests_in_flight_and_completed_are_summed_over_workers() -> None:
    _, here, there = two_workers()
    for one in (here, there, there):
        one.began()
        one.began()
        one.answered(200)
        one.left()
    there.failed(connected=True)
    assert (here.in_flight(), there.in_flight()) == (2, 2)
    assert (here.completed(), there.completed()) == (4, 4)


@pytest.mark.parametrize("workers", [1, 2, WORKER_SLOTS])
def test_what_is_in_flight_is_summed_over_all_workers(workers: int) -> None:
    cells = Cells.private()
    for worker in range(workers):
        cells.register(worker, pid=100 + worker, role=0, generation=1)
        endpoint(cells, worker=worker, slot=7).began()
    assert endpoint(cells, slot=7).in_flight() == workers
    assert endpoint(cells, slot=8).in_flight() == 0


def test_there_is_room_up_to_max_requests_over_all_workers() -> None:
    _, here, there = two_workers()
    assert here.has_room()
    here.max_requests = 2
    here.began()
    assert here.has_room()
    there.began()
    assert not here.has_room()


def row(cells: Cells, **fields: int) -> None:
    for name, value in fields.items():
        HealthRow(cells, 0)[HealthField[name.upper()]] = value


@pytest.mark.parametrize(
    ("health", "down"), [(Health.UNKNOWN, False), (Health.UP, False), (Health.DOWN, True)]
)
def test_it_is_down_when_checks_say_so(health: Health, down: bool) -> None:
    cells = Cells.private()
    row(cells, health=health)
    assert endpoint(cells).down is down


def test_its_row_tells_ejection_slow_start_and_last_failure() -> None:
    cells = Cells.private()
    one = endpoint(cells)
    assert (one.ejection, one.ramp_began, one.last_failed) == (Ejection.NONE, 0.0, 0)
    row(cells, ejection=Ejection.TRIAL, ramp=2_500_000_000, failed=7)
    assert (one.ejection, one.ramp_began, one.last_failed) == (Ejection.TRIAL, 2.5, 7)


def test_what_this_worker_ejected_is_ejected_whatever_the_row_says() -> None:
    cells = Cells.private()
    one = endpoint(cells)
    row(cells, ejection=Ejection.TRIAL)
    one.ejected_here = True
    assert one.ejection is Ejection.EJECTED


@pytest.mark.parametrize(
    ("health", "ejection", "cause", "silent"),
    [
        (Health.UP, Ejection.NONE, Cause.NONE, False),
        (Health.DOWN, Ejection.NONE, Cause.NONE, True),
        (Health.UP, Ejection.EJECTED, Cause.SILENCE, True),
        (Health.UP, Ejection.EJECTED, Cause.SERVER_ERRORS, False),
        (Health.UP, Ejection.EJECTED, Cause.CONNECT_FAILURES, False),
        (Health.UP, Ejection.NONE, Cause.SILENCE, False),  # it is back: the cause is left from before
        (Health.UP, Ejection.TRIAL, Cause.SILENCE, False),  # or its trial could never be answered
    ],
)
def test_an_endpoint_is_silent_when_waiting_for_it_is_in_vain(
    health: Health, ejection: Ejection, cause: Cause, silent: bool
) -> None:
    cells = Cells.private()
    row(cells, health=health, ejection=ejection, ejected_for=cause)
    assert endpoint(cells).silent is silent


def test_there_is_one_trial_at_a_time() -> None:
    one = endpoint()
    assert one.begin_trial()
    assert not one.begin_trial()
    one.end_trial()
    assert one.begin_trial()


def test_a_trial_has_no_end_of_its_own_before_its_verdict() -> None:
    one = endpoint()
    one.begin_trial()
    one.end_trial(now=1e9)
    assert not one.begin_trial()


@pytest.mark.parametrize(("passed", "kind"), [(True, Kind.TRIAL_PASSED), (False, Kind.TRIAL_FAILED)])
def test_after_its_verdict_a_trial_stays_taken_for_a_second(
    monkeypatch: pytest.MonkeyPatch, passed: bool, kind: Kind
) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: 100.0)
    cells = Cells.private()
    reports = ReportReader(cells)
    one = endpoint(cells, slot=3)
    one.begin_trial()
    one.judge_trial(passed=passed)
    assert [(report.endpoint, report.kind) for report in reports.take()] == [(3, kind)]
    one.end_trial(now=100.9)
    assert not one.begin_trial()
    one.end_trial(now=101.0)
    assert one.begin_trial()


def test_another_process_on_trial_keeps_this_one_out(tmp_path: Path) -> None:
    Cells.create(tmp_path)
    cells = Cells.open(tmp_path)
    one = endpoint(cells)
    assert one.begin_trial()
    assert in_another_process(cells) is False
    one.end_trial()
    assert in_another_process(cells) is True


def in_another_process(cells: Cells) -> bool:
    """Return whether another process that maps the same cells can begin a trial."""
    pid = os.fork()
    if not pid:
        os._exit(0 if endpoint(cells).begin_trial() else 1)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_reports_go_to_the_reporter_it_was_given() -> None:
    noted: list[tuple[int, Kind]] = []

    class Noting:
        def report(self, endpoint: int, kind: Kind) -> None:
            noted.append((endpoint, kind))

    endpoint(slot=4, reporter=Noting()).report(Kind.SERVER_ERROR)
    assert noted == [(4, Kind.SERVER_ERROR)]
