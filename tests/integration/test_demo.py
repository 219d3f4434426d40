"""`lbg demo`, the real command, with its keys, its signals and the deaths of its processes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import pytest

from tests.support import address as addresses
from tests.support.address import Address
from tests.support.client import RawClient, fetch
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)  # only one demo at a time runs, see `alone`

LBG = Path(sys.executable).with_name("lbg")
GREETINGS = {f"Hello from backend-{number}.\n".encode() for number in (1, 2, 3)}
CLOCK = r"\d\d:\d\d:\d\d"
RED, GREEN = r"\x1b\[1;31m", r"\x1b\[1;32m"
SUMMARY = re.compile(r"^lbg answered (\d+) requests from its endpoints\n((?:  default/\S+: .+\n){3})\Z", re.M)


class Terminal:
    """A terminal without a person: `press` types on it, `output` is what it shows."""

    def __init__(self) -> None:
        self._person, self.descriptor = pty.openpty()
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def output(self) -> str:
        """Everything written so far, with line ends as they were written."""
        return self._shown.decode().replace("\r\n", "\n")

    @property
    def modes(self) -> list[object]:
        """Return what `termios.tcgetattr` does."""
        return termios.tcgetattr(self._person)

    def press(self, keys: str) -> None:
        """Type some keys."""
        os.write(self._person, keys.encode())

    def close(self) -> None:
        """Take it away; whoever still has it open sees it hang up."""
        os.close(self.descriptor)
        self._reader.join(5.0)
        os.close(self._person)

    def _read(self) -> None:
        try:
            while data := os.read(self._person, 4096):
                self._shown += data
        except OSError:  # EIO: nobody has the other end open
            return


class Demo:
    """Runs `lbg demo` in a session of its own, at a terminal or at none; kills what it leaves behind."""

    def __init__(self, directory: Path, *arguments: str, terminal: Terminal | None = None) -> None:
        self._out, self._err = directory / "stdout", directory / "stderr"
        self._reserved = [addresses.bound_socket(("127.0.0.1", 0)) for _ in range(2)]
        self.address, self.admin = (addresses.local_address(sock) for sock in self._reserved)
        flags = ("--bind", addresses.authority(self.address), "--admin", addresses.authority(self.admin))
        self._state = directory / "state"
        self._command = [str(LBG), "demo", *flags, *arguments]
        self._terminal = terminal
        self.family: list[psutil.Process] = []

    def __enter__(self) -> Self:
        """Start it and wait until it tells what to try."""
        try:
            self.start()
            eventually(lambda: "lbg is ready" in self.out, timeout=20.0, what="the welcome")
            eventually(self._is_whole, timeout=20.0, what="backends, master, control and proxy workers")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; show what it wrote when the test has failed."""
        self.close()
        if error is not None:
            print(f"--- stdout\n{self.out}\n--- stderr\n{self.err}", file=sys.stderr)

    @property
    def pid(self) -> int:
        """The process that the person started."""
        return self._process.pid

    @property
    def out(self) -> str:
        """What it has written to stdout, or on its terminal."""
        return self._terminal.output if self._terminal else self._out.read_text()

    @property
    def err(self) -> str:
        """What it has written to stderr."""
        return self._err.read_text()

    def named(self, text: str) -> psutil.Process:
        """Return the first of its processes, a parent before its children, with this in the command line."""
        return next(process for process in self.family if text in process.cmdline())

    def wait(self) -> int:
        """Wait for its end and return its status."""
        return self._process.wait(20.0)

    def survivors(self) -> list[psutil.Process]:
        """Return those of its processes that still run."""
        return [process for process in self.family if _runs(process)]

    def close(self) -> None:
        """Kill every process."""
        self._is_whole()
        for process in self.survivors():
            process.kill()
        self._process.kill()
        self._process.wait()
        for sock in self._reserved:
            sock.close()

    def start(self) -> None:
        """Start it and wait for nothing."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                self._command,
                stdin=self._terminal.descriptor if self._terminal else subprocess.DEVNULL,
                stdout=self._terminal.descriptor if self._terminal else out,
                stderr=err,
                env=environ | {"LBG_STATE_DIR": str(self._state)},
                start_new_session=True,
                preexec_fn=_own_terminal if self._terminal else None,  # noqa: PLW1509
            )

    def _is_whole(self) -> bool:
        try:
            found = psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return False
        self.family += [process for process in found if process not in self.family]
        return len(self.survivors()) == 3 + 1 + 1 + 2


def _own_terminal() -> None:
    """Make stdin the terminal of this session, which Ctrl+C acts on."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let one demo run at a time: another could take the port of a backend that is down."""
    with (tmp_path_factory.getbasetemp().parent / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """Give a terminal."""
    terminal = Terminal()
    yield terminal
    terminal.close()


def _shows(demo: Demo, pattern: str, count: int = 1) -> None:
    eventually(lambda: len(re.findall(pattern, demo.out, re.M)) == count, timeout=15.0, what=pattern)


def test_requests_are_spread_over_all_backends(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert {fetch(demo.address).body for _ in range(12)} == GREETINGS


def test_slow_and_echo_and_the_admin_listener_answer(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        assert fetch(demo.address, "/slow?seconds=0").status == 200
        echo = json.loads(fetch(demo.address, "/echo?x=1", method="POST", body=b"hello").body)
        assert (echo["method"], echo["target"], echo["body"]) == ("POST", "/echo?x=1", "hello")
        assert fetch(demo.admin, "/health/ready").status == 200
        assert fetch(demo.admin, "/api/v1/status").status == 200


def test_an_event_passes_before_the_next_one_is_sent(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo, RawClient(demo.address) as client:
        client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        times = []
        for event in (b"event 1", b"event 2"):
            while event not in received:
                received += client.socket.recv(4096)
            times.append(time.monotonic())
        assert times[1] - times[0] > 0.3  # one that is held back comes together with the next


def _statuses_until(done: threading.Event, address: Address) -> set[int]:
    statuses = set()
    while not done.is_set():
        statuses.add(fetch(address).status)
    return statuses


def test_a_killed_backend_is_told_missed_by_no_client_and_started_again(tmp_path: Path) -> None:
    with Demo(tmp_path, "--restart-after", "0.5") as demo, ThreadPoolExecutor(4) as pool:
        done = threading.Event()
        clients = [pool.submit(_statuses_until, done, demo.address) for _ in range(4)]
        try:
            demo.named("backend-2").terminate()
            _shows(
                demo,
                rf"^{CLOCK}  DOWN  backend-2  http://127\.0\.0\.1:\d+"
                r"  exited with signal 15; starts again in 0\.5 s$",
            )
            _shows(demo, rf"^{CLOCK}  UP    backend-2  http://127\.0\.0\.1:\d+  pid \d+$")
        finally:
            done.set()
        assert [client.result() for client in clients] == [{200}] * 4
        eventually(
            lambda: fetch(demo.address).body == b"Hello from backend-2.\n", what="backend-2 to answer again"
        )


@pytest.mark.parametrize(
    ("kill", "number"),
    [
        pytest.param(os.killpg, signal.SIGINT, id="SIGINT to the group"),
        pytest.param(os.kill, signal.SIGINT, id="SIGINT"),
        pytest.param(os.kill, signal.SIGTERM, id="SIGTERM"),
        pytest.param(os.killpg, signal.SIGQUIT, id="SIGQUIT to the group"),
    ],
)
def test_a_signal_ends_everything_with_one_summary(
    tmp_path: Path, kill: Callable[[int, int], None], number: int
) -> None:
    with Demo(tmp_path) as demo:
        for _ in range(6):
            fetch(demo.address)
        shown = demo.out
        kill(demo.pid, number)
        assert demo.wait() == 0
        assert demo.survivors() == []
        assert demo.out == shown
        assert _requests(demo.err) == 6
        assert "Traceback" not in demo.err


def _requests(err: str) -> int:
    """Return how many requests the summary has, in all and over the endpoints; it stands last and once."""
    assert err.count("lbg answered") == 1
    summary = SUMMARY.search(err)
    assert summary is not None, err
    total = int(summary[1])
    assert sum(map(int, re.findall(r": (\d+) requests", summary[2]))) == total
    return total


def test_a_port_in_use_is_told_and_the_status_is_2(tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    with Demo(tmp_path) as first:
        taken = addresses.authority(first.admin)
        second = Demo(tmp_path / "second", "--admin", taken)
        try:
            second.start()
            assert second.wait() == 2
            assert second.survivors() == []
            assert second.out == ""
            assert f"lbg: cannot listen on {taken}: already in use by " in second.err.splitlines()[-1]
        finally:
            second.close()


def test_the_death_of_lbg_ends_the_demo_with_its_status(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        demo.family[-1].suspend()  # a worker that cannot notice the death of its master
        demo.named("lbg.wsgi").kill()
        assert demo.wait() == 128 + signal.SIGKILL
        assert demo.err.endswith("lbg demo: lbg ended by itself with status 137\n")
        eventually(lambda: not demo.survivors(), what="the end of all processes")


def test_the_death_of_the_demo_ends_the_others(tmp_path: Path) -> None:
    with Demo(tmp_path) as demo:
        os.kill(demo.pid, signal.SIGKILL)
        eventually(lambda: not demo.survivors(), timeout=10.0, what="the end of all processes")


def test_a_key_stops_and_starts_a_backend(tmp_path: Path, terminal: Terminal) -> None:
    with Demo(tmp_path, terminal=terminal) as demo:
        assert "press 2 to stop and to start it, or kill" in demo.out
        backend = demo.named("backend-2")
        terminal.press("2")
        _shows(demo, rf"{CLOCK}  {RED}DOWN\S*  backend-2  http\S+  stopped; press 2 to start it$")
        assert not _runs(backend)
        assert {fetch(demo.address).body for _ in range(9)} == GREETINGS - {b"Hello from backend-2.\n"}
        terminal.press("2")
        _shows(demo, rf"{CLOCK}  {GREEN}UP  \S*  backend-2  http\S+  pid \d+$")


def test_ctrl_c_gives_the_terminal_back(tmp_path: Path, terminal: Terminal) -> None:
    before = terminal.modes
    with Demo(tmp_path, terminal=terminal) as demo:
        eventually(lambda: terminal.modes != before, what="single keys")
        terminal.press("\x03")
        assert demo.wait() == 0
        assert terminal.modes == before
        assert demo.survivors() == []
        assert _requests(demo.err) == 0
