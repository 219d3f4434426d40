"""Child processes in sessions of their own, which end when the demo does, even when that is killed."""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1  # include/uapi/linux/prctl.h
_LIBC = ctypes.CDLL(None)


def start(
    command: Sequence[str],
    *,
    when_orphaned: signal.Signals,
    environ: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start a process that Ctrl+C on the terminal does not reach. Raises OSError.

    It receives the signal `when_orphaned` when this process dies; that needs Linux.
    """
    parent = os.getpid()
    return subprocess.Popen(  # noqa: S603
        command,
        stdin=stdin,
        env=environ,
        start_new_session=True,
        preexec_fn=lambda: _follow(parent, when_orphaned),  # noqa: PLW1509 - the demo has no threads
    )


def _follow(parent: int, number: signal.Signals) -> None:
    if sys.platform != "linux":
        return
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:  # it died before the call
        os._exit(1)


def exit_text(returncode: int) -> str:
    """Say how a process ended, from what `Popen.returncode` holds."""
    return f"exited with signal {-returncode}" if returncode < 0 else f"exited with status {returncode}"


def exit_status(returncode: int) -> int:
    """Return the status a shell reports for what `Popen.returncode` holds."""
    return 128 - returncode if returncode < 0 else returncode
