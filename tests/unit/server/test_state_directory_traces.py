"""The traces in the state directory: what outlives workers and masters, and a disk that is full."""

import errno
import logging
import os
from pathlib import Path

import pytest

from lbg.config.schema import Config
from lbg.server.state_directory import StateDirectory
from lbg.state import directory
from lbg.state import trace_memory as module
from lbg.state.trace_file import FILE
from lbg.state.trace_layout import Ring
from lbg.state.trace_memory import TraceMemory

CONFIG = Config.model_validate({"pools": {"p": {"endpoints": ["http://a:1"]}}})


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


def refuse(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def kept(state: StateDirectory, worker: int) -> list[bytes | None]:
    memory = TraceMemory.open(state.path)
    return [memory.read(place) for place in memory.places(worker)]


def test_traces_outlive_worker_and_master(state: StateDirectory) -> None:
    state.admit(3, ())
    TraceMemory.open(state.path).write(3, Ring.FAILED, 1, b"{}")
    state.forget(3, 4711)
    again = restart(state)
    assert kept(again, 3) == [b"{}"]


def test_only_workers_that_were_admitted_may_write(state: StateDirectory) -> None:
    state.admit(3, ())
    assert TraceMemory.open(state.path).workers() == [3]


def test_damaged_traces_begin_anew(state: StateDirectory, caplog: pytest.LogCaptureFixture) -> None:
    (state.path / FILE).write_bytes(b"x" * 8192)
    again = restart(state)
    assert f"traces begin anew: {state.path / FILE} is not a trace file" in caplog.text
    again.admit(0, ())
    assert kept(again, 0) == []


def test_a_full_disk_costs_the_traces_and_one_line(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with monkeypatch.context() as patched:
        patched.setattr(module, "allocate", refuse)
        assert [state.admit(slot, ()) for slot in (0, 1)] == [0, 1]
    (line,) = caplog.messages
    assert line == f"workers keep no traces, there is no room: {state.path}: No space left on device"
    assert TraceMemory.open(state.path).workers() == []
    state.admit(2, ())
    assert TraceMemory.open(state.path).workers() == [2]
