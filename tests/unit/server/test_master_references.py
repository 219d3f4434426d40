"""What the master does about Python of the user's that cannot be loaded."""

from pathlib import Path

import pytest

from lbg.server.master import Master

POOL = '[pools.api]\nendpoints = ["http://127.0.0.1:8000"]\n'


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("LBG_CONFIG", "LBG_ENDPOINTS", "LBG_SERVER__BIND", "LBG_ADMIN__BIND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies.py").write_text("def nearest(endpoints): ...\n")
    return tmp_path


def write(balance: str) -> None:
    Path("lbg.toml").write_text(f'{POOL}balance = "{balance}"\n')


def test_the_start_ends_with_status_2_and_names_the_key(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write("policies:neerest")
    with pytest.raises(SystemExit) as caught:
        Master().load()
    assert caught.value.code == 2
    assert capsys.readouterr().err == (
        'lbg: lbg.toml:3: pools.api.balance: module "policies" has no attribute "neerest",'
        ' did you mean "nearest"?\n'
    )


def test_a_reload_changes_nothing(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    write("policies:nearest")
    master = Master()
    master.load()
    before = master.config
    write("nowhere:nearest")
    master.load()
    assert master.config is before
    (record,) = caplog.records
    assert "lbg.toml:3: pools.api.balance: " in record.getMessage()
    assert '"nowhere"' in record.getMessage()


def test_a_module_that_was_changed_is_seen_at_a_reload(directory: Path) -> None:
    write("policies:nearest")
    master = Master()
    master.load()
    (directory / "policies.py").write_text("def other(endpoints): ...\n")
    write("policies:other")
    master.load()
    assert master.config.pools["api"].balance == "policies:other"
