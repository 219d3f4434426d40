"""Ejection by the control worker: what it hears, trials, and the way back."""

import pytest

from lbg.health.probe import ProbeResult
from lbg.state.layout import Cause, Ejection, Field, Health, HealthField, Kind
from tests.unit.health.control import Control, Make
from tests.unit.health.watching import FAILED, PASSED, REFUSED, TIMED_OUT

CONNECT, ERROR = Kind.CONNECT_FAILURE, Kind.SERVER_ERROR
SECOND = 1_000_000_000  # ns


def test_reports_in_a_row_eject(make: Make) -> None:
    control = make([PASSED], [PASSED], outlier={"eject": 10})
    control.threads.held = True
    control.begin()
    control.report(CONNECT, CONNECT, CONNECT)
    assert control.row().ejection is Ejection.EJECTED
    assert control.row()[HealthField.EJECTED_FOR] == Cause.CONNECT_FAILURES
    assert control.kinds() == ["ejected"]


def test_a_success_between_them_ends_the_row(control: Control) -> None:
    control.threads.held = True
    control.report(CONNECT, CONNECT)
    control.count(Field.RESPONSES_2XX)
    control.report(CONNECT, CONNECT)
    assert control.row().ejection is Ejection.NONE


def test_a_failure_leaves_its_time_in_the_row(control: Control) -> None:
    control.report(ERROR)
    assert control.row()[HealthField.FAILED] == control.clock.monotonic_ns()


@pytest.mark.parametrize("result", [FAILED, REFUSED, TIMED_OUT])
def test_a_check_that_fails_leaves_no_time_of_a_failed_request(make: Make, result: ProbeResult) -> None:
    control = make([result], [PASSED])
    control.begin()
    control.turns(1.0)
    assert control.row()[HealthField.CHECKS_FAILED] > 0
    assert control.row()[HealthField.FAILED] == 0


def test_reports_of_endpoints_of_another_configuration_are_nobodys(control: Control) -> None:
    control.report(*[CONNECT] * 9, slot=55)
    assert control.kinds() == ["up", "up"]


def test_the_last_usable_endpoint_is_not_ejected(make: Make) -> None:
    control = make([PASSED], [FAILED])
    control.begin()
    control.turns(0.1)
    control.threads.held = True
    control.report(*[CONNECT] * 9)
    assert control.row().ejection is Ejection.NONE


@pytest.fixture
def ejected(make: Make) -> Control:
    """Give a control worker that has ejected the first of two endpoints for ten seconds, without checks."""
    control = make([PASSED], [PASSED], health={"type": "none"}, outlier={"eject": 10})
    control.begin()
    control.report(CONNECT, CONNECT, CONNECT)
    return control


def test_after_an_ejection_there_is_a_trial(ejected: Control) -> None:
    ejected.turn(9.8)
    assert ejected.row().ejection is Ejection.EJECTED
    ejected.turn(0.3)
    assert ejected.row().ejection is Ejection.TRIAL
    assert ejected.kinds() == ["ejected", "trial"]


def test_a_trial_that_passes_brings_it_back(ejected: Control) -> None:
    ejected.turn(10.1)
    ejected.report(Kind.TRIAL_PASSED)
    assert ejected.row().ejection is Ejection.NONE
    assert ejected.kinds() == ["ejected", "trial", "restored"]


def test_a_trial_that_fails_ejects_it_for_longer(ejected: Control) -> None:
    ejected.turn(10.1)
    ejected.report(Kind.TRIAL_FAILED)
    row = ejected.row()
    assert (row.ejection, row[HealthField.EJECTED_FOR]) == (Ejection.EJECTED, Cause.TRIAL)
    assert row[HealthField.EJECTED_UNTIL] - row[HealthField.EJECTED_SINCE] == 20 * SECOND
    assert ejected.kinds() == ["ejected", "trial", "ejected"]


def test_a_verdict_without_a_trial_changes_nothing(ejected: Control) -> None:
    ejected.report(Kind.TRIAL_PASSED, Kind.TRIAL_FAILED)
    ejected.report(Kind.TRIAL_FAILED, slot=1)
    assert ejected.kinds() == ["ejected"]


def test_a_trial_that_fails_where_no_other_is_left_brings_it_back(make: Make) -> None:
    control = make([PASSED], [PASSED, FAILED], outlier={"eject": 10})
    control.begin()
    control.turns(0.1)
    control.threads.held = True
    control.report(CONNECT, CONNECT, CONNECT)
    control.write(1, health=Health.DOWN)
    control.turn(10.1)
    control.report(Kind.TRIAL_FAILED)
    assert control.row().ejection is Ejection.NONE
    assert control.events.since(0)[-1].text == "no other is left"


def test_a_passing_check_ends_an_ejection(control: Control) -> None:
    control.threads.held = True
    control.report(CONNECT, CONNECT, CONNECT)
    assert control.row().ejection is Ejection.EJECTED
    control.threads.held = False
    control.threads.run()
    control.turns(4.0)
    assert control.row().ejection is Ejection.NONE
    assert control.kinds()[2:] == ["ejected", "restored"]
    assert control.events.since(0)[-1].text == f"a check passed: {PASSED.text}"


@pytest.fixture
def hanging(make: Make) -> Control:
    """Give a control worker whose first endpoint stops answering checks."""
    control = make([PASSED, PASSED, TIMED_OUT], [PASSED])
    control.begin()
    control.turns(1.0)
    return control


def hang(control: Control) -> None:
    """Make turns until the first check that times out is over."""
    before = control.row()[HealthField.CHECKS_FAILED]
    while control.row()[HealthField.CHECKS_FAILED] == before:
        control.turn()


def test_a_check_in_vain_while_requests_wait_in_vain_ejects_at_once(hanging: Control) -> None:
    hanging.count(Field.AWAITING)
    hang(hanging)
    assert hanging.row().health is Health.UP
    assert hanging.row().ejection is Ejection.EJECTED
    assert hanging.row()[HealthField.EJECTED_FOR] == Cause.SILENCE


def test_a_check_in_vain_does_not_while_all_have_the_head_of_their_answer(hanging: Control) -> None:
    hanging.count(Field.IN_FLIGHT, more=5)  # tunnels and streams
    hang(hanging)
    assert hanging.row().ejection is Ejection.NONE


def test_a_check_in_vain_does_not_while_nobody_waits(hanging: Control) -> None:
    hang(hanging)
    assert hanging.row().ejection is Ejection.NONE


def test_a_check_in_vain_does_not_while_requests_are_answered(hanging: Control) -> None:
    hanging.count(Field.AWAITING)
    while hanging.row()[HealthField.CHECKS_FAILED] < 3:
        hanging.count(Field.RESPONSES_2XX)
        hanging.turn()
    assert hanging.kinds() == ["up", "up", "down"]


def test_a_check_that_fails_otherwise_does_not(make: Make) -> None:
    control = make([PASSED, PASSED, FAILED], [PASSED])
    control.begin()
    control.turns(1.0)
    control.count(Field.AWAITING)
    hang(control)
    assert control.row().ejection is Ejection.NONE
