"""One endpoint under watch: when it is checked next, and what a check leaves in its row."""

import random

import pytest

from lbg.health.probe import ProbeResult
from lbg.health.watched import Watched
from lbg.state.cells import Cells
from lbg.state.layout import Field, Health, HealthField
from tests.unit.health.watching import (
    FAILED,
    PASSED,
    REFUSED,
    TIMED_OUT,
    ScriptedProbe,
    count,
    watched_endpoint,
)

# As by default: rise 2, fall 3, every 3 s, every 1 s while neither fully up nor fully down.
DOWN_COUNT, START, FULL = 0, 2, 4
SECOND = 1_000_000_000  # ns
NOW = 1000 * SECOND


@pytest.fixture
def cells() -> Cells:
    """Give the cells it is written in."""
    return Cells.private()


@pytest.fixture
def watched(cells: Cells) -> Watched:
    """Give an endpoint nobody knows yet."""
    watched = watched_endpoint(cells, ScriptedProbe())
    watched.adopt(NOW)
    return watched


def check(watched: Watched, result: ProbeResult, began: float = 100.0, took: float = 0.5) -> float:
    """Check the endpoint once; return how long after the beginning the next check is due."""
    watched.begin(began)
    assert watched.running
    watched.end(result, began + took)
    assert not watched.running
    return watched.due - began


def settled(watched: Watched, up: bool = True) -> Watched:
    """Let it have had its first checks."""
    for _ in range(3):
        check(watched, PASSED if up else FAILED)
    return watched


def test_the_first_check_is_due_at_once(watched: Watched) -> None:
    assert watched.due == 0.0


def test_the_row_tells_how_the_check_went(watched: Watched) -> None:
    check(watched, PASSED, began=100.0, took=0.5)
    row = watched.row
    assert row[HealthField.CHECKED] == 100_500_000_000
    assert row[HealthField.CHECK_TOOK] == 2_000_000
    assert (row[HealthField.CHECKS_PASSED], row[HealthField.CHECKS_FAILED]) == (1, 0)
    assert row[HealthField.FAILED] == 0


def test_a_check_that_fails_is_no_request_that_failed(watched: Watched) -> None:
    check(watched, FAILED, began=100.0, took=0.5)
    check(watched, PASSED, began=200.0)
    row = watched.row
    assert row[HealthField.FAILED] == 0
    assert (row[HealthField.CHECKS_PASSED], row[HealthField.CHECKS_FAILED]) == (1, 1)


@pytest.mark.parametrize(
    ("checks", "counts"),
    [("PP", [FULL, FULL]), ("F", [DOWN_COUNT]), ("PFFF", [FULL, 3, 2, 0]), ("FPP", [0, 1, FULL])],
)
def test_the_count_follows_the_checks(watched: Watched, checks: str, counts: list[int]) -> None:
    seen = []
    for passed in checks:
        check(watched, PASSED if passed == "P" else FAILED)
        seen.append(watched.row[HealthField.COUNT])
    assert seen == counts


@pytest.mark.parametrize("result", [PASSED, FAILED])
def test_second_checks_are_spread_over_half_an_interval(cells: Cells, result: ProbeResult) -> None:
    waits = []
    for _ in range(200):
        watched = watched_endpoint(cells, ScriptedProbe())
        watched.row[HealthField.HEALTH] = Health.UNKNOWN
        watched.adopt(NOW)
        waits.append(check(watched, result))
    assert 1.5 <= min(waits) < 1.8
    assert 2.7 < max(waits) <= 3.0


@pytest.mark.parametrize("up", [True, False])
def test_a_settled_endpoint_is_checked_every_interval_give_or_take_a_tenth(
    watched: Watched, up: bool
) -> None:
    settled(watched, up)
    waits = [check(watched, PASSED if up else FAILED) for _ in range(300)]
    assert 2.7 <= min(waits) < 2.8
    assert 3.2 < max(waits) <= 3.3


