"""lbg as the demo runs it: `lbg run` in a process of its own."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING

from lbg.demo.child import exit_status, start

if TYPE_CHECKING:
    from lbg.config.schema import AdminConfig, Config

_ANSWER_TIMEOUT = 1.0
_POLL = 0.05
_KILL_MARGIN = 10.0  # seconds beyond the grace period, in which gunicorn kills its workers by itself


class BalancerProcess:
    """Runs lbg in front of `endpoints`; `environ` and these give the configuration `config`."""

    def __init__(self, endpoints: Sequence[str], environ: Mapping[str, str], config: "Config") -> None:
        flags = [item for url in endpoints for item in ("--endpoint", url)]
        command = [sys.executable, "-m", "lbg.cli.main", "run", *flags]
        self._config = config
        self._process = start(command, when_orphaned=signal.SIGTERM, environ=environ)

    def __repr__(self) -> str:
        """Show which process it is."""
        return f"<BalancerProcess pid={self._process.pid} status={self.status}>"

    @property
    def status(self) -> int | None:
        """The exit status as a shell reports it, None while lbg runs."""
        returncode = self._process.poll()
        return None if returncode is None else exit_status(returncode)

    def serves(self) -> bool:
        """Whether a proxy worker has started, of this lbg: the admin address may be held by another one."""
        return any(_session(pid) == self._process.pid for pid in _proxy_workers(self._config.admin))

    def stop(self, next_signal: Callable[[], int | None]) -> None:
        """Give open requests the grace period, a short one after another SIGINT, and leave no process."""
        self._process.terminate()
        ends = time.monotonic() + self._config.server.shutdown_grace + _KILL_MARGIN
        while self.status is None and time.monotonic() < ends:
            if next_signal() == signal.SIGINT:
                self._process.send_signal(signal.SIGINT)
            time.sleep(_POLL)
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # the workers of a master that was killed
        except ProcessLookupError:
            pass
        self._process.wait()


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def _proxy_workers(admin: "AdminConfig") -> list[int]:
    """Return the pids that the status call lists, none when there is no sound answer."""
    connection = HTTPConnection("localhost")
    headers = {"Authorization": f"Bearer {admin.token}"} if admin.token else {}
    try:
        connection.sock = _connect(admin)
        connection.request("GET", "/api/v1/status", headers=headers)
        workers = json.load(connection.getresponse())["workers"]
        return [worker["pid"] for worker in workers if worker["role"] != "control"]
    except (OSError, HTTPException, ValueError, LookupError, TypeError):
        return []
    finally:
        connection.close()


def _connect(admin: "AdminConfig") -> socket.socket:
    if admin.bind.family == "tcp":
        return socket.create_connection((admin.bind.host, admin.bind.port), _ANSWER_TIMEOUT)
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(_ANSWER_TIMEOUT)
    sock.connect(admin.bind.path)
    return sock
