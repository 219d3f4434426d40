"""Noticing that the configuration file has changed."""

import os
from pathlib import Path

import pytest

from lbg.config.problems import ConfigError, Problem
from lbg.control.watch import ConfigWatch
from lbg.health.monitor import NotInCharge
from lbg.state.publication import Unpublished


class Reloads:
    """Counts reloads; `error` is raised by each."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None

    def __call__(self) -> None:
        self.count += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lbg.toml"
    path.write_text("one")
    return path


@pytest.fixture
def reloads() -> Reloads:
    return Reloads()


@pytest.fixture
def misses() -> Reloads:
    return Reloads()


@pytest.fixture
def watch(file: Path, reloads: Reloads, misses: Reloads) -> ConfigWatch:
    """Give one that has seen the file as it is."""
    watch = ConfigWatch(file, reloads, misses)
    look(watch)
    reloads.count = 0
    return watch


def look(watch: ConfigWatch, times: int = 3) -> None:
    """Look a few times."""
    for _ in range(times):
        watch.look()


def test_the_first_look_may_find_another_file_than_the_one_in_force(file: Path, reloads: Reloads) -> None:
    look(ConfigWatch(file, reloads, Reloads()))
    assert reloads.count == 1


@pytest.mark.parametrize("error", [Unpublished("busy"), OSError("disk")])
def test_what_may_go_better_later_is_tried_again_after_a_while(
    file: Path, watch: ConfigWatch, reloads: Reloads, error: Exception
) -> None:
    reloads.error = error
    file.write_text("another")
    look(watch, 11)
    assert reloads.count == 1
    reloads.error = None
    look(watch, 20)
    assert reloads.count == 2


def test_a_file_that_stays_the_same_is_left_alone(watch: ConfigWatch, reloads: Reloads) -> None:
    look(watch)
    assert reloads.count == 0


def test_a_changed_file_is_reloaded_once(file: Path, watch: ConfigWatch, reloads: Reloads) -> None:
    file.write_text("another")
    look(watch)
    assert reloads.count == 1


def test_a_file_that_is_still_written_is_waited_for(file: Path, watch: ConfigWatch, reloads: Reloads) -> None:
    for size in range(4, 8):
        file.write_text("x" * size)
        watch.look()
    assert reloads.count == 0
    watch.look()
    assert reloads.count == 1


def test_a_file_that_another_took_the_place_of_is_reloaded(
    file: Path, watch: ConfigWatch, reloads: Reloads
) -> None:
    status = file.stat()
    other = file.with_suffix(".new")
    other.write_text("two")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)
    look(watch)
    assert reloads.count == 1


def test_a_file_that_is_gone_is_missed_once_and_changes_nothing_until_it_is_back(
    file: Path, watch: ConfigWatch, reloads: Reloads, misses: Reloads
) -> None:
    aside = file.with_suffix(".old")
    file.rename(aside)
    look(watch, 5)
    assert (reloads.count, misses.count) == (0, 1)
    aside.rename(file)  # the same as before
    look(watch)
    assert (reloads.count, misses.count) == (1, 1)


def test_a_file_that_is_not_there_at_first_is_missed(file: Path, reloads: Reloads) -> None:
    file.unlink()
    misses = Reloads()
    look(ConfigWatch(file, reloads, misses), 5)
    assert (reloads.count, misses.count) == (0, 1)


def test_who_is_not_in_charge_misses_it_again(file: Path, watch: ConfigWatch, misses: Reloads) -> None:
    misses.error = NotInCharge()
    file.unlink()
    look(watch, 4)
    assert misses.count == 3


def test_a_mistake_is_tried_once_for_each_version_of_the_file(
    file: Path, watch: ConfigWatch, reloads: Reloads
) -> None:
    reloads.error = ConfigError([Problem("lbg.toml", 1, "x", "wrong")])
    file.write_text("wrong")
    look(watch)
    file.write_text("wrong again")
    look(watch)
    assert reloads.count == 2


def test_who_is_not_in_charge_tries_again(file: Path, watch: ConfigWatch, reloads: Reloads) -> None:
    reloads.error = NotInCharge()
    file.write_text("another")
    look(watch, 4)
    reloads.error = None
    look(watch, 4)
    assert reloads.count == 4


def test_a_bug_in_a_reload_does_not_end_the_watch(
    file: Path, watch: ConfigWatch, reloads: Reloads, caplog: pytest.LogCaptureFixture
) -> None:
    reloads.error = KeyError("bug")
    file.write_text("another")
    look(watch)
    assert "could not be reloaded" in caplog.text
    reloads.error = None
    file.write_text("yet another")
    look(watch)
    assert reloads.count == 2
