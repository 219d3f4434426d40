"""Skips say why, and are failures where everything must be installed."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.lbg import ROOT

SAMPLE = """
import pytest

@pytest.mark.needs("no-such-tool")
def test_without_the_tool():
    raise AssertionError

@pytest.mark.needs("sh")
def test_with_the_tool():
    pass
"""
SKIPPED_MODULE = "import pytest\npytest.importorskip('no_such_module')\n"


def run(path: Path, text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a test file of its own under this project's conftest."""
    path.write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "pyproject.toml", str(path)]
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("LBG_", "PYTEST_"))
    }
    return subprocess.run(
        command,
        cwd=ROOT,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_test_whose_tool_is_absent_is_skipped_with_the_reason(tmp_path: Path) -> None:
    result = run(tmp_path / "test_sample.py", SAMPLE)
    assert "1 passed, 1 skipped" in result.stdout, result.stdout
    assert "needs no-such-tool, which is not installed" in result.stdout


def test_a_skip_fails_where_none_is_allowed(tmp_path: Path) -> None:
    result = run(tmp_path / "test_sample.py", SAMPLE, LBG_TEST_NO_SKIP="1")
    assert "1 passed, 1 error" in result.stdout, result.stdout
    assert "LBG_TEST_NO_SKIP=1 forbids: Skipped: needs no-such-tool" in result.stdout


def test_a_skipped_module_fails_where_none_is_allowed(tmp_path: Path) -> None:
    assert run(tmp_path / "test_module.py", SKIPPED_MODULE).returncode == 5
    result = run(tmp_path / "test_module.py", SKIPPED_MODULE, LBG_TEST_NO_SKIP="1")
    assert "1 error" in result.stdout, result.stdout
