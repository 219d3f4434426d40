"""Which endpoints a request could get, and why not the others."""

import pytest

from lbg.state import condition
from lbg.state.layout import Admin, Ejection, Health
from lbg.upstream import candidates as module
from tests.unit.upstream.pools import Fleet, pool_of


def why(fleet: Fleet, tried: tuple[int, ...] = (), **config: object) -> list[tuple[bool, str]]:
    """Return what is said of each endpoint of the fleet; `tried` are places in it."""
    pool = pool_of(*fleet.endpoints, **config)
    found = pool.candidates([fleet.endpoints[place] for place in tried])
    assert [one.endpoint for one in found] == [endpoint.name for endpoint in fleet.endpoints]
    return [(one.usable, one.why) for one in found]


def test_what_is_up_is_usable(fleet: Fleet) -> None:
    fleet.endpoint()
    assert why(fleet) == [(True, "")]


def test_what_was_tried_is_not(fleet: Fleet) -> None:
    fleet.endpoint()
    fleet.endpoint()
    assert why(fleet, (1,)) == [(True, ""), (False, "tried before")]


def test_what_was_tried_and_is_down_now_is_both(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "local_time", lambda moment, now: "12:01:03")
    fleet.endpoint().becomes(health=Health.DOWN, since=1)
    fleet.endpoint()
    assert why(fleet, (0,)) == [(False, "tried before; down since 12:01:03"), (True, "")]


def test_the_state_of_an_endpoint_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(condition, "local_time", lambda moment, now: "12:01:03")
    for _ in range(4):
        fleet.endpoint()
    fleet.endpoints[0].becomes(health=Health.DOWN, since=1)
    fleet.endpoints[1].becomes(admin=Admin.DRAIN, admin_since=1)
    fleet.endpoints[2].becomes(ejection=Ejection.EJECTED, ejected_since=1, ejected_until=2)
    assert why(fleet) == [
        (False, "down since 12:01:03"),
        (False, "draining since 12:01:03"),
        (False, "ejected since 12:01:03 until 12:01:03"),
        (True, ""),
    ]


def test_a_full_endpoint_is_told_with_its_limit(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(max_requests=1)
    assert why(fleet) == [(True, "")]
    endpoint.began()
    assert why(fleet) == [(False, "full: 1 of max_requests = 1 in flight")]
    endpoint.left()


def test_when_all_fail_open_they_are_usable_and_told_all_the_same(fleet: Fleet) -> None:
    fleet.endpoint().becomes(health=Health.DOWN)
    assert why(fleet, when_all_down="fail_open") == [(True, "down")]


def test_a_change_shows_at_once(fleet: Fleet) -> None:
    endpoint = fleet.endpoint()
    pool = pool_of(endpoint)
    assert pool.candidates()[0].usable
    endpoint.becomes(health=Health.DOWN)
    pool.refresh(0.0)
    assert pool.candidates()[0] == (endpoint.name, False, "down")


def test_words_are_made_once_for_a_state(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = pool_of(fleet.endpoint())
    pool.candidates()
    monkeypatch.setattr(module, "read_condition", None)
    assert pool.candidates()[0].usable


def test_of_a_large_pool_the_first_are_told(fleet: Fleet) -> None:
    for _ in range(25):
        fleet.endpoint()
    assert len(pool_of(*fleet.endpoints).candidates()) == 20
