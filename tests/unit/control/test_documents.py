"""What the admin API says of pools and endpoints."""

from dataclasses import replace
from typing import Any

import pytest

from lbg.control.documents import Document, Documents
from lbg.health.counter import HealthCounter
from lbg.state.cells import Cells
from lbg.state.layout import Admin, Cause, Ejection, Field, Health, PoolField, counters, pool_row
from tests.unit.control.control_app import published, set_health

SECOND = 1_000_000_000
NOW = 1_000 * SECOND
WALL = 1_700_000_000.0
UP = {"health": Health.UP, "since": NOW - 60 * SECOND, "checked": NOW - SECOND, "count": 4}


@pytest.fixture
def cells() -> Cells:
    return Cells.private()


def documents(cells: Cells, pools: dict[str, Any] | None = None) -> Documents:
    return Documents(published(pools), cells, lambda: NOW, lambda: WALL)


def endpoint(cells: Cells, pools: dict[str, Any] | None = None) -> Document:
    """Return the document of the endpoint in slot 2, the one of pool "api"."""
    (found,) = documents(cells, pools).pool("api")["endpoints"]
    return found


def test_an_endpoint_is_described_in_full(cells: Cells) -> None:
    set_health(cells, 2, **UP, check_took=3_000_000, checks_passed=20, checks_failed=2, ejected_total=1)
    cells.set_text(2, "status 200 in 3 ms")
    assert endpoint(cells) == {
        "pool": "api",
        "name": "a:1",
        "url": "http://a:1",
        "weight": 1,
        "configured_weight": 1,
        "effective_weight": 1.0,
        "backup": False,
        "max_requests": 5,
        "admin": "ready",
        "state": "up",
        "reason": "status 200 in 3 ms",
        "since": "2023-11-14T22:12:20Z",
        "for_seconds": 60.0,
        "usable": True,
        "ejected_until": None,
        "ejections": 1,
        "last_check": {
            "passed": True,
            "text": "status 200 in 3 ms",
            "age_seconds": 1.0,
            "took_ms": 3.0,
            "passed_total": 20,
            "failed_total": 2,
        },
        "requests": 0,
        "responses": {"2xx": 0, "3xx": 0, "4xx": 0, "5xx": 0},
        "failures": 0,
        "connect_failures": 0,
        "rescues": 0,
        "in_flight": 0,
        "awaiting": 0,
        "cuts": 0,
    }


def test_what_was_never_checked_has_no_last_check(cells: Cells) -> None:
    found = endpoint(cells)
    assert (found["state"], found["last_check"], found["since"], found["for_seconds"]) == (
        "unknown",
        None,
        None,
        None,
    )


def test_counts_are_sums_over_the_workers(cells: Cells) -> None:
    cells.register(3, 4711, 1, 1)
    for worker in (0, 3):
        for number, field in enumerate(Field, 1):
            cells.view[counters(worker, 2) + field] = number
    found = endpoint(cells)
    assert found["responses"] == {"2xx": 2, "3xx": 4, "4xx": 6, "5xx": 8}
    assert found["requests"] == 20
    assert [found[name] for name in ("failures", "connect_failures", "rescues", "in_flight")] == [
        10,
        12,
        14,
        16,
    ]


def test_an_ejected_endpoint_tells_why_and_until_when(cells: Cells) -> None:
    set_health(
        cells,
        2,
        **UP,
        ejection=Ejection.EJECTED,
        ejected_since=NOW - SECOND,
        ejected_until=NOW + 9 * SECOND,
        ejected_for=Cause.SERVER_ERRORS,
    )
    found = endpoint(cells)
    assert (found["state"], found["usable"], found["reason"]) == ("ejected", False, "server errors")
    assert (found["since"], found["ejected_until"]) == ("2023-11-14T22:13:19Z", "2023-11-14T22:13:29Z")


def test_an_old_result_is_stale_by_the_interval_of_its_pool(cells: Cells) -> None:
    set_health(cells, 2, **UP | {"checked": NOW - 10 * SECOND})
    assert endpoint(cells)["state"] == "stale"
    slow = {"web": {"endpoints": ["http://b:2"]}, "api": {"endpoints": ["http://a:1"]}}
    assert endpoint(cells, slow | {"api": slow["api"] | {"health": {"interval": 4}}})["state"] == "up"


def test_without_active_checks_an_endpoint_is_unchecked(cells: Cells) -> None:
    pools = {
        "web": {"endpoints": ["http://b:2"]},
        "api": {"endpoints": ["http://a:1"], "health": {"type": "none"}},
    }
    assert endpoint(cells, pools)["state"] == "unchecked"


def test_the_weight_in_force_grows_during_slow_start(cells: Cells) -> None:
    set_health(cells, 2, **UP, ramp=NOW - 5 * SECOND)
    assert endpoint(cells)["effective_weight"] == 0.55
    set_health(cells, 2, ramp=NOW - 10 * SECOND)
    assert endpoint(cells)["effective_weight"] == 1.0


