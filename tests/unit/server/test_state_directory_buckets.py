"""The rate limits, bans and requests in flight in the state directory of a master."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns

import pytest

from lbg.config.schema import Config
from lbg.server.state_directory import StateDirectory
from lbg.state import bucket_memory, directory
from lbg.state.bucket_file import FILE
from lbg.state.bucket_layout import Header, area
from lbg.state.buckets import Buckets
from lbg.state.directory import Unusable
from lbg.state.gcra import Rate
from lbg.state.holder import FULL
from lbg.state.layout import CELL
from lbg.state.layout import area as cells_area
from lbg.state.limiter import Outcome, RateRule
from tests.unit.state import limits
from tests.unit.state.processes import kill, resting_after

CONFIG = Config.model_validate({"pools": {"api": {"endpoints": ["http://a:1"]}}})
HOUR = 3600_000_000_000
RULE = RateRule("api", Rate.of(1, HOUR, 0), ban_after=1, ban=HOUR)
DEAD_PID = 2**22 + 1  # above the greatest pid that Linux gives


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateDirectory:
    for variable in (directory.VARIABLE, directory.SLOT_VARIABLE):
        monkeypatch.setenv(variable, "")  # set first, so that it is taken back at the end
        monkeypatch.delenv(variable)
    return start(tmp_path / "state")


def start(path: Path) -> StateDirectory:
    return StateDirectory.start({directory.VARIABLE: str(path)}, CONFIG, "lbg.toml")


def restart(state: StateDirectory) -> StateDirectory:
    """Return the state of the next master, after one that was killed."""
    state._claim.lock.release()
    bucket_memory._MAPPED.clear()
    return start(state.path)


def ban(state: StateDirectory) -> None:
    limiter = Buckets.open(state.path).limiter(RULE)
    assert [limiter.hit(b"a", monotonic_ns())[0] for _ in range(2)][1] is Outcome.NEWLY_BANNED


def banned(state: StateDirectory) -> list[str]:
    return [each.key for each in limits.banned(Buckets.open(state.path), "api")]


def test_a_new_directory_has_buckets_and_says_nothing_of_them(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    assert banned(state) == []
    assert "limits" not in caplog.text


def test_bans_outlive_a_reload(state: StateDirectory) -> None:
    ban(state)
    config = Config.model_validate({"pools": {"web": {"endpoints": ["http://b:1"]}}})
    state.publish(config, "lbg.toml")
    assert banned(state) == ["a"]


def test_bans_outlive_an_upgrade_and_the_master(state: StateDirectory) -> None:
    ban(state)
    environ: dict[str, str] = {}
    state.hand_over(environ)
    other = StateDirectory.start(environ, CONFIG, "lbg.toml")
    assert banned(other) == ["a"]
    assert banned(restart(other)) == ["a"]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: os.truncate(path, 100), "is not a bucket file of this version of lbg"),
        (lambda path: path.write_bytes(b"x" * path.stat().st_size), "is not a bucket file of this version"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/null")), "is a symbolic link"),
    ],
)
def test_a_damaged_file_is_replaced_and_that_is_said(
    state: StateDirectory, caplog: pytest.LogCaptureFixture, damage: object, what: str
) -> None:
    ban(state)
    assert callable(damage)
    damage(state.path / FILE)
    again = restart(state)
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert message.startswith(f"rate limits and bans begin anew: {state.path / FILE} {what}")
    assert banned(again) == []
    ban(again)
    assert banned(again) == ["a"]


def test_health_stays_when_the_buckets_are_damaged(state: StateDirectory) -> None:
    state.cells.view[4000] = 7
    os.truncate(state.path / FILE, 0)
    assert restart(state).cells.view[4000] == 7


def test_a_file_that_is_gone_is_made_again(state: StateDirectory, caplog: pytest.LogCaptureFixture) -> None:
    (state.path / FILE).unlink()
    assert banned(restart(state)) == []
    assert "limits" not in caplog.text


def test_a_file_that_cannot_be_made_leaves_no_usable_directory(
    tmp_path: Path, state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("lbg.state.state_file.allocate", refuse)
    with pytest.raises(Unusable, match="No space left on device"):
        start(tmp_path / "other")


LIMITED = {
    "server": {"workers": 3},
    "pools": {"api": {"endpoints": ["http://a:1"]}},
    "routes": [{"pool": "api", "filters": [{"use": "concurrency", "limit": 1, "name": "api"}]}],
}


def test_room_for_all_workers_of_two_generations_is_taken_before_the_first_of_them(
    state: StateDirectory,
) -> None:
    assert not state._buckets.reserved
    state.publish(Config.model_validate(LIMITED), "lbg.toml")
    assert state._buckets.reserved
    assert state._buckets.view[Header.WORKERS] == 8
    assert (state.path / FILE).stat().st_blocks * 512 >= area(8) * CELL


def test_without_limits_no_room_is_taken(state: StateDirectory) -> None:
    config = LIMITED | {"routes": [{"pool": "api", "filters": [{"use": "request_id"}]}]}
    state.publish(Config.model_validate(config), "lbg.toml")
    assert not state._buckets.reserved


def no_room_after(size: int) -> Callable[[int, int, int], None]:
    def allocate(_: int, start: int, more: int) -> None:
        if start + more > size:
            raise OSError(errno.ENOSPC, "No space left on device")

    return allocate


@pytest.mark.parametrize("full", ["bucket_memory", "cells"])
def test_without_room_for_all_workers_none_shares_limits(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, full: str
) -> None:
    size = area(7) * CELL if full == "bucket_memory" else cells_area(3) * CELL
    with monkeypatch.context() as patch:
        patch.setattr(f"lbg.state.{full}.allocate", no_room_after(size))
        state.publish(Config.model_validate(LIMITED), "lbg.toml")
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert message == (
        f"each worker limits for itself, there is no room for more: {state.path}: No space left on device"
    )

    def work() -> None:
        for slot in (0, 1):
            hold(state, slot)  # each lets one in, although there is one limit

    with resting_after(work):
        assert not state._buckets.reserved
    state.publish(Config.model_validate(LIMITED), "lbg.toml")
    assert state._buckets.reserved


def hold(state: StateDirectory, slot: int) -> None:
    assert Buckets.open(state.path, slot).holder("api", 1).acquire(b"a") >= 0


def free(state: StateDirectory) -> bool:
    holder = Buckets.open(state.path, 9).holder("api", 1)
    place = holder.acquire(b"a")
    holder.release(place)
    return place != FULL


def test_what_a_dead_worker_held_is_free(state: StateDirectory) -> None:
    def work() -> None:
        state.enter(2, 1, 0)
        hold(state, 2)

    with resting_after(work) as worker:
        assert not free(state)
        assert state.taken_slots(()) == [2]
        assert not free(state)
        kill(worker)
        state.forget(2, worker)
    assert free(state)


def test_what_a_worker_held_that_nobody_saw_die_is_free_before_the_next_is_forked(
    state: StateDirectory,
) -> None:
    state.cells.register(2, DEAD_PID, 1, 0)
    hold(state, 2)
    assert not free(state)
    assert state.taken_slots(()) == []
    assert free(state)


def test_a_late_word_of_a_death_takes_nothing_from_the_worker_that_has_the_slot_now(
    state: StateDirectory,
) -> None:
    state.cells.register(2, os.getpid(), 1, 0)
    hold(state, 2)
    state.forget(2, DEAD_PID)
    assert not free(state)


def test_a_new_worker_holds_nothing(state: StateDirectory) -> None:
    hold(state, 2)
    state._shared = state._readable = True

    def work() -> None:
        state.enter(2, 1, 0)

    with resting_after(work):
        assert free(state)
