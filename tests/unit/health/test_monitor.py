"""The control worker's watch: checks, reports, rows and events."""

import logging

import pytest

from lbg.health import monitor as module
from lbg.health.probe import ProbeResult
from lbg.state.layout import Cause, Ejection, Header, Health, HealthField, Kind
from tests.unit.health.control import GENERATION, Control, Make, pool_of, url
from tests.unit.health.watching import FAILED, PASSED, REFUSED, TIMED_OUT, ScriptedProbe

CONNECT, ERROR = Kind.CONNECT_FAILURE, Kind.SERVER_ERROR
SECOND = 1_000_000_000  # ns
CHECKED = 995 * SECOND  # not long before the control worker begins


def test_all_are_checked_at_once_in_the_beginning(make: Make) -> None:
    control = make([PASSED], [PASSED])
    control.begin()
    control.turn()
    assert [len(probe.timeouts) for probe in control.probes.values()] == [1, 1]


def test_a_check_has_the_timeout_of_its_pool(make: Make) -> None:
    control = make([PASSED], health={"timeout": 0.7})
    control.begin()
    control.turn()
    assert control.probes[url(0)].timeouts == [0.7]


def test_what_a_check_found_is_in_the_row(control: Control) -> None:
    assert (control.row().health, control.row()[HealthField.CHECKS_PASSED]) == (Health.UP, 1)
    assert control.cells.text(0) == PASSED.text
    assert control.kinds() == ["up", "up"]


def test_checks_go_on(control: Control) -> None:
    control.turns(30.0)
    for slot in (0, 1):
        assert 9 <= control.row(slot)[HealthField.CHECKS_PASSED] <= 13
    assert control.kinds() == ["up", "up"]


def test_an_endpoint_is_never_checked_twice_at_a_time(control: Control) -> None:
    control.threads.held = True
    control.turns(10.0)
    assert len(control.threads) == 2
    control.threads.run()
    control.turn()
    assert control.row()[HealthField.CHECKS_PASSED] == 2


def test_flips_are_told_once(make: Make) -> None:
    control = make([PASSED, *[FAILED] * 5, *[PASSED] * 9])
    control.begin()
    control.turns(60.0)
    assert control.kinds() == ["up", "down", "up"]
    assert control.row().health is Health.UP


def test_an_endpoint_that_refuses_is_down_within_the_interval_and_its_hurried_checks(make: Make) -> None:
    control = make([PASSED, PASSED, REFUSED])
    control.begin()
    control.turns(3.5)
    assert control.row().health is Health.UP
    died = control.clock.now
    while control.row().health is Health.UP:
        control.turn()
    assert control.clock.now - died < 3.3 + 2 * 0.3 + 5 * 0.05


def test_a_report_of_a_failed_connect_brings_the_check_forward(make: Make) -> None:
    control = make([PASSED, REFUSED], [PASSED])
    control.begin()
    control.turns(0.5)
    before = len(control.probes[url(0)].timeouts)
    control.report(CONNECT)
    control.turns(0.8)
    assert len(control.probes[url(0)].timeouts) >= before + 2
    assert control.row().health is Health.DOWN


def test_a_server_error_does_not(control: Control) -> None:
    checks = len(control.probes[url(0)].timeouts)
    control.report(ERROR)
    assert len(control.probes[url(0)].timeouts) == checks


def test_the_heart_beats_with_every_turn(control: Control) -> None:
    control.turn(0.5)
    assert control.cells.view[Header.HEARTBEAT] == control.clock.monotonic_ns()


def test_the_first_round_is_noted_when_the_last_endpoint_was_checked(make: Make) -> None:
    control = make([PASSED], [FAILED])
    control.threads.held = True
    control.begin()
    control.turn()
    control.turn()
    assert control.checked == 0
    control.threads.run()
    control.turn()
    assert control.checked == GENERATION


def test_without_checks_there_is_no_round_to_wait_for(make: Make) -> None:
    control = make([PASSED], health={"type": "none"})
    control.begin()
    assert control.checked == GENERATION
    control.turns(1.0)
    assert (control.row().health, control.kinds()) == (Health.UNKNOWN, [])


@pytest.mark.parametrize(("slots", "checked"), [([], 0), ([0], 0), ([0, 1], GENERATION)])
def test_what_was_checked_before_needs_no_first_round(make: Make, slots: list[int], checked: int) -> None:
    control = make([PASSED], [PASSED])
    for slot in slots:
        control.write(slot, health=Health.UP, checked=CHECKED)
    control.begin()
    assert control.checked == checked


