"""Which endpoints of a pool take requests, and with which weight."""

from collections.abc import Sequence

import pytest

from lbg.balancing.round_robin import RoundRobin
from lbg.net.deadline import NEVER
from lbg.state.layout import Admin, Ejection, Health
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.rotation import Rotation, rotation
from tests.unit.upstream.pools import Fleet
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint

SECOND = 1_000_000_000  # ns


def rotate(
    *endpoints: ScriptedEndpoint, now: float = 0.0, slow_start: float = 0.0, fail_open: bool = False
) -> Rotation:
    return rotation(endpoints, RoundRobin, now=now, slow_start=slow_start, fail_open=fail_open)


def tiers(current: Rotation, now: float = 0.0) -> list[list[Endpoint]]:
    """Return the endpoints in the order in which they are asked, tier by tier."""
    return [list(balancer.order(None, now)) for balancer in current.tiers]


DOWN = {"health": Health.DOWN}
EJECTED = {"ejection": Ejection.EJECTED}
TRIAL = {"ejection": Ejection.TRIAL}


@pytest.fixture
def four(fleet: Fleet) -> Sequence[ScriptedEndpoint]:
    """Give four endpoints in service."""
    return [fleet.endpoint() for _ in range(4)]


def test_an_endpoint_that_nobody_checked_is_used(four: Sequence[ScriptedEndpoint]) -> None:
    assert rotate(*four).usable == tuple(four)


