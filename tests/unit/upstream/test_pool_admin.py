"""What an operator says of endpoints, as the pool of a worker heeds it."""

import pytest

from lbg.state.layout import Admin, Ejection, Health
from lbg.upstream.endpoint import Endpoint
from lbg.upstream.pool import Busy, NoEndpoint, Pool
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import ScriptedEndpoint

DRAIN = {"admin": Admin.DRAIN}
MAINT = {"admin": Admin.MAINT}
DOWN = {"health": Health.DOWN}
EJECTED = {"ejection": Ejection.EJECTED}
STICKY = {"cookie": "lbg", "secret": "0123456789abcdef"}

held = pytest.mark.parametrize("fields", [DRAIN, MAINT], ids=["drain", "maint"])


def picks(pool: Pool, count: int, tried: list[Endpoint] | None = None) -> list[Endpoint]:
    return [pool.acquire(request_for(), tried or [], 0.0).endpoint for _ in range(count)]


def returning(pool: Pool, endpoint: Endpoint, tried: list[Endpoint] | None = None) -> Endpoint:
    """Return where a request goes whose client was at `endpoint` before."""
    request = request_for()
    request.sticky = endpoint
    return pool.acquire(request, tried or [], 0.0).endpoint


def why_none(pool: Pool) -> NoEndpoint:
    with pytest.raises(NoEndpoint) as caught:
        pool.acquire(request_for(), [], 0.0)
    return caught.value


@held
def test_an_endpoint_that_is_held_gets_no_new_client_from_the_next_request_on(
    fleet: Fleet, fields: dict[str, int]
) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second)
    assert set(picks(pool, 2)) == {first, second}
    first.becomes(**fields)
    assert picks(pool, 3) == [second] * 3
    first.becomes(admin=Admin.READY)
    assert set(picks(pool, 2)) == {first, second}


@held
def test_what_is_in_flight_there_goes_on(fleet: Fleet, fields: dict[str, int]) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second)
    lease = pool.acquire(request_for(), [second], 0.0)
    first.becomes(**fields)
    picks(pool, 1)
    assert first.in_flight() == 1
    lease.cancel()
    assert first.in_flight() == 0


@held
def test_backups_join_when_all_others_are_held(fleet: Fleet, fields: dict[str, int]) -> None:
    first, backup = fleet.endpoint(), fleet.endpoint(backup=True)
    pool = pool_of(first, backup)
    first.becomes(**fields)
    assert picks(pool, 2) == [backup] * 2


@held
def test_an_ejected_endpoint_is_better_than_none_and_a_held_one_is_not(
    fleet: Fleet, fields: dict[str, int]
) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    first.becomes(**fields)
    second.becomes(**EJECTED)
    assert picks(pool_of(first, second), 2) == [second] * 2


@held
def test_a_held_endpoint_has_no_trial(fleet: Fleet, fields: dict[str, int]) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    first.becomes(**fields, ejection=Ejection.TRIAL)
    assert picks(pool_of(first, second), 3) == [second] * 3


@held
def test_a_pool_that_fails_open_spares_what_is_held(fleet: Fleet, fields: dict[str, int]) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second, when_all_down="fail_open")
    first.becomes(**fields)
    second.becomes(**DOWN)
    assert picks(pool, 3) == [second] * 3
    assert pool.failing_open


@held
def test_a_pool_of_which_all_is_held_does_not_fail_open(fleet: Fleet, fields: dict[str, int]) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second, when_all_down="fail_open")
    for endpoint in (first, second):
        endpoint.becomes(**fields)
    assert why_none(pool).held
    assert not pool.failing_open