def test_an_endpoint_in_between_is_checked_faster(watched: Watched) -> None:
    assert 0.9 <= check(settled(watched), FAILED) <= 1.1
    assert 0.9 <= check(settled(watched), TIMED_OUT, took=0.0) <= 1.1
    assert 0.9 <= check(settled(watched, up=False), PASSED) <= 1.1


def test_after_a_refused_connection_the_next_check_is_in_a_hurry(watched: Watched) -> None:
    assert 0.225 <= check(settled(watched), REFUSED, took=0.01) <= 0.275


def test_there_is_no_hurry_once_it_is_down(watched: Watched) -> None:
    assert check(settled(watched, up=False), REFUSED) >= 2.7


def test_a_fast_interval_longer_than_the_usual_one_does_not_slow_it_down(cells: Cells) -> None:
    watched = watched_endpoint(cells, ScriptedProbe(), health={"interval": 0.5, "fast_interval": 5})
    watched.adopt(NOW)
    assert 0.45 <= check(settled(watched), FAILED, took=0.1) <= 0.55


def test_a_check_longer_than_the_interval_is_followed_at_once_by_the_next(watched: Watched) -> None:
    assert check(settled(watched), PASSED, took=9.0) == 9.0


def test_a_report_hastens_the_check(watched: Watched) -> None:
    check(settled(watched), PASSED, began=100.0, took=0.1)
    watched.hasten(101.0)
    assert watched.due == 101.0


def test_haste_keeps_a_distance_from_the_check_before(watched: Watched) -> None:
    check(settled(watched), PASSED, began=100.0, took=0.1)
    watched.hasten(100.1)
    assert watched.due == 100.25


def test_haste_delays_nothing(watched: Watched) -> None:
    settled(watched)
    watched.due = 50.0
    watched.hasten(101.0)
    assert watched.due == 50.0


def test_where_nothing_is_checked_there_is_no_haste(cells: Cells) -> None:
    watched = watched_endpoint(cells)
    watched.due = 500.0
    watched.hasten(101.0)
    assert watched.due == 500.0


def test_a_check_that_could_not_be_made_is_made_soon_and_leaves_the_row(watched: Watched) -> None:
    settled(watched)
    before = [watched.row[field] for field in HealthField]
    watched.begin(100.0)
    watched.postpone(100.5)
    assert (watched.running, watched.due) == (False, 101.5)
    assert [watched.row[field] for field in HealthField] == before


@pytest.mark.parametrize(
    ("health", "kept", "count"),
    [
        (Health.UNKNOWN, 0, START),
        (Health.UNKNOWN, 4, START),
        (Health.UP, 4, 4),
        (Health.UP, 3, 3),
        (Health.UP, 9, 4),
        (Health.UP, 1, 2),
        (Health.DOWN, 0, 0),
        (Health.DOWN, 1, 1),
        (Health.DOWN, 3, 1),
    ],
)
def test_it_goes_on_where_another_control_worker_was(
    cells: Cells, health: Health, kept: int, count: int
) -> None:
    watched = watched_endpoint(cells, ScriptedProbe())
    watched.row[HealthField.HEALTH] = health
    watched.row[HealthField.COUNT] = kept
    watched.row[HealthField.CHECKED] = NOW - 9 * SECOND
    watched.adopt(NOW)
    assert (watched.row.health, watched.row[HealthField.COUNT]) == (health, count)


def left_behind(cells: Cells, health: Health, age: float, interval: float = 3.0) -> Watched:
    """Take over an endpoint that was fully up or down when it was checked last, so many seconds ago."""
    watched = watched_endpoint(cells, ScriptedProbe(), health={"interval": interval})
    watched.row[HealthField.HEALTH] = health
    watched.row[HealthField.COUNT] = FULL if health is Health.UP else DOWN_COUNT
    watched.row[HealthField.CHECKED] = NOW - round(age * SECOND)
    watched.adopt(NOW)
    return watched


