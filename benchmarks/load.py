"""Load by many connections at once, made by wrk and checked for every kind of error it knows.

wrk cannot see one kind: an answer that never ends is neither counted nor an error.
"""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Answer, WrongAnswerError
from benchmarks.program import which

CONNECTIONS = 64
SUMMARY = Path(__file__).parent / "wrk_summary.lua"
ERRORS = ("connect", "read", "write", "status", "timeout")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk got answered."""

    requests: int
    seconds: float


def run_wrk(url: str, seconds: int, core: int, expected: Answer, new_connections: bool) -> Load:
    """Ask for one URL as fast as it is answered; raise `WrongAnswerError` unless all is as expected."""
    fields = ["-H", "Connection: close"] if new_connections else []
    command = ["taskset", "-c", str(core), which("wrk") or "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
    command += ["--timeout", "10s", "-s", str(SUMMARY), *fields, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    if done.returncode != 0:
        raise WrongAnswerError(
            f"wrk ended with {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
        )
    summary = json.loads(done.stdout.strip().splitlines()[-1])
    _check(summary, expected)
    return Load(summary["requests"], summary["microseconds"] / 1e6)


def _check(summary: dict[str, int], expected: Answer) -> None:
    """No error, and as many bytes as so many expected answers have; unfinished ones may add to them."""
    errors = [f"{summary[kind]} {kind}" for kind in ERRORS if summary[kind]]
    if errors:
        raise WrongAnswerError(f"wrk saw errors: {', '.join(errors)}")
    requests, received = summary["requests"], summary["bytes"]
    if requests == 0:
        raise WrongAnswerError("no request was answered")
    least = requests * expected.size
    if not least <= received <= least + CONNECTIONS * expected.size:
        raise WrongAnswerError(f"{requests} answers of {expected.size} bytes gave {received} bytes")
