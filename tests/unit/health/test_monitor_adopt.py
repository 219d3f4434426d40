"""Another configuration for the control worker's watch: what is the same goes on."""

from dataclasses import replace
from typing import Any

import pytest

from lbg.config.snapshot import Snapshot
from lbg.health.monitor import Monitor
from lbg.state.layout import Ejection, HealthField, Kind
from tests.unit.health.control import GENERATION, Control, Make, pool_of, published, url
from tests.unit.health.watching import FAILED, PASSED, ScriptedProbe

CONNECT = Kind.CONNECT_FAILURE


def adopt(control: Control, generation: int = GENERATION + 1, **pools: Any) -> None:
    """Have the monitor take up these pools."""
    next_one = published(pools)
    snapshot = Snapshot(next_one.snapshot.config, generation, "", "lbg.toml")
    control.monitor.adopt(replace(next_one, snapshot=snapshot))


@pytest.fixture
def three(make: Make) -> Control:
    """Give a control worker in charge of two endpoints, with a probe for a third."""
    control = make([PASSED], [PASSED])
    control.probes[url(2)] = ScriptedProbe(FAILED)
    control.begin()
    control.monitor._in_charge = True
    control.turn()
    control.turn()
    return control


def test_an_added_endpoint_is_checked_at_once_and_told(three: Control) -> None:
    adopt(three, api=pool_of(3))
    three.turn()
    assert len(three.probes[url(2)].timeouts) == 1
    assert three.kinds()[-1] == "added"
    three.turn()
    assert three.kinds()[-1] == "down"


def test_what_is_the_same_is_not_checked_anew(three: Control) -> None:
    before = len(three.probes[url(0)].timeouts)
    adopt(three, api=pool_of(3, balance="random"))
    three.turn()
    assert len(three.probes[url(0)].timeouts) == before


def test_another_way_of_checking_begins_at_once(three: Control) -> None:
    before = len(three.probes[url(0)].timeouts)
    adopt(three, api=pool_of(2, health={"path": "/other"}))
    three.turn()
    assert len(three.probes[url(0)].timeouts) == before + 1
    assert three.kinds() == ["up", "up"]


def test_a_removed_endpoint_is_checked_no_more_and_told(three: Control) -> None:
    before = len(three.probes[url(1)].timeouts)
    adopt(three, api=pool_of(1))
    three.turns(10.0)
    assert len(three.probes[url(1)].timeouts) == before
    assert three.kinds()[-1] == "removed"


def test_the_result_of_a_check_of_a_removed_endpoint_is_nobodys(three: Control) -> None:
    three.threads.held = True
    three.turns(3.5)
    assert len(three.threads) == 2
    adopt(three, api=pool_of(1))
    three.threads.run()
    checked = three.row(1)[HealthField.CHECKED]
    three.turn()
    assert three.row(1)[HealthField.CHECKED] == checked


def test_failures_in_a_row_are_remembered_where_the_endpoints_stay(three: Control) -> None:
    three.report(CONNECT, CONNECT)
    adopt(three, api=pool_of(2, balance="random"))
    three.report(CONNECT)
    assert three.row().ejection is Ejection.EJECTED


def test_an_ejection_outlives_a_change_of_its_pool(three: Control) -> None:
    three.report(CONNECT, CONNECT, CONNECT)
    assert three.row().ejection is Ejection.EJECTED
    adopt(three, api=pool_of(3))
    three.turn()
    assert three.row().ejection is Ejection.EJECTED
    three.turns(4.0)
    assert "restored" in three.kinds()  # by a check that passed


def test_what_comes_to_a_pool_that_is_there_gets_its_share_slowly(three: Control) -> None:
    adopt(three, api=pool_of(3, slow_start=10.0))
    assert three.row(2)[HealthField.RAMP] == three.clock.monotonic_ns()
    assert three.row(0)[HealthField.RAMP] == 0


def test_what_comes_with_its_pool_does_not(three: Control) -> None:
    adopt(three, api=pool_of(2), new=pool_of(1, first=2, slow_start=10.0))
    assert three.row(2)[HealthField.RAMP] == 0


def test_the_same_configuration_twice_changes_nothing(three: Control) -> None:
    watched = three.monitor._watched
    adopt(three, GENERATION, api=pool_of(2))
    assert three.monitor._watched is watched


def test_who_is_not_in_charge_writes_nothing(make: Make) -> None:
    control: Control = make([PASSED], [PASSED])
    control.probes[url(2)] = ScriptedProbe(PASSED)
    adopt(control, api=pool_of(3))
    assert control.kinds() == []
    assert isinstance(control.monitor, Monitor)
    assert not control.monitor.in_charge
