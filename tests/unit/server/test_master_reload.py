"""What a reload may not do: change the addresses that are listened on."""

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


def test_a_reload_keeps_the_addresses_and_says_so(master: Master, caplog: pytest.LogCaptureFixture) -> None:
    before = master.binds
    Path("lbg.toml").write_text(f'[server]\nbind = "127.0.0.1:1"\nkeepalive_timeout = 9\n{POOL}')
    master.load()
    assert master.binds == before
    assert "USR2" in caplog.text


def test_a_reload_with_other_addresses_takes_the_rest(master: Master) -> None:
    Path("lbg.toml").write_text(f'[admin]\nbind = "127.0.0.1:0"\n[server]\nkeepalive_timeout = 9\n{POOL}')
    master.load()
    assert master.config.server.keepalive_timeout == 9
