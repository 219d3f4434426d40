"""`lbg top` on a real terminal."""

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import fetch
from tests.support.lbg import LbgProcess, one_pool
from tests.support.waiting import eventually

QUICK = {"interval": 0.2, "fast_interval": 0.1, "timeout": 1.0, "rise": 1, "fall": 1}
PATIENCE = 15.0
LBG = [sys.executable, "-P", "-m", "lbg.cli.main"]  # -P: a directory may hold one that is called lbg
ENTER, LEAVE, SHOW_CURSOR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"
HOME = "\x1b[H"
STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """A terminal with a command in its foreground; all that was written to it is in `output`."""

    def __init__(self, master: int, process: subprocess.Popen[bytes]) -> None:
        self._master = master
        self.process = process
        self.output = ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: the other side is closed
            while data := os.read(self._master, 65536):
                self.output += data.decode("utf-8", "replace")

    @property
    def screen(self) -> list[str]:
        """The lines of the last whole frame, without colours."""
        frames = STYLE.sub("", self.output).split(HOME)[1:-1]
        return [line.rstrip() for line in frames[-1].splitlines()] if frames else []

    def wait_for(self, text: str) -> list[str]:
        """Wait until a frame has this text, and return the frame."""

        def there() -> list[str] | None:
            screen = self.screen
            return screen if text in "\n".join(screen) else None

        screen = eventually(there, PATIENCE, f"{text!r} on the screen")
        assert screen is not None
        return screen

    def resize(self, columns: int, lines: int) -> None:
        """Make the terminal another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def press(self, key: bytes) -> None:
        """Press a key."""
        os.write(self._master, key)

    def end(self) -> int:
        """Wait for the end of the command; return its exit status."""
        return self.process.wait(PATIENCE)


def _take_terminal() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextmanager
def top(lbg: LbgProcess, *arguments: str, columns: int = 80, lines: int = 24) -> Iterator[Terminal]:
    """Run `lbg top` on a terminal until the block ends; the settings of the terminal must come back."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        inherited.pop(name, None)
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    before = termios.tcgetattr(slave)
    admin = addresses.authority(lbg.admin_address)
    process = subprocess.Popen(
        [*LBG, "top", "--interval", "0.2", "--admin", admin, *arguments],
        env=inherited | {"TERM": "xterm-256color", "PYTHONUTF8": "1"},
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=_take_terminal,  # noqa: PLW1509
    )
    terminal = Terminal(master, process)
    try:
        yield terminal
        assert termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        terminal.reader.join(PATIENCE)
        os.close(master)


def assert_whole(terminal: Terminal) -> None:
    """Assert that the terminal shows again what it showed before, with its cursor."""
    eventually(lambda: LEAVE in terminal.output and SHOW_CURSOR in terminal.output, PATIENCE)
    assert terminal.output.count(ENTER) == terminal.output.count(LEAVE) == 1
    assert terminal.output.rindex(SHOW_CURSOR) > terminal.output.rindex(HOME)
    assert terminal.output.rindex(LEAVE) > terminal.output.rindex(HOME)
    assert "Traceback" not in terminal.output
    assert "Aborted" not in terminal.output


def test_it_shows_requests_and_a_backend_that_dies(lbg: StartLbg, backend: Backend) -> None:
    with Backend() as other:
        process = lbg(one_pool(backend.url, other.url, health=QUICK))
        with top(process) as terminal:
            screen = terminal.wait_for("2/2")
            assert screen[0].startswith("lbg ")
            assert "1 control" in screen[0] or screen[0].endswith("…")
            for _ in range(20):
                fetch(process.address, "/")

            def busy() -> bool:
                return bool(re.match(r"[0-9.]*[1-9][0-9.]* requests/s, 0 % errors", terminal.screen[1]))

            eventually(busy, PATIENCE, "requests on the screen")
            other.stop()
            screen = terminal.wait_for("DOWN")
            assert any(line.split()[:2] == [addresses.authority(other.address), "DOWN"] for line in screen)
            assert any(re.match(r"\d\d:\d\d:\d\d  DOWN ", line) for line in screen)
            assert max(map(len, screen)) <= 80
            terminal.press(b"\x03")
            assert terminal.end() == 0
            assert_whole(terminal)


def test_it_goes_on_when_lbg_comes_back(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    with top(process) as terminal:
        terminal.wait_for("1/1")
        process.stop()
        screen = terminal.wait_for("no answer since")
        assert re.fullmatch(r"no answer since \d\d:\d\d:\d\d, trying again", screen[1])
        assert any(" UP " in line for line in screen)
        process.start()
        terminal.wait_for("requests/s")
        assert terminal.process.poll() is None


def test_it_goes_on_when_the_control_worker_dies(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    with top(process) as terminal:
        terminal.wait_for("1/1")
        (control,) = process.worker_pids("control")
        os.kill(control, signal.SIGKILL)
        eventually(lambda: process.worker_pids("control") not in ([], [control]), PATIENCE)
        frames = terminal.output.count(HOME)
        eventually(lambda: terminal.output.count(HOME) > frames + 3, PATIENCE, "more frames")
        assert "requests/s" in terminal.wait_for("requests/s")[1]


def test_a_screen_without_room_shows_the_worst(lbg: StartLbg, backend: Backend) -> None:
    with addresses.bound_socket(("127.0.0.1", 0)) as nobody:  # bound, but nobody listens
        gone = addresses.local_address(nobody)
        aliases = [f"http://127.0.0.{number}:{backend.address[1]}" for number in range(2, 32)]
        urls = [*aliases, addresses.url(gone)]
        process = lbg(one_pool(*urls, health={**QUICK, "type": "tcp"}))
        with top(process, lines=20) as terminal:
            terminal.wait_for("DOWN")
            screen = terminal.screen
            assert len(screen) <= 20
            (left_out,) = [line for line in screen if line.startswith("… and ")]
            rows = [line for line in screen if line.startswith("  127.")]
            assert left_out == f"… and {31 - len(rows)} more"
            assert len(rows) >= 8


def test_another_size_of_the_screen_is_used(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    with top(process, "--interval", "600") as terminal:
        eventually(lambda: "P95" in terminal.output and "P99" not in terminal.output, PATIENCE)
        terminal.resize(140, 30)
        eventually(lambda: "P99" in terminal.output, PATIENCE, "the wide table")


def test_being_terminated_leaves_the_terminal_whole(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    with top(process) as terminal:
        terminal.wait_for("1/1")
        terminal.process.terminate()
        assert terminal.end() == 0
        assert_whole(terminal)


def test_once_prints_a_frame_below_the_prompt(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    with top(process, "--once") as terminal:
        assert terminal.end() == 0
        eventually(lambda: " UP " in STYLE.sub("", terminal.output), PATIENCE, "a frame")
        assert ENTER not in terminal.output


def test_a_pipe_gets_one_frame_whole(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    process = lbg(one_pool(backend.url, health=QUICK))
    ended = subprocess.run(
        [*LBG, "top", "--admin", addresses.authority(process.admin_address)],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "P99" in ended.stdout
    assert "\x1b" not in ended.stdout
