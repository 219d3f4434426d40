"""Failures that are told and successes that are counted: what is a run of failures."""

import pytest

from lbg.config.pools import OutlierConfig
from lbg.health.passive import PassiveDetection
from lbg.state.cells import Cells
from lbg.state.layout import Cause, Ejection, Field, Kind
from lbg.state.reports import Report
from tests.unit.health.watching import count

CONNECT, ERROR = Kind.CONNECT_FAILURE, Kind.SERVER_ERROR
GOOD = [Field.RESPONSES_2XX, Field.RESPONSES_3XX, Field.RESPONSES_4XX]


class Moments:
    """A detection over three endpoints, told moment by moment what happened to the first one."""

    def __init__(self, workers: int = 1, **config: object) -> None:
        self.cells = Cells.private()
        for worker in range(workers):
            self.cells.register(worker, pid=100 + worker, role=0, generation=1)
        checked = OutlierConfig.model_validate({"connect_failures": 3, "server_errors": 3, **config})
        self.passive = PassiveDetection(checked, range(3), self.cells)
        self.usable = {0, 1, 2}
        for slot in (1, 2):
            count(self.cells, Field.RESPONSES_2XX, slot=slot)

    def succeeds(self, field: Field = Field.RESPONSES_2XX, worker: int = 0, slot: int = 0) -> None:
        """Count a response."""
        count(self.cells, field, slot=slot, worker=worker)

    def fails(self, kind: Kind, *, slot: int = 0, worker: int = 0) -> Report:
        """Return what a worker tells at this moment."""
        return Report(1, slot, kind, worker, self.cells.good(slot, worker))

    def tell(self, *kinds: Kind | Report, slot: int = 0) -> Cause | None:
        """Begin a moment in which these failures are told; return the cause of an ejection."""
        self.passive.look()
        reports = [kind if isinstance(kind, Report) else self.fails(kind, slot=slot) for kind in kinds]
        causes = [self.passive.failed(report, 10.0, self.usable) for report in reports]
        return next((cause for cause in causes if cause), None)


@pytest.mark.parametrize(("kind", "cause"), [(CONNECT, Cause.CONNECT_FAILURES), (ERROR, Cause.SERVER_ERRORS)])
def test_so_many_failures_in_a_row_eject(kind: Kind, cause: Cause) -> None:
    moments = Moments()
    assert [moments.tell(kind) for _ in range(3)] == [None, None, cause]
    assert moments.passive.outlier.state(0).ejection is Ejection.EJECTED


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("worker", [0, 1])
def test_a_good_response_anywhere_ends_the_row(field: Field, worker: int) -> None:
    moments = Moments(workers=2)
    moments.tell(CONNECT)
    moments.tell(CONNECT)
    moments.succeeds(field, worker)
    assert [moments.tell(CONNECT) for _ in range(3)] == [None, None, Cause.CONNECT_FAILURES]


@pytest.mark.parametrize("field", sorted(set(Field) - set(GOOD)))
def test_nothing_else_ends_the_row(field: Field) -> None:
    moments = Moments()
    moments.tell(CONNECT)
    moments.tell(CONNECT)
    moments.succeeds(field)
    assert moments.tell(CONNECT) is Cause.CONNECT_FAILURES


def test_what_another_endpoint_answers_does_not_end_the_row() -> None:
    moments = Moments()
    moments.tell(CONNECT)
    moments.tell(CONNECT)
    moments.succeeds(slot=1)
    assert moments.tell(CONNECT) is Cause.CONNECT_FAILURES


def test_what_was_answered_long_before_does_not_end_the_row() -> None:
    moments = Moments()
    for _ in range(100):
        moments.succeeds()
    assert [moments.tell(ERROR) for _ in range(3)] == [None, None, Cause.SERVER_ERRORS]


def test_of_the_first_errors_told_together_one_counts() -> None:
    moments = Moments()
    assert moments.tell(*[ERROR] * 50) is None
    assert moments.passive.outlier.state(0).server_errors == 1


def test_an_endpoint_that_answers_with_errors_only_is_out_in_the_second_moment() -> None:
    moments = Moments()
    moments.tell(*[ERROR] * 50)
    assert moments.tell(*[ERROR] * 50) is Cause.SERVER_ERRORS


