"""Programs started by the benchmark: pinned to a core, logged to a file, ended with all their children."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which as find_program

from benchmarks.process_tree import Stat, tree

PATIENCE = 3.0
SEARCH_PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))


@dataclass(frozen=True, slots=True)
class Program:
    """A running program and the file its output goes to."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def last_lines(self, count: int = 3) -> str:
        """The end of what it printed, for the person who reads why it did not start."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return " | ".join(line.strip() for line in lines[-count:]) or "(no output)"


def which(program: str) -> str | None:
    """The path of an installed program, also where the PATH of an ordinary user has no sbin."""
    return find_program(program, path=SEARCH_PATH)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(
    command: Sequence[str], core: int, directory: Path, environ: Mapping[str, str] | None = None
) -> Iterator[Program]:
    """Run the command on one core, in `directory`, until the block ends."""
    log = directory / "output.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            cwd=directory,
            env={**_inherited(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl+C is for the benchmark, which ends its programs itself
        )
    try:
        yield Program(process, log)
    finally:
        _end(process)


def _inherited() -> dict[str, str]:
    """Our environment without what would configure a proxy behind the benchmark's back."""
    own = ("LBG_", "GUNICORN_", "WEB_CONCURRENCY")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)}


def _end(process: subprocess.Popen[bytes]) -> None:
    family = tree(process.pid)
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for member in family[1:]:
        _kill(member)


def _kill(member: Stat) -> None:
    """Kill a process that outlived its parent, unless its number belongs to another by now."""
    now = Stat.read(member.pid)
    if now and now.started == member.started:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