def test_a_probe_that_raises_says_nothing_of_the_endpoint_and_the_watch_goes_on(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    control = make([ValueError("a bug"), PASSED], [PASSED])
    control.begin()
    control.turns(0.1)
    assert (control.row(0).health, control.row(1).health) == (Health.UNKNOWN, Health.UP)
    assert control.row(0)[HealthField.CHECKS_FAILED] == 0
    assert "the check of http://127.0.0.1:8000 could not be made" in caplog.text
    assert "health stays as it is: check not made: a bug" in caplog.text
    control.turns(10.0)
    assert control.row(0).health is Health.UP


def test_a_check_that_could_not_be_made_says_nothing_of_the_endpoint(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    unmade = ProbeResult.unmade("no file descriptors left")
    control = make([PASSED, PASSED, unmade])
    control.begin()
    control.turns(60.0)
    assert control.row().health is Health.UP
    assert control.row()[HealthField.CHECKS_FAILED] == 0
    assert control.cells.text(0) == PASSED.text
    complaints = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in complaints] == [
        "health stays as it is: check not made: no file descriptors left"
    ]
    assert len(control.probes[url(0)].timeouts) > 40


def test_what_could_not_be_checked_is_complained_of_once_a_minute(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    control = make([ProbeResult.unmade("no port left")], [ProbeResult.unmade("no port left")])
    control.begin()
    control.turns(59.0)
    assert caplog.text.count("health stays as it is: check not made: no port left") == 1
    control.turns(60.0)
    assert caplog.text.count("health stays as it is: check not made: no port left") == 2


@pytest.fixture
def stopped(make: Make) -> Control:
    """Give a control worker that was stopped for ten seconds, with a check of each endpoint under way.

    The second check of the first endpoint fails, that of the second one passes, and later ones fail.
    """
    control = make([PASSED, TIMED_OUT], [PASSED, PASSED, FAILED], [PASSED])
    control.begin()
    control.turns(0.1)
    control.threads.held = True
    control.turns(4.0)
    assert len(control.threads) == 3
    control.turn(10.0)
    control.threads.run()
    control.turn()
    return control


def test_what_failed_while_this_process_was_stopped_says_nothing(stopped: Control) -> None:
    row = stopped.row(0)
    assert (row.health, row[HealthField.COUNT]) == (Health.UP, 4)
    assert row[HealthField.CHECKS_FAILED] == 0
    assert stopped.cells.text(0) == PASSED.text


def test_a_failure_that_was_found_just_before_the_stop_says_nothing(make: Make) -> None:
    control = make([PASSED, TIMED_OUT], [PASSED], [PASSED])
    control.begin()
    control.turns(0.1)
    control.threads.held = True
    control.turns(4.0)
    control.threads.run()
    control.turn(10.0)
    row = control.row(0)
    assert (row.health, row[HealthField.CHECKS_FAILED]) == (Health.UP, 0)


def test_what_passed_while_this_process_was_stopped_counts(stopped: Control) -> None:
    assert stopped.row(1)[HealthField.CHECKS_PASSED] == 2


def test_what_is_checked_after_a_stop_is_believed(stopped: Control) -> None:
    stopped.threads.held = False
    stopped.threads.run()
    stopped.turns(1.1)
    assert all(stopped.row(slot)[HealthField.CHECKS_FAILED] for slot in (0, 1))


def test_a_turn_that_takes_a_second_is_no_stop(make: Make) -> None:
    control = make([PASSED, FAILED], [PASSED])
    control.begin()
    control.turns(0.1)
    control.threads.held = True
    control.turns(4.0)
    control.turn(0.99)
    control.threads.run()
    control.turn()
    assert control.row()[HealthField.CHECKS_FAILED] == 1


def test_a_system_without_threads_costs_checks_and_nothing_else(
    control: Control, caplog: pytest.LogCaptureFixture
) -> None:
    control.threads.exhausted = True
    control.turns(10.0)
    assert "health stays as it is: check not made: can't start new thread" in caplog.text
    control.threads.exhausted = False
    before = control.row()[HealthField.CHECKS_PASSED]
    control.turns(2.0)
    assert control.row()[HealthField.CHECKS_PASSED] > before
    assert repr(control.monitor) == "<Monitor of 2 endpoints, 0 checks under way>"


def test_endpoints_that_hang_take_no_turns_from_others(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PARALLEL", 2)
    control = make(*[[PASSED]] * 6)
    control.threads.held = True
    control.begin()
    for _ in range(3):
        control.turn(3.5)  # by now those of the last turn are due once more
        control.threads.run()
    control.turn()
    assert [len(probe.timeouts) for probe in control.probes.values()] == [1] * 6


def test_no_more_checks_run_at_once_than_allowed(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PARALLEL", 4)
    control = make(*[[PASSED]] * 6)
    control.threads.held = True
    control.begin()
    control.turns(1.0)
    assert len(control.threads) == 4
    assert repr(control.monitor) == "<Monitor of 6 endpoints, 4 checks under way>"


def test_it_goes_on_where_another_control_worker_was(make: Make) -> None:
    control = make(*[[PASSED]] * 3)
    control.threads.held = True
    control.write(0, health=Health.DOWN, count=1, checked=CHECKED, since=7)
    control.write(
        1,
        health=Health.UP,
        count=4,
        checked=CHECKED,
        ejection=Ejection.EJECTED,
        ejected_until=1005 * SECOND,
        ejections=2,
        ejected_for=Cause.SERVER_ERRORS,
    )
    control.begin()
    control.turn()
    assert (control.row(0).health, control.row(0)[HealthField.COUNT]) == (Health.DOWN, 1)
    assert control.row(1).ejection is Ejection.EJECTED
    assert control.kinds() == []
    control.turn(5.0)
    assert control.row(1).ejection is Ejection.TRIAL
    control.report(Kind.TRIAL_FAILED, slot=1)
    row = control.row(1)
    assert row[HealthField.EJECTED_UNTIL] - row[HealthField.EJECTED_SINCE] == 30 * SECOND


def test_ejections_beyond_what_is_allowed_now_end_with_the_takeover(make: Make) -> None:
    control = make(*[[PASSED]] * 3, outlier={"max_ejected": 0.4})
    for slot in range(3):
        control.write(slot, ejection=Ejection.EJECTED, ejected_until=2000 * SECOND)
    epoch = control.epoch
    control.begin()
    ejections = [control.row(slot).ejection for slot in range(3)]
    assert ejections == [Ejection.EJECTED, Ejection.NONE, Ejection.NONE]
    assert control.epoch > epoch
    assert [(event.kind, event.endpoint) for event in control.events.since(0)] == [
        ("restored", url(1)),
        ("restored", url(2)),
    ]


def test_ejections_end_with_the_takeover_where_detection_was_switched_off(make: Make) -> None:
    control = make([PASSED], [PASSED], outlier={"connect_failures": 0, "server_errors": 0})
    control.write(
        0, ejection=Ejection.EJECTED, ejected_since=940 * SECOND, ejected_until=2000 * SECOND, ejections=2
    )
    control.begin()
    assert (control.row().ejection, control.row()[HealthField.EJECTIONS]) == (Ejection.NONE, 2)
    [event] = control.events.since(0)
    assert (event.kind, event.text) == ("restored", "the configuration lets it stay in service")
    assert event.after == 60.0


def test_what_nobody_has_checked_for_a_while_stays_as_it_was_and_is_checked_at_once(make: Make) -> None:
    control = make([PASSED], [FAILED])
    control.threads.held = True
    for slot in (0, 1):
        control.write(slot, health=Health.UP, count=4, checked=900 * SECOND, since=100 * SECOND)
    control.begin()
    control.turn()
    assert [control.row(slot).health for slot in (0, 1)] == [Health.UP] * 2
    assert control.checked == 0
    control.threads.run()
    control.turn()
    assert [control.row(slot).health for slot in (0, 1)] == [Health.UP, Health.DOWN]
    assert control.row(0)[HealthField.SINCE] == 100 * SECOND
    assert control.checked == GENERATION
    assert [(event.kind, event.endpoint) for event in control.events.since(0)] == [("down", url(1))]


def test_what_was_told_before_it_began_is_not_heard(make: Make) -> None:
    control = make([PASSED], [PASSED])
    for _ in range(9):
        control.writer.report(0, CONNECT)
    control.begin()
    control.threads.held = True
    control.turns(0.5)
    assert control.kinds() == []


def test_pools_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = {"a": pool_of(2), "b": pool_of(2, first=2, health={"type": "none"})}
    control = Control(monkeypatch, pools, {url(slot): ScriptedProbe() for slot in range(2)})
    control.begin()
    control.turns(0.1)
    control.report(CONNECT, CONNECT, CONNECT, slot=3)
    assert [control.row(slot).ejection for slot in range(4)] == [*[Ejection.NONE] * 3, Ejection.EJECTED]
    assert [control.row(slot).health for slot in range(4)] == [*[Health.UP] * 2, *[Health.UNKNOWN] * 2]
    assert control.events.since(0)[-1].pool == "b"
