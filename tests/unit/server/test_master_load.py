"""The master: what it loads and publishes."""

import errno
import re
from pathlib import Path

import pytest

from lbg.server import listeners
from lbg.server.master import Master
from lbg.state import directory
from lbg.state.directory import Unusable
from lbg.state.document import decode
from lbg.state.layout import NoSlot
from tests.unit.server.arbiters import opened


@pytest.fixture
def master(master: Master) -> Master:
    return opened(master)


def test_nothing_is_published_before_gunicorn_starts(state: Path) -> None:
    loaded = Master()
    loaded.load()
    assert not state.exists()
    loaded.open_state()
    assert decode(directory.read(state)).snapshot.config == loaded.config


def test_a_reload_publishes_what_it_loaded(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.3:3,http://10.0.0.2:2")
    master.load()
    document = decode(directory.read(state))
    assert document.snapshot.generation == 2
    assert document.snapshot.config == master.config
    assert document.slots == {"default/10.0.0.1:1": 0, "default/10.0.0.2:2": 1, "default/10.0.0.3:3": 2}


def test_a_bad_configuration_at_the_start_ends_with_status_2_and_one_line_each(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LBG_ENDPOINTS", "ftp://a,nonsense")
    with pytest.raises(SystemExit) as caught:
        Master().load()
    lines = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert len(lines) == 2
    assert all(line.startswith("lbg: ") for line in lines)


def test_a_state_directory_that_cannot_be_used_ends_with_status_2(
    master: Master, capsys: pytest.CaptureFixture[str]
) -> None:
    second = Master()
    second.load()
    with pytest.raises(SystemExit) as caught:
        second.open_state()
    assert caught.value.code == 2
    line = capsys.readouterr().err
    assert re.fullmatch(r"lbg: LBG_STATE_DIR: \S+ is in use by another lbg, pid \d+\n", line)


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), Unusable("/x is gone"), NoSlot("pools: 300")]
)
def test_a_reload_that_cannot_be_published_changes_nothing_and_is_one_line(
    master: Master, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    before = master.config
    monkeypatch.setattr(master.state, "publish", refuse)
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.3:3")
    master.load()
    assert master.config is before
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "the configuration was not changed" in record.getMessage()
    assert "Errno" not in record.getMessage()


def test_a_bad_configuration_later_changes_nothing(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = directory.read(state)
    monkeypatch.setenv("LBG_ENDPOINTS", "nonsense")
    master.load()
    assert directory.read(state) == before
    assert master.config_source == "LBG_ENDPOINTS"
    assert "the configuration was not changed" in caplog.text


def test_there_is_no_configuration_before_it_is_loaded() -> None:
    with pytest.raises(RuntimeError):
        _ = Master().config
    with pytest.raises(RuntimeError):
        _ = Master().state
    assert Master().config_source == ""


def test_a_reload_does_not_try_the_addresses_it_listens_on(
    master: Master, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda bind: f"cannot listen on {bind.text}")
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.3:3")
    master.load()
    assert decode(directory.read(state)).snapshot.generation == 2
