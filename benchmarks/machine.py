"""Where a run was made: machine, kernel and the versions of everything compared."""

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.program import which

VERSION = re.compile(r"\d+\.\d+[\w.+~-]*")
VERSION_OPTIONS = {"nginx": "-v", "haproxy": "-v", "caddy": "version", "wrk": "-v"}
PYTHON_PACKAGES = {
    "lbg": ("lbg", "gunicorn", "gevent", "httptools"),
    "requests-proxy": ("gunicorn", "gevent", "requests", "urllib3"),
}


def version_of(name: str) -> str:
    """The version of a proxy or a tool as it names itself, or of the packages it is made of."""
    if packages := PYTHON_PACKAGES.get(name):
        return ", ".join([f"Python {platform.python_version()}", *map(_package, packages)])
    name = name.partition("-")[0]  # a tuned peer, such as nginx-16k
    program = which(name)
    if program is None:
        return "not installed"
    shown = subprocess.run(
        [program, VERSION_OPTIONS[name]], capture_output=True, text=True, timeout=10, check=False
    )
    found = VERSION.search(shown.stdout + shown.stderr)
    return found[0] if found else "unknown"


def cpu_model() -> str:
    """The processor's name as the kernel tells it, else its architecture."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores"


def kernel() -> str:
    return f"{platform.system()} {platform.release()}"


def _package(name: str) -> str:
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return f"{name} (not installed)"
