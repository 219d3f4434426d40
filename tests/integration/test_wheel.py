"""What an installed lbg has: files that are not Python are easily left out of a wheel."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.support.lbg import ROOT

STATIC = "lbg/control/dashboard/static"


def test_the_wheel_has_the_files_of_the_dashboard(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "lbg", source / "lbg", ignore=shutil.ignore_patterns("__pycache__"))
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('..'))"
    made = subprocess.run(
        [sys.executable, "-c", build], cwd=source, capture_output=True, text=True, timeout=50, check=True
    )
    with zipfile.ZipFile(tmp_path / made.stdout.split()[-1]) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith(STATIC)}
    assert packed == {f"{STATIC}/{file.name}" for file in (ROOT / STATIC).iterdir()}
    assert f"{STATIC}/page.html" in packed
