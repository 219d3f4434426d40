"""Single keys from a terminal, without Enter."""

import os
import select
import termios
import time
import tty
from typing import Any, Self, TextIO

_LOCAL_MODES = 3  # index in what termios.tcgetattr returns


class Keys:
    """Reads keys while this process is in the foreground of its terminal, and gives the terminal back."""

    def __init__(self, stdin: TextIO | None) -> None:
        self._terminal = stdin.fileno() if stdin is not None and stdin.isatty() else None
        self._modes: list[Any] | None = None

    def __repr__(self) -> str:
        """Show which descriptor is read, if any."""
        return f"<Keys terminal={self._terminal}>"

    @property
    def available(self) -> bool:
        """Whether there is a terminal to read from."""
        return self._terminal is not None

    def wait(self, seconds: float) -> str:
        """Return the keys pressed, as soon as there are some and at the latest after `seconds`."""
        try:
            if self._terminal is not None and self._in_foreground(self._terminal):
                self._take(self._terminal)
                readable, _, _ = select.select([self._terminal], [], [], seconds)
                return os.read(self._terminal, 64).decode("ascii", "ignore") if readable else ""
        except (OSError, termios.error):  # it hung up, or it is not the terminal of our session
            self._terminal = None
        time.sleep(seconds)
        return ""

    def close(self) -> None:
        """Restore the terminal's modes."""
        try:
            if self._terminal is not None and self._modes and self._in_foreground(self._terminal):
                termios.tcsetattr(self._terminal, termios.TCSANOW, self._modes)
        except (OSError, termios.error):
            self._terminal = None

    def __enter__(self) -> Self:
        """Use as a context that closes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def _in_foreground(self, terminal: int) -> bool:
        """Whether the terminal is ours: reading or setting it from the background would stop us."""
        return os.tcgetpgrp(terminal) == os.getpgrp()

    def _take(self, terminal: int) -> None:
        """Switch line mode and echo off, again after a shell has had the terminal between Ctrl+Z and fg."""
        modes = termios.tcgetattr(terminal)
        if modes[_LOCAL_MODES] & termios.ICANON:
            self._modes = modes
            tty.setcbreak(terminal, termios.TCSANOW)
