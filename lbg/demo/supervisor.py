"""Keeps a backend as it is wanted: running, stopped by a key, or started again after it was killed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from lbg.demo.child import exit_text


class Process(Protocol):
    """The part of `subprocess.Popen` that is needed here."""

    pid: int

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def wait(self) -> int: ...


Launch = Callable[[str], Process]


@dataclass(frozen=True, slots=True)
class Change:
    """A backend came up or went down; `detail` says how."""

    up: bool
    backend: str
    url: str
    detail: str


class Backend:
    """One backend and its process; `key` is what stops and starts it.

    `launch` gets the name and returns a process that listens at `url`, or raises OSError. Times are in
    monotonic seconds.
    """

    def __init__(self, key: str, url: str, launch: Launch, restart_after: float) -> None:
        self.key = key
        self.name = f"backend-{key}"
        self.url = url
        self._launch = launch
        self._restart_after = restart_after
        self._process: Process | None = None
        self._start_at: float | None = None
        """When to start it next; None while it runs, and when a key has stopped it."""

    def __repr__(self) -> str:
        """Show where it is and what becomes of it."""
        return f"<Backend {self.name} {self.url} pid={self.pid} start_at={self._start_at}>"

    @property
    def pid(self) -> int | None:
        """The process id, None when it does not run."""
        return None if self._process is None else self._process.pid

    def start(self, now: float) -> Change:
        """Start it, or plan the next attempt when that fails."""
        try:
            self._process = self._launch(self.name)
        except OSError as error:
            return self._down(f"cannot be started: {error.strerror}", now)
        self._start_at = None
        return self._change(True, f"pid {self._process.pid}")

    def toggle(self, now: float) -> Change | None:
        """Stop it when it runs, else start it at the next look."""
        if self._process is None:
            self._start_at = now
            return None
        self.kill()
        return self._change(False, f"stopped; press {self.key} to start it")

    def look(self, now: float) -> Change | None:
        """Notice that its process has ended, and start it when that is due."""
        if self._process is not None:
            returncode = self._process.poll()
            if returncode is None:
                return None
            self._process = None
            return self._down(exit_text(returncode), now)
        if self._start_at is not None and now >= self._start_at:
            return self.start(now)
        return None

    def kill(self) -> None:
        """Kill its process, if there is one, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _down(self, reason: str, now: float) -> Change:
        self._start_at = now + self._restart_after
        return self._change(False, f"{reason}; starts again in {self._restart_after:g} s")

    def _change(self, up: bool, detail: str) -> Change:
        return Change(up, self.name, self.url, detail)
