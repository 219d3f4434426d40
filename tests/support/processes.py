"""Waiting for the processes of lbg, and knowing them."""

from __future__ import annotations

import re
import signal
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.lbg import LbgProcess
from tests.support.waiting import eventually


def pids(process: LbgProcess, role: str, count: int) -> list[int]:
    """Wait until there are `count` workers with the role and return them."""

    def there() -> list[int]:
        found = process.worker_pids(role)
        assert len(found) == count, found
        return found

    return eventually(there, timeout=15.0, what=f"{count} {role} workers")


def booted(process: LbgProcess) -> LbgProcess:
    """Wait until every worker has signal handlers of its own."""
    workers = [*pids(process, "control", 1), *pids(process, "proxy", process.workers)]
    eventually(lambda: not any(map(_has_handlers_of_the_master, workers)), timeout=10.0, what="all workers")
    return process


def new_master(process: LbgProcess) -> psutil.Process:
    """Wait for the master that USR2 started and its workers."""

    def found() -> psutil.Process | None:
        for child in psutil.Process(process.pid).children():
            with suppress(psutil.NoSuchProcess):
                if len(child.children()) == process.workers + 1:
                    return child
        return None

    master = eventually(found, timeout=10.0, what="the second master and its workers")
    assert master is not None
    return master


def _has_handlers_of_the_master(pid: int) -> bool:
    """Whether SIGHUP is caught, as a master does and a gunicorn worker does not."""
    match = re.search(r"^SigCgt:\s*(\w+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert match
    return bool(int(match[1], 16) & 1 << signal.SIGHUP - 1)
