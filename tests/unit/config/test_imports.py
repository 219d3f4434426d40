import subprocess
import sys

import pytest

PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*sorted({name.partition(".")[0] for name in sys.modules} & set(sys.argv[2:])))
"""
# The gunicorn master loads the configuration before the workers patch ssl and sockets.
FORBIDDEN = ("ssl", "requests", "urllib3", "dns", "flask", "gevent", "gunicorn", "typer", "asyncio")


@pytest.mark.parametrize(
    "module",
    [
        "lbg.config.load",
        "lbg.config.references",
        "lbg.config.snapshot",
        "lbg.hooks.verify",
        "lbg.net.address",
    ],
)
def test_the_master_can_import_it_without_ssl_or_gevent(module):
    command = [sys.executable, "-c", PROGRAM, module, *FORBIDDEN]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []


def test_the_command_line_starts_without_the_heavy_parts():
    command = [
        sys.executable,
        "-c",
        PROGRAM,
        "lbg.cli.main",
        "pydantic",
        "gunicorn",
        "gevent",
        "rich",
        "requests",
    ]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []
