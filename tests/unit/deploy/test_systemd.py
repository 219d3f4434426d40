"""deploy/systemd/lbg.service: that systemd takes it, and that it fits what lbg does."""

import subprocess
import sys
from pathlib import Path

import pytest

from lbg.cli.failure import USAGE_ERROR
from lbg.config.schema import ServerConfig
from lbg.server.settings import _MARGIN
from lbg.state.directory import VARIABLE
from tests.support.lbg import ROOT

UNIT = ROOT / "deploy" / "systemd" / "lbg.service"
PAGE = ROOT / "docs" / "deployment.md"


def _values(key: str) -> list[str]:
    lines = [line.partition("=") for line in UNIT.read_text().splitlines()]
    return [value for name, _, value in lines if name == key]


def _value(key: str) -> str:
    (value,) = _values(key)
    return value


@pytest.mark.needs("systemd-analyze")
def test_systemd_takes_every_line(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/lbg/bin/lbg", sys.executable))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, check=False
    )
    assert (told.returncode, [line for line in told.stderr.splitlines() if "lbg.service" in line]) == (0, [])


def test_the_documented_link_leads_to_what_the_unit_starts():
    assert f"ln -s {_value('ExecStart').split()[0]} /usr/local/bin/lbg" in PAGE.read_text()


def test_the_documented_shell_has_token_and_configuration_of_the_unit(tmp_path: Path) -> None:
    secrets = _value("EnvironmentFile").removeprefix("-")
    (tmp_path / "lbg.env").write_text("LBG_ADMIN__TOKEN=secret\n")
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith("set -a")]
    assert secrets in line
    script = f"{line.replace(secrets, str(tmp_path / 'lbg.env'))}\nenv"
    told = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, check=True, env={})
    configured = next(text for text in _values("Environment") if "LBG_CONFIG=" in text).split()[0]
    assert {"LBG_ADMIN__TOKEN=secret", configured} <= set(told.stdout.splitlines())


@pytest.mark.needs("systemctl")
def test_systemctl_knows_the_documented_way_to_signal_the_master_alone() -> None:
    told = subprocess.run(["systemctl", "--help"], capture_output=True, text=True, check=True)
    assert "--kill-whom=" in told.stdout
    assert f"systemctl kill -s USR1 --kill-whom=main {UNIT.stem}" in PAGE.read_text()


def test_open_requests_have_their_time_at_a_stop():
    assert float(_value("TimeoutStopSec")) > ServerConfig().shutdown_grace + _MARGIN


def test_the_state_directory_is_one_that_lbg_takes_and_that_outlives_a_restart():
    # With a dynamic user, /run/lbg is a link to where a kept directory really is.
    assert _value("DynamicUser") == "yes"
    assert _value("RuntimeDirectoryPreserve") == "restart"
    assert f"{VARIABLE}=%t/private/{_value('RuntimeDirectory')}" in _values("Environment")
    assert _value("RuntimeDirectoryMode") == "0700"


def test_a_mistake_in_the_configuration_is_not_tried_again():
    assert _value("Restart") == "on-failure"
    assert int(_value("RestartPreventExitStatus")) == USAGE_ERROR


def test_there_are_two_descriptors_for_each_connection():
    assert int(_value("LimitNOFILE")) >= 2 * ServerConfig().max_connections
