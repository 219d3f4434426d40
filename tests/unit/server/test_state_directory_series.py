"""The series in the state directory: what outlives workers and masters, and what is not trusted."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.config.schema import Config
from lbg.server.state_directory import StateDirectory
from lbg.state import directory
from lbg.state import series as module
from lbg.state.series import Region, SeriesReader
from lbg.state.series_file import FILE
from lbg.state.series_layout import Header

CONFIG = Config.model_validate({"pools": {"p": {"endpoints": ["http://a:1"]}}, "routes": [{"pool": "p"}]})


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    return start(tmp_path / "state")


def start(path: Path) -> StateDirectory:
    return StateDirectory.start({directory.VARIABLE: str(path)}, CONFIG, "lbg.toml")


def restart(state: StateDirectory) -> StateDirectory:
    """Return the directory of a new master; the old one was killed."""
    state.leave()
    module._MAPPED.clear()
    return start(state.path)


def count(state: StateDirectory) -> None:
    state.admit(3, ())
    at = Region(state.series, 3, lambda _: False).find(1, ("a",), 1)
    assert at is not None
    state.series.view[at] += 1


def counted(state: StateDirectory) -> list[int]:
    reader = SeriesReader(state.series)
    return [value for entry in reader.entries() for value in reader.values(entry)]


def test_counters_outlive_the_master(state: StateDirectory) -> None:
    count(state)
    again = restart(state)
    assert counted(again) == [1]
    count(again)
    assert counted(again) == [2]


def test_counters_are_there_for_the_master_of_an_upgrade(state: StateDirectory) -> None:
    count(state)
    environ: dict[str, str] = {}
    state.hand_over(environ)
    assert counted(StateDirectory.start(environ, CONFIG, "lbg.toml")) == [1]


@pytest.mark.parametrize(
    ("damage", "what"),
    [
        (lambda path: os.truncate(path, 100), "is not a series file of this version of lbg"),
        (lambda path: path.write_bytes(b"x" * 8192), "is not a series file of this version of lbg"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/null")), "is a symbolic link"),
    ],
)
def test_a_damaged_file_is_replaced_and_that_is_said(
    state: StateDirectory, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], object], what: str
) -> None:
    count(state)
    damage(state.path / FILE)
    again = restart(state)
    (message,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert message.startswith(f"metrics begin anew: {state.path / FILE} {what}")
    count(again)
    assert counted(again) == [1]


def test_a_file_that_is_gone_is_made_again_without_a_word(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    (state.path / FILE).unlink()
    assert counted(restart(state)) == []
    assert "metrics" not in caplog.text


def test_a_worker_without_room_for_its_series_shares_nothing(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "allocate", refuse)
    assert state.admit(0, ()) != 0
    assert "the next worker counts and checks for itself" in caplog.text


def test_a_publication_is_a_load(state: StateDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    state.series.note_load(loaded=False)
    monkeypatch.setattr(module, "time_ns", lambda: 4711)
    state.publish(CONFIG, "lbg.toml")
    assert state.series.view[Header.LOADED : Header.LOADED_AT + 1].tolist() == [1, 4711]