def test_an_endpoint_that_is_dead_is_out_in_the_first_moment() -> None:
    assert Moments().tell(*[CONNECT] * 3) is Cause.CONNECT_FAILURES


@pytest.mark.parametrize("a_moment", [1, 5, 50])
def test_an_endpoint_that_fails_every_second_request_stays(a_moment: int) -> None:
    moments = Moments()
    for _ in range(50):
        for _ in range(a_moment):
            moments.succeeds()
        assert moments.tell(*[ERROR] * a_moment) is None


@pytest.mark.parametrize("kind", [CONNECT, ERROR])
def test_what_was_good_between_failures_of_one_worker_shows_however_late_they_are_told(kind: Kind) -> None:
    moments = Moments()
    moments.tell(kind)
    told = []
    for _ in range(10):
        moments.succeeds()
        told += [moments.fails(kind), moments.fails(kind)]
    assert moments.tell(*told) is None


def test_a_worker_that_tells_for_the_first_time_ends_no_row() -> None:
    moments = Moments(workers=2)
    for _ in range(9):
        moments.succeeds(worker=1)
    moments.tell(CONNECT)
    assert moments.tell(moments.fails(CONNECT, worker=1)) is None
    assert moments.tell(CONNECT) is Cause.CONNECT_FAILURES


def test_a_single_failure_ejects_where_that_is_enough() -> None:
    assert Moments(connect_failures=1).tell(CONNECT) is Cause.CONNECT_FAILURES


def test_after_its_return_a_row_begins_anew() -> None:
    moments = Moments()
    for _ in range(3):
        moments.tell(CONNECT)
    moments.passive.outlier.check_passed(0)
    assert [moments.tell(CONNECT) for _ in range(3)] == [None, None, Cause.CONNECT_FAILURES]


def test_errors_that_all_endpoints_share_eject_none() -> None:
    moments = Moments()
    for _ in range(10):
        assert [moments.tell(ERROR, slot=slot) for slot in range(3)] == [None, None, None]


def test_errors_are_one_endpoints_own_when_another_has_answered_well() -> None:
    moments = Moments()
    moments.tell(ERROR, slot=1)
    for _ in range(2):
        moments.tell(ERROR)
    moments.succeeds(slot=1)
    assert moments.tell(ERROR) is Cause.SERVER_ERRORS


def test_an_endpoint_is_a_witness_once_it_was_asked() -> None:
    cells = Cells.private()
    passive = PassiveDetection(OutlierConfig(server_errors=3), (0, 5), cells)
    for _ in range(5):
        passive.look()
        assert passive.failed(Report(1, 0, ERROR, 0, 0), 10.0, {0, 5}) is None
    count(cells, Field.RESPONSES_2XX, slot=5)
    passive.look()
    assert passive.failed(Report(1, 0, ERROR, 0, 0), 10.0, {0, 5}) is Cause.SERVER_ERRORS


def test_an_endpoint_that_came_back_by_a_check_is_a_witness_still() -> None:
    moments = Moments()
    for _ in range(3):
        moments.tell(CONNECT, slot=1)
    moments.passive.outlier.check_passed(1)
    moments.usable = {0, 1}
    assert [moments.tell(ERROR) for _ in range(3)] == [None, None, Cause.SERVER_ERRORS]


def test_a_witness_that_failed_long_ago_and_answers_well_counts_again() -> None:
    moments = Moments()
    moments.usable = {0, 1}
    for _ in range(2):
        moments.tell(ERROR, slot=1)
    moments.succeeds(slot=1)
    assert [moments.tell(ERROR) for _ in range(3)] == [None, None, Cause.SERVER_ERRORS]


def test_the_last_usable_endpoint_stays() -> None:
    moments = Moments()
    moments.usable = {0}
    assert [moments.tell(CONNECT) for _ in range(9)] == [None] * 9


def test_responses_that_are_all_cut_short_are_failures_in_a_row() -> None:
    moments = Moments()
    causes = []
    for _ in range(3):
        moments.succeeds()  # counted at its head
        moments.succeeds(Field.CUTS)
        causes.append(moments.tell(ERROR))
    assert causes == [None, None, Cause.SERVER_ERRORS]