def test_a_weight_of_run_time_is_told_beside_the_configured_one(cells: Cells) -> None:
    set_health(cells, 2, **UP, weight=8, ramp=NOW - 5 * SECOND)
    found = endpoint(cells)
    assert [found[name] for name in ("weight", "configured_weight", "effective_weight")] == [8, 1, 4.4]


@pytest.mark.parametrize(
    ("admin", "state"), [(Admin.DRAIN, "draining"), (Admin.MAINT, "maint"), (Admin.READY, "up")]
)
def test_what_an_operator_says_is_told_beside_the_state(cells: Cells, admin: Admin, state: str) -> None:
    set_health(cells, 2, **UP, admin=admin, admin_since=NOW - 7 * SECOND)
    found = endpoint(cells)
    assert (found["admin"], found["state"]) == (admin.name.lower(), state)
    assert found["usable"] is (admin is Admin.READY)
    assert documents(cells).pool("api")["usable"] == (admin is Admin.READY)


@pytest.mark.parametrize("name", ["b:2", "http://b:2", "http://B:2/", "B:2"])
def test_an_endpoint_is_found_by_its_address_or_url(cells: Cells, name: str) -> None:
    assert documents(cells).slot("web", name) == 0


def test_an_endpoint_on_a_socket_and_one_on_the_default_port_are_found(cells: Cells) -> None:
    pools = {
        "web": {"endpoints": ["unix:/run/a.sock", "http://[::1]"]},
        "api": {"endpoints": ["http://a:1"]},
    }
    slots = {"web/unix:/run/a.sock": 7, "web/[::1]:80": 8, "api/a:1": 2}
    made = Documents(replace(published(pools), slots=slots), cells, lambda: NOW, lambda: WALL)
    assert made.endpoint_names("web") == ["unix:/run/a.sock", "[::1]:80"]
    assert made.slot("web", "unix:/run/a.sock") == 7
    assert [made.slot("web", name) for name in ("[::1]:80", "[::1]", "http://[0:0::1]")] == [8, 8, 8]
    assert made.endpoint("web", 7)["url"] == "unix:/run/a.sock"


@pytest.mark.parametrize("name", ["b:3", "a", "", "/", "https://b:2", "b:2/x", "b:99999", "user@b:2"])
def test_another_name_is_no_endpoint(cells: Cells, name: str) -> None:
    assert documents(cells).slot("web", name) is None


@pytest.mark.parametrize("checks", ["F", "P", "PF", "PFF", "PFFF", "PFFP", "PFFFP", "PFFFPP", "PFFFPF"])
@pytest.mark.parametrize(("rise", "fall"), [(2, 3), (1, 1), (3, 1), (1, 3)])
def test_whether_the_last_check_passed_is_told_by_the_count(
    checks: str, rise: int, fall: int, cells: Cells
) -> None:
    counter = HealthCounter(rise, fall)
    count = counter.start
    for check in checks:
        count = counter.observe(count, check == "P")
    set_health(cells, 2, **UP | {"count": count})
    pool = {"endpoints": ["http://a:1"], "health": {"rise": rise, "fall": fall}}
    last_check = endpoint(cells, {"web": pool, "api": pool})["last_check"]
    assert last_check["passed"] is (checks[-1] == "P")


def test_a_pool_tells_its_policies_its_counts_and_its_endpoints(cells: Cells) -> None:
    for number, field in enumerate(PoolField, 1):
        cells.view[pool_row(0, 3) + field] = number
    pool = documents(cells).pool("web")
    assert {field.name.lower(): pool.get(field.name.lower()) for field in PoolField} == {
        "requests": 1,
        "retries": 2,
        "retries_denied": 3,
        "waiting": 4,
        "queued": 5,
        "queue_full": 6,
        "queue_timeouts": 7,
        "no_healthy": 8,
        "oldest": None,  # a time of this boot says nothing to a reader
    }
    assert (pool["balance"], pool["when_all_down"], pool["slow_start"]) == (
        "power_of_two",
        "fail_closed",
        0.0,
    )
    assert pool["health"] == {
        "type": "http",
        "interval": 3.0,
        "timeout": 2.0,
        "fast_interval": 1.0,
        "rise": 2,
        "fall": 3,
    }
    assert pool["outlier"]["eject"] == 10.0
    assert pool["retry"]["attempts"] == 3
    assert pool["queue"]["size"] == 100
    assert [(one["url"], one["weight"], one["backup"]) for one in pool["endpoints"]] == [
        ("http://a:1", 1, False),
        ("http://b:2", 3, True),
    ]


def test_a_pool_counts_its_usable_endpoints(cells: Cells) -> None:
    assert documents(cells).pool("web")["usable"] == 2
    set_health(cells, 5, **UP | {"health": Health.DOWN})
    assert documents(cells).pool("web")["usable"] == 1


def test_an_unknown_pool_is_no_document(cells: Cells) -> None:
    with pytest.raises(KeyError):
        documents(cells).pool("nothing")
