"""Whether hooks can be loaded, found out in a process of its own.

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

from lbg.hooks.reference import HookError, load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TIMEOUT: Final = 20.0  # seconds for all imports together

_CHILD: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from lbg.hooks.verify import main; main(int(sys.argv[2]), sys.argv[3:])"
)


def verify(references: Sequence[str], directory: Path, *, timeout: float = TIMEOUT) -> dict[str, str]:
    """Return for each of `references` that cannot be loaded the sentence that says why.

    Modules are looked for in `directory` first, then where this process finds its own. After one that
    hangs, or ends its process, the rest is not looked at. Raises OSError when no process can be started.
    """
    wanted = list(dict.fromkeys(references))
    if not wanted:
        return {}
    path = json.dumps([str(directory), *sys.path])
    with TemporaryFile() as report:  # no pipe: whatever the modules start might hold that open
        ending = _run([sys.executable, "-c", _CHILD, path, str(report.fileno()), *wanted], report, timeout)
        report.seek(0)
        results: dict[str, str] = dict(json.loads(line) for line in report)
    problems = {reference: problem for reference, problem in results.items() if problem}
    if len(results) < len(wanted):
        culprit = wanted[len(results)]
        problems[culprit] = f'importing "{culprit.partition(":")[0]}" {ending}'
    return problems


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


def main(report: int, references: Sequence[str]) -> None:
    """Load `references` and write a line for each, its name and what is wrong with it, to `report`."""
    os.set_inheritable(report, False)
    for reference in references:
        problem = ""
        try:
            load(reference)
        except HookError as error:
            problem = str(error)
        os.write(report, json.dumps([reference, problem]).encode() + b"\n")
    os._exit(0)  # at once, whatever threads and exit handlers the modules have left
