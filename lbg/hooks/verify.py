"""Whether hooks can be loaded and called, found out in a process of its own.

The master must not import the user's modules: it is not monkey-patched, and would keep their old code over
every reload.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Final

from lbg.hooks.arguments import misfits
from lbg.hooks.reference import HookError, load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lbg.config.references import Call
    from lbg.hooks.arguments import Fault

TIMEOUT: Final = 20.0  # seconds for all imports together

_CHILD: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lbg.hooks.verify import main; main(int(sys.argv[2]), sys.argv[3:])"
)


def verify(calls: Sequence[Call], directory: Path, *, timeout: float = TIMEOUT) -> dict[Call, list[Fault]]:
    """Return for each of `calls` that cannot be made what speaks against it. None of them is made.

    Modules are looked for in `directory` first, then where this process finds its own. After one that
    hangs, or ends its process, the rest is not looked at. Raises OSError when no process can be started.
    """
    wanted = list(dict.fromkeys(calls))
    if not wanted:
        return {}
    path = json.dumps([str(directory), *sys.path])
    told = [json.dumps([call.reference, call.options]) for call in wanted]
    with TemporaryFile() as report:  # no pipe: whatever the modules start might hold that open
        ending = _run([sys.executable, "-c", _CHILD, path, str(report.fileno()), *told], report, timeout)
        report.seek(0)
        results: list[list[Fault]] = [
            [(option, text) for option, text in json.loads(line)] for line in report
        ]
    faults = {call: found for call, found in zip(wanted, results, strict=False) if found}
    if len(results) < len(wanted):
        culprit = wanted[len(results)]
        faults[culprit] = [("", f'importing "{culprit.reference.partition(":")[0]}" {ending}')]
    return faults


def _run(command: list[str], report: IO[bytes], timeout: float) -> str:
    """Run `command` and all that it starts to their end; return how that came, to follow a subject."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[report.fileno()],
        start_new_session=True,
    )
    try:
        # Not the status alone tells that it went well: gunicorn may have reaped the child before us.
        status = process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"takes more than {timeout:g} s"
    finally:
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only zombies are left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return f"ends the process by signal {-status}" if status < 0 else "ends the process"


def main(report: int, calls: Sequence[str]) -> None:
    """Look at `calls`, each reference and options as JSON; write a line of faults for each to `report`."""
    os.set_inheritable(report, False)
    for call in calls:
        reference, options = json.loads(call)
        os.write(report, json.dumps(_faults(reference, options)).encode() + b"\n")
    os._exit(0)  # at once, whatever threads and exit handlers the modules have left


def _faults(reference: str, options: Sequence[str]) -> list[Fault]:
    try:
        function = load(reference)
    except HookError as error:
        return [("", str(error))]
    return misfits(function, reference, options)
