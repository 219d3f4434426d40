"""Where log lines end up: a file with a name of its own, or a standard stream of the process."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import sys
from typing import Final, Literal, TextIO

from gevent.monkey import get_original

ATOMIC: Final = select.PIPE_BUF
"""Bytes that come out of a pipe in one piece, whoever else writes to it (POSIX, write)."""

_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o640  # a line tells who asked for what
_WAIT: Final = 1000  # milliseconds

_poll: Final = get_original("select", "poll")


class LogTarget:
    """The file called `path`, or the standard stream if that is empty; for one thread, which it may hold up.

    Lines of several processes do not mix. A file is opened at the first write, and again at the next after
    `reopen` or an error. `trouble` says in words why the last write failed, "" when it did not.
    """

    def __init__(self, path: str, standard: Literal["stdout", "stderr"] = "stdout") -> None:
        self._path = path
        self._standard = standard
        self._fd = -1
        self._regular = False
        self.trouble = ""

    def __repr__(self) -> str:
        return f"<LogTarget {self.name} fd={self._fd}>"

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._path or self._standard

    @property
    def terminal(self) -> bool:
        """Whether a person watches."""
        stream = self._stream
        return stream is not None and stream.isatty()

    @property
    def closed(self) -> bool:
        """Whether there is no such place: the process was started without that stream."""
        return not self._path and self._stream is None

    @property
    def has_reader(self) -> bool:
        """Whether it is a standard stream that somebody reads, who may stop: no file."""
        stream = self._stream
        return stream is not None and not stat.S_ISREG(os.fstat(self._standard_fd).st_mode)

    @property
    def _standard_fd(self) -> int:
        return 1 if self._standard == "stdout" else 2

    @property
    def _stream(self) -> TextIO | None:
        if self._path:
            return None
        return sys.__stdout__ if self._standard == "stdout" else sys.__stderr__

    def reopen(self) -> None:
        """Go on in a new file with the same name; a standard stream stays what it is."""
        if self._path and self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, lines: list[bytes]) -> int:
        """Write whole lines and return how many of them were lost."""
        done = 0
        self.trouble = ""
        try:
            if self._fd < 0:
                self._open()
            if self._regular:
                done = self._append(lines)
            else:
                for piece in _pieces(lines):
                    self._send(b"".join(piece))
                    done += len(piece)
        except OSError as error:
            self.trouble = f"{self.name}: {error.strerror or error}"
            self.reopen()
        return len(lines) - done

    def _open(self) -> None:
        # Another descriptor would have another position: stdout may be a file without O_APPEND.
        fd = self._open_file() if self._path else self._standard_fd
        self._regular = bool(self._path) and stat.S_ISREG(os.fstat(fd).st_mode)
        self._fd = fd

    def _open_file(self) -> int:
        # To open a FIFO waits for a reader without O_NONBLOCK; with it, there is an error until one comes.
        fd = os.open(self._path, _FLAGS, _MODE)
        os.set_blocking(fd, True)
        return fd

    def _append(self, lines: list[bytes]) -> int:
        """Append in one write and take a line back of which a full disk holds only the beginning."""
        data = b"".join(lines)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            written = os.write(self._fd, data)
            if written == len(data):
                return len(lines)
            self.trouble = f"{self._path}: cut after {written} bytes, is the disk full?"
            whole = data.rfind(b"\n", 0, written) + 1
            size = os.fstat(self._fd).st_size
            if size >= written:  # else somebody emptied it meanwhile
                os.ftruncate(self._fd, size - (written - whole))
            return data.count(b"\n", 0, whole)
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _send(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:  # whoever shares our stream made it so
                waiter = _poll()
                waiter.register(self._fd, select.POLLOUT)
                waiter.poll(_WAIT)


def _pieces(lines: list[bytes]) -> list[list[bytes]]:
    """Return the lines in groups that go through a pipe in one piece."""
    pieces: list[list[bytes]] = []
    size = ATOMIC
    for line in lines:
        if size + len(line) > ATOMIC:
            pieces.append([])
            size = 0
        pieces[-1].append(line)
        size += len(line)
    return pieces
