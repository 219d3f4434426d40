"""A lock file that a process holds for its life: the kernel lets go of it when the process dies."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_PID: Final = 20  # digits of a 64-bit number


class FileLock:
    """A lock that belongs to the open file: processes that inherited its descriptor hold it together."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def __repr__(self) -> str:
        return f"<FileLock {self.path} {'held' if self.held else 'not held'}>"

    @classmethod
    def inherited(cls, path: Path, descriptor: int) -> Self | None:
        """Return the lock that `hand_over` left us, None when `descriptor` is not that lock."""
        lock = cls(path)
        lock._descriptor = descriptor
        try:
            if not lock.in_place or not _lock(descriptor):
                return None
            os.set_inheritable(descriptor, False)
        except OSError:
            return None
        lock._write_pid()
        return lock

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._descriptor >= 0

    @property
    def in_place(self) -> bool:
        """Whether this process has it and its file is still there, so that nobody else can have it."""
        try:
            return self.held and os.path.samestat(os.fstat(self._descriptor), os.lstat(self.path))
        except OSError:
            return False

    def try_acquire(self) -> bool:
        """Take the lock unless somebody else has it. Raises OSError when its file cannot be made."""
        if self.held:
            return True
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        # Not in place: its last holder removed the file after we had opened it.
        if not _lock(self._descriptor) or not self.in_place:
            self.release()
            return False
        self._write_pid()
        return True

    def release(self) -> None:
        """Let go of it; others can have it when all who inherited it have let go."""
        if self.held:
            # Without LOCK_UN, which would take it from the heirs as well.
            os.close(self._descriptor)
            self._descriptor = -1

    def hand_over(self) -> int:
        """Let the program that this process executes next keep it; return the descriptor to tell it."""
        os.set_inheritable(self._descriptor, True)
        return self._descriptor

    def _write_pid(self) -> None:
        try:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, str(os.getpid()).encode(), 0)
        except OSError:
            pass  # a full disk: it is locked all the same, only `holder` cannot tell by whom


def holder(path: Path) -> int | None:
    """Return the process that last took the lock at `path`, None when the file does not tell."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return int(os.read(descriptor, _LONGEST_PID))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
