"""Masters of lbg whose configuration is in the environment."""

import os
import resource
from pathlib import Path

import pytest

from lbg.server.master import Master


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the state directory of a master whose configuration is in the environment."""
    for name in list(os.environ):
        if name.startswith(("LBG_", "GUNICORN_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LBG_ENDPOINTS", "http://10.0.0.1:1,http://10.0.0.2:2")
    monkeypatch.setenv("LBG_STATE_DIR", str(tmp_path / "state"))
    # Set first, so that it is taken back at the end when a hook sets it.
    monkeypatch.setenv("LBG_WORKER_SLOT", "")
    monkeypatch.delenv("LBG_WORKER_SLOT")
    return tmp_path / "state"


@pytest.fixture
def master(state: Path) -> Master:
    loaded = Master()
    loaded.load()
    return loaded


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Give the list of the descriptor limits that are set; none really is."""
    wanted: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 15_000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: wanted.append(limit))
    return wanted
