"""The real command, `gunicorn -c gunicorn.conf.py lbg.wsgi`, as a context manager."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from tests.support import address as addresses
from tests.support import toml
from tests.support.client import NoResponseError, fetch
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
READY_TIMEOUT = 15.0
STOP_TIMEOUT = 5.0
LOOPBACK = ("127.0.0.1", 0)

RUNNING: list[LbgProcess] = []
"""Those that run now: the report of a failed test shows their logs."""


def one_pool(*endpoints: str | Mapping[str, object], **options: object) -> dict[str, object]:
    """Return a configuration that sends everything to one pool, `main`, with these options."""
    return {"pools": {"main": {"endpoints": list(endpoints), **options}}, "routes": [{"pool": "main"}]}


class LbgProcess:
    """Starts lbg in a process group of its own and leaves no process of that group behind.

    `config` is written to `directory` as lbg.toml. `args` are added to gunicorn's command line, `env` to
    the environment; a stock worker class is chosen with `worker_class`. A traceback in the log fails the
    test when the `with` block ends, unless `allow_traceback` is True.
    """

    def __init__(
        self,
        config: Mapping[str, object] | str,
        directory: Path,
        *,
        workers: int = 2,
        worker_class: str | None = None,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        allow_traceback: bool = False,
    ) -> None:
        self.directory = directory
        self.workers = workers
        self.worker_class = worker_class
        self.args = list(args)
        self.env = dict(env or {})
        self.allow_traceback = allow_traceback
        self.config_path = directory / "lbg.toml"
        self.log_path = directory / "lbg.log"
        directory.mkdir(parents=True, exist_ok=True)
        self.write_config(config)
        self._reserved = [addresses.bound_socket(LOOPBACK) for _ in range(2)]
        self.address, self.admin_address = (addresses.local_address(sock) for sock in self._reserved)
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        """Show where it listens and whether it runs."""
        return f"<LbgProcess {self.url} pid={self._process and self._process.pid}>"

    @property
    def url(self) -> str:
        """The public address as a URL without a path."""
        return addresses.url(self.address)

    @property
    def admin_url(self) -> str:
        """The admin address as a URL without a path."""
        return addresses.url(self.admin_address)

    @property
    def pid(self) -> int:
        """The process id of the gunicorn master."""
        return self._running().pid

    def command(self) -> list[str]:
        """Return the command line."""
        stock = ["-k", self.worker_class] if self.worker_class else []
        return [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *stock, *self.args, "lbg.wsgi"]

    def write_config(self, config: Mapping[str, object] | str) -> None:
        """Replace the configuration file by a rename, as a careful operator does."""
        fresh = self.config_path.with_suffix(".new")
        fresh.write_text(config if isinstance(config, str) else toml.dump(config), encoding="utf-8")
        fresh.replace(self.config_path)

    def log(self) -> str:
        """Return everything the processes have written so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def ask(self, path: str) -> Any:
        """Return what the admin API says; AssertionError, so that one can wait, while it says nothing."""
        try:
            response = fetch(self.admin_address, path, headers=[("Accept", "application/json")])
        except (OSError, NoResponseError) as error:
            raise AssertionError(f"GET {path}: {error!r}") from error
        if response.status != 200:
            raise AssertionError(f"GET {path}: {response}")
        return json.loads(response.body)

    def status(self) -> dict[str, Any]:
        """Return the answer of the admin API's status call."""
        document: dict[str, Any] = self.ask("/api/v1/status")
        return document

    def endpoint(self, url: str) -> dict[str, Any]:
        """Return what the admin API says of one endpoint."""
        found: dict[str, Any] = next(each for each in self.ask("/api/v1/endpoints") if each["url"] == url)
        return found

    def wait_for(self, url: str, state: str, timeout: float = 10.0) -> dict[str, Any]:
        """Wait until an endpoint is in a state and return what the admin API says of it."""

        def reached() -> dict[str, Any] | None:
            endpoint = self.endpoint(url)
            return endpoint if endpoint["state"] == state else None

        endpoint = eventually(reached, timeout, f"{url} to be {state}")
        assert endpoint
        return endpoint

    def events(self, *kinds: str, url: str = "") -> list[dict[str, Any]]:
        """Return what happened, oldest first: everything, or of these kinds, or to this endpoint."""
        return [
            event
            for event in self.ask("/api/v1/events?history=1000")
            if event["kind"] in (kinds or [event["kind"]]) and event["endpoint"] in (url or event["endpoint"])
        ]

    def worker_pids(self, role: str) -> list[int]:
        """Return the processes with this role: "proxy", "control" or "combined"."""
        return [worker["pid"] for worker in self.status()["workers"] if worker["role"] == role]

    def output(self) -> BinaryIO:
        """Open what the processes write to; ours is closed when they have it."""
        return self.log_path.open("ab")

    def start(self) -> None:
        """Start and wait until the admin listener says ready."""
        with self.output() as output:
            self._process = subprocess.Popen(
                self.command(),
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        RUNNING.append(self)
        self._wait_until_ready()

    def send_signal(self, number: int) -> None:
        """Send a signal to the master."""
        self._running().send_signal(number)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 20.0) -> int:
        """Send a signal to the master, wait for its end and return its exit code."""
        process = self._running()
        process.send_signal(number)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self!r} does not stop within {timeout:g} s\n{self.log()}") from None

    def close(self) -> None:
        """Stop it if it runs, and kill what is left of its process group."""
        for sock in self._reserved:
            sock.close()
        process = self._process
        if process is None:
            return
        RUNNING.remove(self)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(process.pid, signal.SIGKILL)  # the group outlives a master that was killed
        except ProcessLookupError:
            pass
        process.wait()

    def __enter__(self) -> Self:
        """Start; on failure nothing stays behind."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every process of the group; a traceback in the log fails a test that passed so far."""
        self.close()
        if error is not None:
            print(f"--- log of {self!r}\n{self.log()[-20000:]}", file=sys.stderr)
        elif "Traceback" in self.log() and not self.allow_traceback:
            raise AssertionError(f"a traceback in the log of {self!r}:\n{self.log()}")

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise AssertionError(f"{self!r} was not started")
        return self._process

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
        return inherited | {
            "LBG_CONFIG": str(self.config_path),
            "LBG_SERVER__BIND": addresses.authority(self.address),
            "LBG_ADMIN__BIND": addresses.authority(self.admin_address),
            "LBG_SERVER__WORKERS": str(self.workers),
            "LBG_STATE_DIR": str(self.directory / "state"),
            "LBG_LOG__ACCESS": "false",  # the tests of what else is logged count lines
            **self.env,
        }

    def _wait_until_ready(self) -> None:
        process = self._running()
        deadline = time.monotonic() + READY_TIMEOUT
        seen = "nothing"
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise AssertionError(f"lbg ended with {process.returncode} before it was ready\n{self.log()}")
            try:
                response = fetch(self.admin_address, "/health/ready")
            except (OSError, NoResponseError) as error:
                seen = repr(error)
            else:
                if response.status == 200:
                    return
                seen = repr(response)
            time.sleep(0.02)
        raise AssertionError(f"not ready in {READY_TIMEOUT:g} s, last answer {seen}\n{self.log()}")
