"""What an operator changes: who may, what is written and told, and what health makes of it."""

from pathlib import Path
from typing import Any

import pytest

from lbg.health.monitor import NotInCharge
from lbg.state.cells import Cells
from lbg.state.layout import Admin, Ejection, Field, Health, HealthField, Kind
from lbg.state.lock import FileLock
from tests.unit.health.control import Control, Make, pool_of, url
from tests.unit.health.watching import FAILED, PASSED, REFUSED, TIMED_OUT, ScriptedProbe

CONNECT = Kind.CONNECT_FAILURE
UNCHECKED: dict[str, Any] = {"health": {"type": "none"}, "outlier": {"eject": 10}}


@pytest.fixture
def quiet(make: Make) -> Control:
    """Give a control worker over three endpoints that are not checked, of which one may be ejected."""
    control = make([PASSED], [PASSED], [PASSED], **UNCHECKED)
    control.begin()
    control.monitor._take_over()
    return control


def reports_in_a_row(control: Control, slot: int) -> None:
    control.report(CONNECT, CONNECT, CONNECT, slot=slot)


def test_a_state_is_written_and_told_to_all(quiet: Control) -> None:
    epoch = quiet.epoch
    quiet.monitor.set_admin(1, Admin.DRAIN)
    assert [quiet.row(slot).admin for slot in range(3)] == [Admin.READY, Admin.DRAIN, Admin.READY]
    assert quiet.epoch == epoch + 1
    assert quiet.kinds() == ["draining"]


def test_the_state_it_is_in_already_changes_nothing(quiet: Control) -> None:
    quiet.monitor.set_admin(1, Admin.MAINT)
    before = quiet.epoch, quiet.row(1)[HealthField.ADMIN_SINCE]
    quiet.clock.now += 5
    quiet.monitor.set_admin(1, Admin.MAINT)
    quiet.monitor.set_admin(0, Admin.READY)
    assert (quiet.epoch, quiet.row(1)[HealthField.ADMIN_SINCE]) == before
    assert quiet.kinds() == ["maint"]


def test_a_weight_is_written_and_told_to_all(quiet: Control) -> None:
    epoch = quiet.epoch
    quiet.monitor.set_weight(1, 7)
    assert [quiet.row(slot)[HealthField.WEIGHT] for slot in range(3)] == [0, 7, 0]
    assert quiet.epoch == epoch + 1
    quiet.monitor.set_weight(1, 7)
    assert quiet.epoch == epoch + 1
    quiet.monitor.set_weight(1, 1)
    assert quiet.row(1)[HealthField.WEIGHT] == 0
    assert quiet.kinds() == ["weight", "weight"]


def test_who_has_not_taken_over_changes_nothing(control: Control) -> None:
    control.monitor._begin()
    for change in (
        lambda: control.monitor.set_admin(0, Admin.MAINT),
        lambda: control.monitor.set_weight(0, 5),
    ):
        with pytest.raises(NotInCharge):
            change()
    assert (control.row().admin, control.row()[HealthField.WEIGHT]) == (Admin.READY, 0)


def test_who_has_stopped_changes_nothing(quiet: Control) -> None:
    quiet.monitor.stop()
    with pytest.raises(NotInCharge):
        quiet.monitor.set_admin(0, Admin.MAINT)


def test_who_waits_for_the_lock_changes_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held = FileLock(tmp_path / "lock")
    assert held.try_acquire()
    waiting = Control(
        monkeypatch, {"api": pool_of(1)}, {url(0): ScriptedProbe()}, lock=FileLock(tmp_path / "lock")
    )
    with pytest.raises(NotInCharge):
        waiting.monitor.set_admin(0, Admin.MAINT)
    held.release()


def test_the_next_control_worker_finds_it(make: Make) -> None:
    cells = Cells.private()
    first = make([PASSED], [PASSED], cells=cells)
    first.monitor._take_over()
    first.monitor.set_admin(0, Admin.DRAIN)
    first.monitor.set_weight(1, 9)
    second = make([PASSED], [PASSED], cells=cells)
    second.begin()
    second.turns(1.0)
    assert (second.row(0).admin, second.row(1)[HealthField.WEIGHT]) == (Admin.DRAIN, 9)