def test_what_is_down_ejected_or_on_trial_is_left_out(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint, fields in zip(four, (DOWN, EJECTED, TRIAL), strict=False):
        endpoint.becomes(**fields)
    current = rotate(*four)
    assert (current.usable, tiers(current)) == ((four[3],), [[four[3]]])
    assert current.trials == (four[2],)


def test_when_all_are_ejected_all_are_used_and_none_is_on_trial(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint in four:
        endpoint.becomes(**EJECTED)
    four[0].becomes(**TRIAL)
    four[1].becomes(**DOWN)
    current = rotate(*four)
    assert current.usable == (four[0], four[2], four[3])
    assert current.trials == ()


def test_an_endpoint_that_is_down_has_no_trial(four: Sequence[ScriptedEndpoint]) -> None:
    four[0].becomes(**TRIAL, **DOWN)
    assert rotate(*four).trials == ()


def test_what_is_held_is_left_out_and_counted(four: Sequence[ScriptedEndpoint]) -> None:
    assert rotate(*four).held == 0
    four[1].becomes(admin=Admin.DRAIN)
    four[2].becomes(admin=Admin.MAINT, **TRIAL)
    current = rotate(*four)
    assert (current.held, current.usable, current.trials) == (2, (four[0], four[3]), ())


def test_clients_can_return_to_what_is_usable_and_to_what_drains_in_good_health(
    fleet: Fleet, four: Sequence[ScriptedEndpoint]
) -> None:
    draining = [fleet.endpoint() for _ in range(4)]
    for endpoint, fields in zip(draining, ({}, DOWN, EJECTED, TRIAL), strict=True):
        endpoint.becomes(admin=Admin.DRAIN, **fields)
    for endpoint, fields in zip(four, (DOWN, EJECTED, {"admin": Admin.MAINT}), strict=False):
        endpoint.becomes(**fields)
    assert rotate(*four, *draining).returnable == {four[3], draining[0]}


def test_clients_can_return_to_any_endpoint_of_a_pool_that_fails_open_but_those_in_maintenance(
    four: Sequence[ScriptedEndpoint],
) -> None:
    for endpoint in four:
        endpoint.becomes(**DOWN)
    four[0].becomes(admin=Admin.MAINT)
    four[1].becomes(admin=Admin.DRAIN)
    current = rotate(*four, fail_open=True)
    assert (current.usable, current.returnable) == ((four[2], four[3]), {four[2], four[3]})


def test_backups_come_after_all_others(fleet: Fleet) -> None:
    first, backup = fleet.endpoint(), fleet.endpoint(backup=True)
    assert tiers(rotate(backup, first)) == [[first], [backup]]


def test_whom_this_worker_could_not_connect_to_comes_after_the_others_and_before_backups(
    fleet: Fleet, four: Sequence[ScriptedEndpoint]
) -> None:
    backup = fleet.endpoint(backup=True)
    four[1].suspected_until, four[2].suspected_until = 5.0, 4.5
    current = rotate(*four, backup, now=4.0)
    assert tiers(current) == [[four[0], four[3]], [four[1], four[2]], [backup]]
    assert current.usable == (*four, backup)


def test_a_rotation_holds_until_the_first_suspicion_is_over(four: Sequence[ScriptedEndpoint]) -> None:
    assert rotate(*four, now=4.0).until == NEVER
    four[1].suspected_until, four[2].suspected_until = 5.0, 4.5
    assert rotate(*four, now=4.0).until == 4.5
    current = rotate(*four, now=4.5)
    assert (current.until, tiers(current)) == (5.0, [[four[0], four[2], four[3]], [four[1]]])
    assert rotate(*four, now=5.0).until == NEVER


def test_when_all_are_suspects_they_are_one_tier(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint in four:
        endpoint.suspected_until = 5.0
    assert tiers(rotate(*four, now=4.0)) == [[*four]]


def test_suspects_that_are_out_of_service_are_left_out(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint in four[:2]:
        endpoint.suspected_until = 5.0
    four[0].becomes(**DOWN)
    four[1].becomes(**EJECTED)
    current = rotate(*four, now=4.0)
    assert (current.until, tiers(current)) == (NEVER, [[four[2], four[3]]])


def test_a_suspect_among_backups_stays_where_it_is(fleet: Fleet) -> None:
    first, *backups = fleet.endpoint(), fleet.endpoint(backup=True), fleet.endpoint(backup=True)
    backups[0].suspected_until = 5.0
    current = rotate(first, *backups, now=4.0)
    assert (current.until, tiers(current)) == (NEVER, [[first], backups])


def test_a_backup_has_its_trial_only_when_no_primary_is_usable(fleet: Fleet) -> None:
    first, backup, other = fleet.endpoint(), fleet.endpoint(backup=True), fleet.endpoint(backup=True)
    backup.becomes(**TRIAL)
    assert rotate(first, backup, other).trials == ()
    first.becomes(**DOWN)
    assert rotate(first, backup, other).trials == (backup,)


def test_when_all_are_down_nobody_is_used(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint in four:
        endpoint.becomes(**DOWN)
    current = rotate(*four)
    assert (current.usable, current.open, tiers(current)) == ((), False, [])


def test_a_pool_that_fails_open_uses_all_then_the_least_recently_failed_first(
    four: Sequence[ScriptedEndpoint],
) -> None:
    for endpoint, failed in zip(four, (30, 10, 40, 20), strict=True):
        endpoint.becomes(**DOWN, failed=failed)
    current = rotate(*four, fail_open=True)
    assert (current.usable, current.open) == (tuple(four), True)
    assert tiers(current) == [[four[1], four[3], four[0], four[2]]]
    four[1].becomes(failed=50)
    assert tiers(current) == [[four[3], four[0], four[2], four[1]]]


def test_a_pool_that_fails_open_forgets_failures_after_ten_seconds(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint, failed in zip(four, (92, 89, 91, 0), strict=True):
        endpoint.becomes(**DOWN, failed=failed * SECOND)
    four[1].began()
    current = rotate(*four, now=100.0, fail_open=True)
    assert tiers(current, now=100.0) == [[four[3], four[1], four[2], four[0]]]
    assert tiers(current, now=102.5) == [[four[0], four[2], four[3], four[1]]]


def test_a_pool_that_fails_open_shares_by_load_while_nothing_fails(four: Sequence[ScriptedEndpoint]) -> None:
    for endpoint, requests in zip(four, (2, 0, 3, 1), strict=True):
        endpoint.becomes(**DOWN)
        for _ in range(requests):
            endpoint.began()
    current = rotate(*four, now=100.0, fail_open=True)
    assert tiers(current, now=100.0) == [[four[1], four[3], four[0], four[2]]]


def test_a_pool_that_fails_open_does_so_only_when_all_are_down(four: Sequence[ScriptedEndpoint]) -> None:
    four[0].becomes(**DOWN)
    assert not rotate(*four, fail_open=True).open


@pytest.mark.parametrize(
    ("now", "weight", "ramping"), [(100.0, 1.0, True), (105.0, 5.5, True), (110.0, 10, False)]
)
def test_the_weight_grows_during_slow_start(fleet: Fleet, now: float, weight: float, ramping: bool) -> None:
    warming, warm = fleet.endpoint(weight=10), fleet.endpoint(weight=2)
    warming.becomes(ramp=100 * SECOND)
    assert rotate(warming, warm, now=now, slow_start=10.0).ramping is ramping
    assert (warming.effective_weight, warm.effective_weight) == (pytest.approx(weight), 2)


def test_a_slow_start_from_before_it_was_switched_off_means_nothing(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(weight=4)
    endpoint.becomes(ramp=100 * SECOND)
    assert not rotate(endpoint, now=99.0).ramping
    assert endpoint.effective_weight == 4
