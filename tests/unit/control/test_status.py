"""What lbg says of itself."""

import os
from dataclasses import replace

import pytest

from lbg import __version__
from lbg.config.amendments import Amendments, endpoint_of
from lbg.control.documents import Documents
from lbg.control.live_config import Failure
from lbg.control.status import Status
from lbg.server.roles import Role
from lbg.state.cells import Cells
from lbg.state.layout import Header
from tests.unit.control.control_app import GENERATION, POOLS, cells_of, published, set_health

NOW = 1_000_000_000_000
NO_CHECKS = {
    "web": {"endpoints": ["http://a:1"], "health": {"type": "none"}},
    "api": {"endpoints": ["http://a:1"], "health": {"type": "none"}},
}


def status(cells: Cells, pools: dict[str, object] = POOLS) -> Status:
    configured = published(pools, token="secret")
    return Status(configured, cells, Documents(configured, cells, lambda: NOW), lambda: NOW)


def test_configuration_and_workers_are_reported() -> None:
    report = status(cells_of(Role.CONTROL, Role.PROXY)).report()
    assert report["version"] == __version__
    digest = published(token="secret").snapshot.digest
    assert report["config"] == {
        "source": "lbg.toml",
        "generation": GENERATION,
        "digest": digest,
        "added": [],
        "removed": [],
        "error": None,
    }
    assert report["workers"] == [
        {"slot": 0, "pid": 4711, "role": "control", "generation": 2},
        {"slot": 1, "pid": 4712, "role": "proxy", "generation": 2},
    ]


def test_what_was_added_and_removed_at_run_time_is_reported() -> None:
    amendments = Amendments().with_added("web", endpoint_of("http://c:3")).with_removed("api", "d:4")
    configured, cells = replace(published(), amendments=amendments), cells_of()
    report = Status(configured, cells, Documents(configured, cells)).report()["config"]
    assert (report["added"], report["removed"]) == (["web/c:3"], ["api/d:4"])


def test_a_reload_that_failed_is_reported_until_it_is_over() -> None:
    configured, cells = published(), cells_of()
    failures = [Failure(1_750_068_063.7, ("lbg.toml:3: wrong",)), None]
    reporter = Status(configured, cells, Documents(configured, cells), failure=lambda: failures.pop(0))
    error = {"since": "2025-06-16T10:01:03Z", "mistakes": ["lbg.toml:3: wrong"]}
    assert reporter.report()["config"]["error"] == error
    assert reporter.report()["config"]["error"] is None


def test_the_master_is_the_parent_of_a_worker() -> None:
    cells = cells_of(Role.PROXY)
    assert status(cells).report()["master"] is None
    cells.register(1, os.getpid(), Role.CONTROL.number, 2)
    assert status(cells).report()["master"] == os.getppid()


def test_pools_are_reported() -> None:
    report = status(Cells.private()).report()["pools"]
    assert {name: pool["usable"] for name, pool in report.items()} == {"web": 2, "api": 1}


def test_no_secret_is_reported() -> None:
    report = str(status(Cells.private()).report())
    assert "secret" not in report
    assert "hidden" not in report


def test_a_control_worker_that_is_stuck_is_seen_by_its_last_heartbeat() -> None:
    cells = cells_of(Role.PROXY, Role.CONTROL)
    cells.view[Header.HEARTBEAT] = NOW - 12_500_000_000
    assert status(cells).report()["control"] == {"pid": 4712, "heartbeat_age_seconds": 12.5}


def test_during_a_reload_the_older_control_worker_is_the_one() -> None:
    cells = cells_of(Role.PROXY)
    cells.register(1, 5002, Role.CONTROL.number, 3)
    cells.register(2, 5001, Role.CONTROL.number, 4)
    assert status(cells).report()["control"]["pid"] == 5002


def test_a_process_alone_is_its_own_control_worker() -> None:
    assert status(Cells.private()).report()["control"] == {"pid": os.getpid(), "heartbeat_age_seconds": None}


@pytest.mark.parametrize(
    ("roles", "ready"),
    [
        ([], True),
        ([Role.CONTROL], False),
        ([Role.PROXY], True),
        ([Role.CONTROL, Role.PROXY], True),
        ([Role.COMBINED], True),
    ],
)
def test_it_is_ready_when_somebody_serves_the_public(roles: list[Role], ready: bool) -> None:
    assert (status(cells_of(*roles)).not_ready() == "") is ready


def test_it_is_not_ready_before_the_first_round_of_checks_and_says_how_far_it_is() -> None:
    cells = cells_of(Role.COMBINED, checked=False)
    set_health(cells, 5, checked=NOW)
    assert status(cells).not_ready() == (
        "The first round of health checks is not over: 1 of 3 endpoints checked."
    )


def test_a_check_of_long_ago_is_none_of_the_first_round() -> None:
    cells = cells_of(Role.COMBINED, checked=False)
    for slot, age in ((5, 0), (0, 29), (1, 31), (2, 31)):
        set_health(cells, slot, checked=NOW - age * 1_000_000_000)
    assert "2 of 3 endpoints checked" in status(cells).not_ready()


def test_it_stays_ready_when_another_configuration_brings_endpoints_that_nobody_checked_yet() -> None:
    cells = cells_of(Role.COMBINED)
    cells.view[Header.CHECKED] = GENERATION - 1
    assert status(cells).not_ready() == ""


def test_without_active_checks_there_is_no_round_to_wait_for() -> None:
    assert status(cells_of(Role.COMBINED, checked=False), NO_CHECKS).not_ready() == ""