@pytest.mark.parametrize("admin", [Admin.DRAIN, Admin.MAINT])
def test_health_checks_go_on(make: Make, admin: Admin) -> None:
    control = make([PASSED, FAILED], [PASSED], health={"fall": 1})
    control.begin()
    control.monitor._take_over()
    control.turns(0.1)
    control.monitor.set_admin(0, admin)
    control.turns(5.0)
    assert (control.row().health, control.row().admin) == (Health.DOWN, admin)
    assert control.kinds()[-1] == "down"


@pytest.mark.parametrize("admin", [Admin.DRAIN, Admin.MAINT])
def test_the_last_endpoint_that_is_not_held_is_never_ejected(quiet: Control, admin: Admin) -> None:
    for slot in (1, 2):
        quiet.monitor.set_admin(slot, admin)
    reports_in_a_row(quiet, 0)
    assert quiet.row().ejection is Ejection.NONE


def test_what_is_in_maintenance_is_not_ejected(quiet: Control) -> None:
    quiet.monitor.set_admin(0, Admin.MAINT)
    reports_in_a_row(quiet, 0)
    assert quiet.row().ejection is Ejection.NONE
    assert quiet.row()[HealthField.FAILED] == 0


def test_what_drains_is_ejected_so_that_its_clients_move(quiet: Control) -> None:
    quiet.monitor.set_admin(0, Admin.DRAIN)
    reports_in_a_row(quiet, 0)
    assert quiet.row().ejection is Ejection.EJECTED


def test_maintenance_ends_an_ejection_and_says_nothing_of_it(quiet: Control) -> None:
    reports_in_a_row(quiet, 0)
    quiet.monitor.set_admin(0, Admin.MAINT)
    assert quiet.row().ejection is Ejection.NONE
    assert quiet.kinds() == ["ejected", "maint"]


def test_maintenance_leaves_a_place_among_the_ejected_to_others(quiet: Control) -> None:
    reports_in_a_row(quiet, 0)
    reports_in_a_row(quiet, 1)
    assert quiet.row(1).ejection is Ejection.NONE
    quiet.monitor.set_admin(0, Admin.MAINT)
    reports_in_a_row(quiet, 1)
    assert quiet.row(1).ejection is Ejection.EJECTED


def test_an_ejection_that_ends_while_it_drains_is_followed_by_a_trial_when_it_is_ready(
    quiet: Control,
) -> None:
    reports_in_a_row(quiet, 0)
    quiet.monitor.set_admin(0, Admin.DRAIN)
    quiet.turn(11.0)
    assert quiet.row().ejection is Ejection.TRIAL
    quiet.monitor.set_admin(0, Admin.READY)
    assert quiet.row().ejection is Ejection.TRIAL
    assert quiet.kinds() == ["ejected", "draining", "ready"]


def test_what_is_in_maintenance_is_not_ejected_for_its_silence(make: Make) -> None:
    for admin, ejection in ((Admin.MAINT, Ejection.NONE), (Admin.DRAIN, Ejection.EJECTED)):
        control = make([PASSED, TIMED_OUT], [PASSED])
        control.begin()
        control.monitor._take_over()
        control.turns(0.1)
        control.monitor.set_admin(0, admin)
        control.count(Field.AWAITING)
        control.turns(4.0)
        assert control.row().ejection is ejection


def test_a_refused_request_to_what_is_in_maintenance_hastens_no_check(make: Make) -> None:
    control = make([PASSED, REFUSED], [PASSED])
    control.begin()
    control.monitor._take_over()
    control.turns(3.4)
    control.monitor.set_admin(0, Admin.MAINT)
    control.monitor._watched[0].due = float("inf")
    checks = len(control.probes[url(0)].timeouts)
    control.report(CONNECT)
    control.turns(1.0)
    assert len(control.probes[url(0)].timeouts) == checks
