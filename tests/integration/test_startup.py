"""What lbg says when it cannot start: one line for each mistake, exit status 2 and no traceback."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import fetch
from tests.support.lbg import ROOT, LbgProcess, one_pool
from tests.support.waiting import eventually

BIN = Path(sys.executable).parent
COMMANDS = {
    "gunicorn": [str(BIN / "gunicorn"), "-c", str(ROOT / "gunicorn.conf.py"), "lbg.wsgi"],
    "lbg run": [str(BIN / "lbg"), "run"],
}
FREE = {"LBG_SERVER__BIND": "127.0.0.1:0", "LBG_ADMIN__BIND": "127.0.0.1:0"}
NOBODY = "http://127.0.0.1:1"

both = pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS.keys())


class Refusal:
    """A start that must fail: what was said, apart from log lines that tell of no trouble."""

    def __init__(self, command: Sequence[str], directory: Path, env: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
        ended = subprocess.run(
            command,
            cwd=directory,
            env={**inherited, **FREE, "LBG_STATE_DIR": str(directory / "state"), **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=15.0,
            check=False,
        )
        self.output = ended.stdout + ended.stderr
        self.lines = [line for line in self.output.splitlines() if '"level": "INFO"' not in line]
        assert ended.returncode == 2, self.output
        assert "Traceback" not in self.output

    @property
    def line(self) -> str:
        """The only line."""
        (line,) = self.lines
        return line


@both
def test_a_port_in_use_is_told_with_the_process_that_holds_it(command: list[str], tmp_path: Path) -> None:
    with Backend() as holder:
        bind = addresses.authority(holder.address)
        refusal = Refusal(command, tmp_path, {"LBG_ENDPOINTS": NOBODY, "LBG_SERVER__BIND": bind})
    assert bind in refusal.line
    assert "in use" in refusal.line
    assert f"(pid {os.getpid()})" in refusal.line


@both
def test_an_admin_port_in_use_is_told(command: list[str], tmp_path: Path) -> None:
    with Backend() as holder:
        bind = addresses.authority(holder.address)
        refusal = Refusal(command, tmp_path, {"LBG_ENDPOINTS": NOBODY, "LBG_ADMIN__BIND": bind})
    assert bind in refusal.line
    assert "in use" in refusal.line


@both
def test_two_ports_in_use_are_told_in_two_lines(command: list[str], tmp_path: Path) -> None:
    with Backend() as one, Backend() as two:
        binds = [addresses.authority(each.address) for each in (one, two)]
        variables = {"LBG_SERVER__BIND": binds[0], "LBG_ADMIN__BIND": binds[1]}
        refusal = Refusal(command, tmp_path, {"LBG_ENDPOINTS": NOBODY, **variables})
    assert len(refusal.lines) == 2
    assert all(bind in line for bind, line in zip(binds, refusal.lines, strict=True))


@both
@pytest.mark.needs("setpriv")
def test_a_privileged_port_is_told(command: list[str], tmp_path: Path) -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if lowest <= 80:
        pytest.skip(f"on this machine every process may listen on ports from {lowest}")
    drop = ["setpriv", "--bounding-set=-net_bind_service"] if os.geteuid() == 0 else []
    refusal = Refusal(
        [*drop, *command], tmp_path, {"LBG_ENDPOINTS": NOBODY, "LBG_SERVER__BIND": "127.0.0.1:80"}
    )
    assert "127.0.0.1:80" in refusal.line
    assert f"below {lowest}" in refusal.line


BAD_VALUES = {
    "no address": ({"LBG_SERVER__BIND": "nonsense"}, ["LBG_SERVER__BIND", "nonsense"]),
    "a port too high": ({"LBG_SERVER__BIND": "127.0.0.1:65536"}, ["LBG_SERVER__BIND", "65536"]),
    "another machine's address": ({"LBG_SERVER__BIND": "192.0.2.1:8080"}, ["192.0.2.1:8080", "interface"]),
    "no directory": ({"LBG_SERVER__BIND": "unix:/no/such/dir/s"}, ["/no/such/dir"]),
    "no scheme": ({"LBG_ENDPOINTS": "127.0.0.1:8000"}, ["LBG_ENDPOINTS", "http://"]),
    "another scheme": ({"LBG_ENDPOINTS": "ftp://127.0.0.1"}, ["LBG_ENDPOINTS", "ftp"]),
    "an unknown variable": ({"LBG_SERVER__WOKERS": "1"}, ["LBG_SERVER__WOKERS", "LBG_SERVER__WORKERS"]),
    "no number": ({"LBG_SERVER__WORKERS": "many"}, ["LBG_SERVER__WORKERS", "many"]),
    "a missing file": ({"LBG_CONFIG": "absent.toml"}, ["absent.toml", "no such file"]),
    "an open admin listener": ({"LBG_ADMIN__BIND": "0.0.0.0:0"}, ["LBG_ADMIN__BIND", "token"]),
}


@both
@pytest.mark.parametrize(("variables", "parts"), BAD_VALUES.values(), ids=BAD_VALUES.keys())
def test_a_bad_value_is_told(
    command: list[str], tmp_path: Path, variables: dict[str, str], parts: list[str]
) -> None:
    refusal = Refusal(command, tmp_path, {"LBG_ENDPOINTS": NOBODY, **variables})
    assert all(part in refusal.line for part in parts), refusal.line


@both
def test_no_configuration_at_all_is_told(command: list[str], tmp_path: Path) -> None:
    refusal = Refusal(command, tmp_path, {})
    assert all(part in refusal.line for part in ("lbg.toml", "LBG_CONFIG", "LBG_ENDPOINTS")), refusal.line


BAD_FILES = {
    "an unknown key": ("[server]\nwokers = 1\n", ["lbg.toml:2", "server.wokers", "workers"]),
    "a wrong type": ('[server]\nworkers = "two"\n', ["lbg.toml:2", "server.workers", "two"]),
    "a bad URL": ('[pools.b]\nendpoints = ["127.0.0.1"]\n', ["lbg.toml:2", "pools.b.endpoints[0]"]),
    "a pool that is not there": ('[[routes]]\npool = "mian"\n', ["lbg.toml:2", "mian", "main"]),
    "bad syntax": ("[server\n", ["lbg.toml:1", "TOML"]),
}


@both
@pytest.mark.parametrize(("text", "parts"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_mistake_in_the_file_is_told_with_its_line(
    command: list[str], tmp_path: Path, text: str, parts: list[str]
) -> None:
    good = f'[pools.main]\nendpoints = ["{NOBODY}"]\n'
    route = "" if "routes" in text or "pools" not in text else '[[routes]]\npool = "main"\n'
    (tmp_path / "lbg.toml").write_text(text + good + route)
    refusal = Refusal(command, tmp_path, {})
    assert all(part in refusal.line for part in parts), refusal.line


@both
def test_every_mistake_has_its_line(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "lbg.toml").write_text('[server]\nwokers = 1\nvia = 7\n[pools.main]\nendpoints = ["x"]\n')
    refusal = Refusal(command, tmp_path, {})
    assert [re.findall(r"lbg\.toml:(\d+): ", line) for line in refusal.lines] == [["2"], ["3"], ["5"]]


def _a_file(path: Path) -> None:
    path.write_text("")


def _open_to_others(path: Path) -> None:
    path.mkdir()
    path.chmod(0o770)


@both
@pytest.mark.parametrize("make", [_a_file, _open_to_others])
def test_an_unsafe_state_directory_is_refused(
    command: list[str], tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "unsafe"
    make(path)
    refusal = Refusal(command, tmp_path, {"LBG_ENDPOINTS": NOBODY, "LBG_STATE_DIR": str(path)})
    assert str(path) in refusal.line
    assert "LBG_STATE_DIR" in refusal.line or "state directory" in refusal.line
    assert "Errno" not in refusal.line


def test_a_path_that_is_no_socket_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    variables = {"LBG_ENDPOINTS": NOBODY, "LBG_SERVER__BIND": f"unix:{path}"}
    refusal = Refusal(COMMANDS["gunicorn"], tmp_path, variables)
    assert str(path) in refusal.line
    assert path.read_text() == "data"


def test_a_unix_socket_in_use_is_told(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as holder:
        holder.bind(str(tmp_path / "s"))
        holder.listen()
        variables = {"LBG_ENDPOINTS": NOBODY, "LBG_SERVER__BIND": f"unix:{tmp_path / 's'}"}
        refusal = Refusal(COMMANDS["gunicorn"], tmp_path, variables)
    assert "in use" in refusal.line
    assert str(tmp_path / "s") in refusal.line


def test_a_unix_socket_left_behind_is_replaced(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    lbg(one_pool(backend.url), env={"LBG_SERVER__BIND": f"unix:{path}"})
    assert fetch(str(path)).body == b"ok"


def test_it_starts_again_where_a_killed_one_was(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url))
    fetch(process.address)
    os.killpg(process.pid, signal.SIGKILL)
    eventually(lambda: process.stop(0, timeout=5.0) == -signal.SIGKILL)
    process.start()
    assert fetch(process.address).body == b"ok"


class ByFlags(LbgProcess):
    """Runs `lbg run` with flags in place of the variables."""

    flags: Sequence[str] = ()

    def command(self) -> list[str]:
        """Return the command line."""
        unset = [
            f"--unset=LBG_{name}" for name in ("CONFIG", "SERVER__BIND", "ADMIN__BIND", "SERVER__WORKERS")
        ]
        binds = addresses.authority(self.address), addresses.authority(self.admin_address)
        own = ("--bind", binds[0], "--admin", binds[1])
        return ["env", *unset, *COMMANDS["lbg run"], *own, *self.flags]


def test_lbg_run_needs_nothing_but_flags(tmp_path: Path) -> None:
    with Backend() as one, Backend() as two:
        process = ByFlags("", tmp_path)
        process.flags = ["--endpoint", one.url, "--endpoint", two.url, "--workers", "1"]
        with process:
            assert [fetch(process.address).body for _ in range(4)] == [b"ok"] * 4
            assert [len(backend.requests) for backend in (one, two)] == [2, 2]
            roles = sorted(worker["role"] for worker in process.status()["workers"])
    assert roles == ["control", "proxy"]


def test_lbg_run_takes_a_file(tmp_path: Path, backend: Backend) -> None:
    process = ByFlags({"server": {"workers": 1}, **one_pool(backend.url)}, tmp_path)
    process.flags = ["--config", str(process.config_path)]
    with process:
        assert fetch(process.address).body == b"ok"
        assert process.status()["config"]["source"] == str(process.config_path)
