"""A proxy worker without a control worker: it ejects by itself, and stops when there is one again."""

import logging

import pytest

from lbg.config.pools import OutlierConfig
from lbg.health import fallback as module
from lbg.health.fallback import Fallback
from lbg.state.cells import Cells
from lbg.state.layout import Admin, Ejection, Field, Header, Health, Kind
from lbg.state.reports import ReportReader, ReportWriter
from lbg.upstream.endpoint import Endpoint
from tests.unit.health.watching import Clock, count
from tests.unit.upstream.pools import pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint

CONNECT, ERROR = Kind.CONNECT_FAILURE, Kind.SERVER_ERROR
OUTLIER = OutlierConfig(connect_failures=3, server_errors=3, eject=10.0, max_ejected=1.0)


class Worker:
    """A proxy worker with a pool of three endpoints."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cells = Cells.private()
        self.reports = ReportReader(self.cells)
        self.fallback = Fallback(self.cells, ReportWriter(self.cells, 0))
        self.endpoints = [
            ScriptedEndpoint(cells=self.cells, slot=slot, reporter=self.fallback) for slot in range(3)
        ]
        self.pool = pool_of(*self.endpoints)
        self.fallback.guard([(self.pool, OUTLIER)])
        self.fallback.start()
        self.first = self.endpoints[0]

    def beat(self) -> None:
        """Be the control worker for a moment."""
        self.cells.view[Header.HEARTBEAT] = self.clock.monotonic_ns()

    def after(self, seconds: float) -> None:
        """Let time pass, then tick."""
        self.clock.now += seconds
        self.fallback.tick(self.clock.now)

    def fail(self, kind: Kind = CONNECT, times: int = 3, slot: int = 0) -> None:
        """Let requests fail, a tick apart."""
        for _ in range(times):
            self.endpoints[slot].report(kind)
            self.after(0.1)

    def picked(self) -> set[Endpoint]:
        """Return whom requests go to."""
        leases = [self.pool.acquire(request_for(), [], self.clock.now) for _ in range(6)]
        for lease in leases:
            lease.cancel()
        return {lease.endpoint for lease in leases}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock of the worker."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock.monotonic)
    monkeypatch.setattr(module, "monotonic_ns", clock.monotonic_ns)
    return clock


@pytest.fixture
def worker(clock: Clock) -> Worker:
    """Give a worker whose control worker lives."""
    worker = Worker(clock)
    worker.beat()
    worker.after(0.1)
    return worker


@pytest.fixture
def alone(worker: Worker) -> Worker:
    """Give a worker whose control worker is silent."""
    worker.after(5.1)
    return worker


def test_reports_are_passed_on(worker: Worker) -> None:
    worker.first.report(CONNECT)
    worker.endpoints[2].report(Kind.TRIAL_PASSED)
    heard = [(report.endpoint, report.kind) for report in worker.reports.take()]
    assert heard == [(0, CONNECT), (2, Kind.TRIAL_PASSED)]


def test_reports_are_passed_on_when_nobody_may_hear_them(alone: Worker) -> None:
    alone.first.report(ERROR)
    assert len(alone.reports.take()) == 1


def test_a_control_worker_that_lives_is_left_to_eject(worker: Worker) -> None:
    for _ in range(20):
        worker.beat()
        worker.fail(times=1)
    assert not worker.first.ejected_here


def test_silence_of_five_seconds_is_told_once(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.after(4.8)
    assert (caplog.text, repr(worker.fallback)) == ("", "<Fallback not needed>")
    for _ in range(3):
        worker.after(0.3)
    assert repr(worker.fallback) == "<Fallback alone>"
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("the control worker has been silent for 5 s")


@pytest.mark.parametrize("kind", [CONNECT, ERROR])
def test_a_worker_that_is_alone_ejects_by_what_its_requests_meet(
    alone: Worker, kind: Kind, caplog: pytest.LogCaptureFixture
) -> None:
    for slot in (1, 2):
        count(alone.cells, Field.RESPONSES_2XX, slot=slot)
    alone.fail(kind)
    assert alone.picked() == {alone.endpoints[1], alone.endpoints[2]}
    assert alone.first.ejection is Ejection.EJECTED
    assert "EJECTED api 127.0.0.1:8000: by this worker alone" in caplog.text


def test_its_ejections_are_not_written_where_others_read(alone: Worker) -> None:
    alone.fail()
    other = ScriptedEndpoint(cells=alone.cells, slot=0, worker=1)
    assert other.ejection is Ejection.NONE


def test_a_success_ends_the_row(alone: Worker) -> None:
    alone.fail(times=2)
    count(alone.cells, Field.RESPONSES_2XX)
    alone.after(0.1)
    alone.fail(times=2)
    assert not alone.first.ejected_here


def test_verdicts_of_trials_do_not_count(alone: Worker) -> None:
    alone.fail(Kind.TRIAL_FAILED, times=9)
    assert not alone.first.ejected_here


def test_its_ejection_ends_in_time_without_a_trial(alone: Worker) -> None:
    alone.fail()
    alone.after(9.0)
    assert alone.first.ejected_here
    alone.after(1.0)
    assert not alone.first.ejected_here
    assert alone.first in alone.picked()


def test_the_next_ejection_is_longer(alone: Worker) -> None:
    alone.fail()
    alone.after(10.0)
    alone.fail()
    alone.after(15.0)
    assert alone.first.ejected_here
    alone.after(5.0)
    assert not alone.first.ejected_here


def test_the_last_usable_endpoint_stays(alone: Worker) -> None:
    alone.endpoints[1].becomes(health=Health.DOWN)
    alone.endpoints[2].becomes(ejection=Ejection.EJECTED)
    alone.fail(times=9)
    assert not alone.first.ejected_here
    assert alone.picked() == {alone.first}


def test_what_is_held_is_no_reason_to_eject_the_last_one(alone: Worker) -> None:
    alone.endpoints[1].becomes(admin=Admin.DRAIN)
    alone.endpoints[2].becomes(admin=Admin.MAINT)
    alone.fail(times=9)
    assert not alone.first.ejected_here


def test_what_is_in_maintenance_is_not_ejected(alone: Worker) -> None:
    alone.first.becomes(admin=Admin.MAINT)
    alone.fail(times=9)
    assert not alone.first.ejected_here


def test_its_ejections_end_when_a_control_worker_is_back(
    alone: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    alone.fail()
    alone.beat()
    alone.after(0.1)
    assert not alone.first.ejected_here
    assert alone.first in alone.picked()
    assert "the control worker is back" in caplog.text


def test_once_more_alone_it_ejects_once_more(alone: Worker) -> None:
    alone.fail()
    alone.beat()
    alone.after(0.1)
    alone.after(5.1)
    alone.fail()
    assert alone.first.ejected_here


def test_ejections_of_the_control_worker_stay(alone: Worker) -> None:
    alone.endpoints[1].becomes(ejection=Ejection.EJECTED)
    alone.after(60.0)
    assert alone.picked() == {alone.first, alone.endpoints[2]}


def test_a_worker_that_ends_misses_nobody(worker: Worker, caplog: pytest.LogCaptureFixture) -> None:
    worker.fallback.stop()
    worker.after(60.0)
    assert (caplog.text, repr(worker.fallback)) == ("", "<Fallback not needed>")


def test_a_control_worker_has_time_to_begin(clock: Clock) -> None:
    worker = Worker(clock)
    worker.after(4.9)
    assert repr(worker.fallback) == "<Fallback not needed>"
    worker.after(0.2)
    assert repr(worker.fallback) == "<Fallback alone>"