def test_when_all_are_held_it_says_so_of_each(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    first.becomes(**DRAIN)
    second.becomes(**MAINT, **DOWN)
    none = why_none(pool_of(first, second))
    assert (none.held, none.why) == (
        True,
        "all 2 endpoints of pool api are draining or in maintenance: "
        "127.0.0.1:8000 draining; 127.0.0.1:8001 in maintenance",
    )
    assert fleet.pool_counts() == {"no_healthy": 1}


def test_when_some_are_held_and_the_others_down_it_says_so_of_each(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    first.becomes(**MAINT)
    second.becomes(**DOWN)
    fleet.cells.set_text(second.slot, "connect refused")
    none = why_none(pool_of(first, second))
    assert (none.held, none.why) == (
        False,
        "none of the 2 endpoints of pool api takes requests: "
        "127.0.0.1:8000 in maintenance; 127.0.0.1:8001 down: connect refused",
    )


@pytest.fixture
def three(fleet: Fleet) -> tuple[Pool, ScriptedEndpoint, ScriptedEndpoint, ScriptedEndpoint]:
    """Give a pool with sticky cookies and its endpoints; the last one is a backup."""
    endpoints = fleet.endpoint(), fleet.endpoint(), fleet.endpoint(backup=True)
    return pool_of(*endpoints, sticky=STICKY), *endpoints


Three = tuple[Pool, ScriptedEndpoint, ScriptedEndpoint, ScriptedEndpoint]


def test_a_client_returns_to_where_it_was(three: Three) -> None:
    pool, first, second, backup = three
    for endpoint in (first, second, second, backup, first):
        assert returning(pool, endpoint) is endpoint


def test_a_pool_knows_its_cookies_when_a_request_begins(three: Three) -> None:
    pool, first, second, _ = three
    assert pool.sticky is not None
    for endpoint in (first, second):
        request = request_for()
        _, field = pool.sticky.field(endpoint, secure=False)
        request.cookies = field.partition(";")[0]
        pool.begin_request(request)
        assert request.sticky is endpoint
    request = request_for()
    pool.begin_request(request)
    assert request.sticky is None


def test_a_pool_without_cookies_looks_for_none(fleet: Fleet) -> None:
    pool = pool_of(fleet.endpoint())
    request = request_for()
    pool.begin_request(request)
    assert (pool.sticky, request.sticky) == (None, None)


def test_a_client_stays_at_an_endpoint_that_drains(three: Three) -> None:
    pool, first, *others = three
    first.becomes(**DRAIN)
    assert returning(pool, first) is first
    for other in others:
        other.becomes(**MAINT)
    assert returning(pool, first) is first
    assert why_none(pool).held


@pytest.mark.parametrize(
    "fields",
    [MAINT, DOWN, EJECTED, {"ejection": Ejection.TRIAL}, DRAIN | DOWN, DRAIN | EJECTED],
    ids=["maint", "down", "ejected", "trial", "drain and down", "drain and ejected"],
)
def test_a_client_moves_when_its_endpoint_cannot_take_it(three: Three, fields: dict[str, int]) -> None:
    pool, first, second, _ = three
    first.becomes(**fields)
    if fields == {"ejection": Ejection.TRIAL}:
        first.begin_trial()  # by another request
    assert returning(pool, first) is second


def test_a_client_moves_when_its_endpoint_was_tried(three: Three) -> None:
    pool, first, second, _ = three
    assert returning(pool, first, [first]) is second


def test_a_client_moves_when_its_endpoint_is_full(fleet: Fleet) -> None:
    first, second = fleet.endpoint(max_requests=1), fleet.endpoint(max_requests=2)
    pool = pool_of(first, second, sticky=STICKY)
    assert [returning(pool, first) for _ in range(3)] == [first, second, second]
    request = request_for()
    request.sticky = first
    with pytest.raises(Busy):
        pool.acquire(request, [], 0.0)
    assert (first.in_flight(), second.in_flight()) == (1, 2)


def test_a_client_that_returns_tries_no_other_endpoint_out(three: Three) -> None:
    pool, first, second, _ = three
    second.becomes(ejection=Ejection.TRIAL)
    assert returning(pool, first) is first
    assert picks(pool, 1) == [second]


def test_clients_stay_where_they_are_while_a_pool_fails_open(fleet: Fleet) -> None:
    first, second = fleet.endpoint(), fleet.endpoint()
    pool = pool_of(first, second, when_all_down="fail_open", sticky=STICKY)
    for endpoint in (first, second):
        endpoint.becomes(**DOWN)
    assert [returning(pool, one) for one in (second, second, first)] == [second, second, first]
    first.becomes(**MAINT)
    assert returning(pool, first) is second


def test_a_returning_client_is_a_pick_like_others(three: Three) -> None:
    pool, first, second, _ = three
    returning(pool, second)
    returning(pool, first)
    assert (second.picked, first.picked) == (1, 2)


def test_a_weight_of_run_time_counts_from_the_next_request_on(fleet: Fleet) -> None:
    first, second = fleet.endpoint(weight=2), fleet.endpoint(weight=2)
    pool = pool_of(first, second)
    first.becomes(weight=6)
    assert picks(pool, 8).count(first) == 6
    assert (first.effective_weight, second.effective_weight) == (6, 2)
    first.becomes(weight=0)
    assert picks(pool, 8).count(first) == 4


def test_slow_start_goes_to_the_weight_of_run_time(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(weight=10)
    pool = pool_of(endpoint, slow_start=10)
    endpoint.becomes(weight=100, ramp=100_000_000_000)
    pool.tick(105.0)
    assert endpoint.effective_weight == pytest.approx(55.0)
