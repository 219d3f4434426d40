"""What a reload may not do: take addresses that others hold, or leave the last good configuration."""

import socket
from pathlib import Path

import pytest

from lbg.server.master import Master

POOL = '[pools.api]\nendpoints = ["http://127.0.0.1:8000"]\n'


@pytest.fixture
def master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Master:
    """A master that has loaded `lbg.toml` in the current directory."""
    for name in ("LBG_CONFIG", "LBG_ENDPOINTS", "LBG_SERVER__BIND", "LBG_ADMIN__BIND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LBG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    Path("lbg.toml").write_text(POOL)
    master = Master()
    master.load()
    return master


def test_a_reload_to_an_address_in_use_changes_nothing(master: Master) -> None:
    before = master.config
    with socket.create_server(("127.0.0.1", 0)) as taken:
        Path("lbg.toml").write_text(f'[admin]\nbind = "127.0.0.1:{taken.getsockname()[1]}"\n{POOL}')
        master.load()
    assert master.config is before


def test_a_reload_to_a_free_address_is_taken(master: Master) -> None:
    Path("lbg.toml").write_text(f'[admin]\nbind = "127.0.0.1:0"\n{POOL}')
    master.load()
    assert master.config.admin.bind.port == 0