@pytest.mark.parametrize("health", [Health.UP, Health.DOWN])
@pytest.mark.parametrize(("age", "interval"), [(600.1, 3.0), (900.1, 300.0)])
def test_what_nobody_has_checked_for_ten_minutes_is_unknown(
    cells: Cells, health: Health, age: float, interval: float
) -> None:
    watched = left_behind(cells, health, age, interval)
    assert watched.row.health is Health.UNKNOWN
    assert (watched.row[HealthField.COUNT], watched.row[HealthField.CHECKED]) == (START, 0)
    assert watched.awaited


@pytest.mark.parametrize(("health", "flips"), [(Health.UP, FAILED), (Health.DOWN, PASSED)])
@pytest.mark.parametrize(("age", "interval"), [(30.1, 3.0), (599.9, 3.0), (60.1, 20.0)])
def test_what_nobody_has_checked_for_a_while_stays_until_the_first_check_decides(
    cells: Cells, health: Health, flips: ProbeResult, age: float, interval: float
) -> None:
    watched = left_behind(cells, health, age, interval)
    assert watched.row.health is health
    assert watched.row[HealthField.CHECKED] == NOW - round(age * SECOND)
    assert watched.awaited
    assert watched.due == 0.0
    check(watched, flips)
    assert watched.counter.is_up(watched.row[HealthField.COUNT]) is (health is Health.DOWN)
    assert not watched.awaited


@pytest.mark.parametrize("health", [Health.UP, Health.DOWN])
@pytest.mark.parametrize(("age", "interval"), [(29.9, 3.0), (59.9, 20.0)])
def test_a_result_as_old_as_a_reload_may_take_or_as_three_intervals_is_believed(
    cells: Cells, health: Health, age: float, interval: float
) -> None:
    watched = left_behind(cells, health, age, interval)
    assert watched.row.health is health
    assert watched.row[HealthField.CHECKED] == NOW - round(age * SECOND)
    assert not watched.awaited


def test_where_checks_were_given_up_what_they_said_is_forgotten(cells: Cells) -> None:
    watched = watched_endpoint(cells)
    watched.row[HealthField.HEALTH] = Health.DOWN
    watched.row[HealthField.CHECKED] = 5
    watched.adopt(NOW)
    assert (watched.row.health, watched.row[HealthField.CHECKED]) == (Health.UNKNOWN, 0)


def test_it_is_silent_while_requests_wait_and_none_is_answered(cells: Cells, watched: Watched) -> None:
    count(cells, Field.RESPONSES_2XX)
    count(cells, Field.AWAITING)
    watched.begin(100.0)
    assert watched.silent


def test_requests_that_have_the_head_of_their_answer_wait_for_nothing(cells: Cells, watched: Watched) -> None:
    count(cells, Field.IN_FLIGHT, more=3)
    watched.begin(100.0)
    assert not watched.silent


def test_a_request_that_waits_in_any_worker_counts(cells: Cells, watched: Watched) -> None:
    cells.register(1, pid=2, role=0, generation=1)
    watched.begin(100.0)
    count(cells, Field.AWAITING, worker=1)
    assert watched.silent


def test_it_is_not_silent_when_nobody_asks(watched: Watched) -> None:
    watched.begin(100.0)
    assert not watched.silent


@pytest.mark.parametrize("field", [Field.RESPONSES_2XX, Field.RESPONSES_4XX, Field.RESPONSES_5XX])
def test_it_is_not_silent_when_a_request_was_answered_since_the_check_began(
    cells: Cells, watched: Watched, field: Field
) -> None:
    cells.register(1, pid=2, role=0, generation=1)
    count(cells, Field.AWAITING)
    watched.begin(100.0)
    count(cells, field, worker=1)
    assert not watched.silent


def test_the_jitter_is_drawn_anew_each_time(watched: Watched) -> None:
    random.seed(1)
    settled(watched)
    assert len({check(watched, PASSED) for _ in range(20)}) == 20


def test_the_repr_tells_where_it_stands(watched: Watched) -> None:
    assert repr(watched) == "<Watched api http://127.0.0.1:8000 <HealthRow UNKNOWN NONE> due=0.0>"
