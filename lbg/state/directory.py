"""The state directory: made by the master, shared by its workers, mode 0700."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lbg.state.lock import FileLock, holder

if TYPE_CHECKING:
    from collections.abc import Callable

VARIABLE: Final = "LBG_STATE_DIR"
# Set in workers of our master only: the slot whose cells are theirs, empty when they share none.
SLOT_VARIABLE: Final = "LBG_WORKER_SLOT"
DOCUMENT: Final = "directory"
LOCK: Final = "lock"  # of the control worker that may write
MASTER_LOCK: Final = "master"  # of the master, and of the one that follows it at a USR2
TEMPORARY: Final = ".new"  # the end of the name of a file that is not complete yet

_RUNTIME: Final = Path("/run/lbg")
_SHARED: Final = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private directory below it
_FRESH: Final = "lbg-fresh-"


class Unusable(Exception):
    """A directory cannot be the state directory; the text is a clause that says why."""


@dataclass(slots=True)
class Claim:
    """A directory that this master holds. One that is `fresh` ends with the last master that holds it."""

    path: Path
    lock: FileLock
    fresh: bool = False

    def give_up(self) -> None:
        """Let go, and remove a fresh directory unless another master holds it too."""
        self.lock.release()
        try:
            if self.fresh and self.lock.try_acquire():
                remove(self.path)
                self.lock.release()
        except OSError:
            pass  # somebody else has removed it


def choices(configured: str | None) -> list[Callable[[], Claim]]:
    """Return how to get a state directory, best first; each raises Unusable or OSError when it fails."""
    if configured:
        return [partial(claim, Path(configured).absolute())]
    return [
        partial(claim, _RUNTIME),
        partial(_claim_fresh, lambda: _SHARED),
        partial(_claim_fresh, lambda: Path(tempfile.gettempdir())),
    ]


def claim(path: Path) -> Claim:
    """Take the directory `path`, made if there is none. Raises Unusable, OSError."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        pass
    _refuse_foreign(path)
    lock = FileLock(path / MASTER_LOCK)
    if not lock.try_acquire():
        pid = holder(lock.path)
        raise Unusable(f"{path} is in use by another lbg" + (f", pid {pid}" if pid else ""))
    for half_written in path.glob(f"*{TEMPORARY}"):  # by a master that was killed
        half_written.unlink()
    return Claim(path, lock)


def _claim_fresh(base: Callable[[], Path]) -> Claim:
    parent = base()
    _sweep(parent)
    made = claim(Path(tempfile.mkdtemp(prefix=_FRESH, dir=parent)))
    made.fresh = True
    return made


def _sweep(parent: Path) -> None:
    """Remove the fresh directories of masters that were killed: in /dev/shm they hold memory."""
    for path in parent.glob(f"{_FRESH}*"):
        try:
            _refuse_foreign(path)
            if (path / MASTER_LOCK).exists():  # else it was made this moment
                Claim(path, FileLock(path / MASTER_LOCK), fresh=True).give_up()
        except (Unusable, OSError):
            continue


def _refuse_foreign(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise Unusable(f"{path} is not a directory")
    if status.st_uid != os.geteuid():
        raise Unusable(f"{path} belongs to user {status.st_uid}, not to user {os.geteuid()}")
    if status.st_mode & 0o077:
        raise Unusable(
            f"{path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can reach it; run chmod 700 on it"
        )


def publish(directory: Path, document: bytes) -> None:
    """Replace the directory document in one step: readers see the old or the new one, never a part.

    Raises OSError, and leaves the old one then.
    """
    descriptor, name = tempfile.mkstemp(dir=directory, suffix=TEMPORARY)
    temporary = Path(name)
    try:
        with open(descriptor, "wb") as file:
            file.write(document)
        temporary.replace(directory / DOCUMENT)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read(directory: Path) -> bytes:
    """Return the current directory document. Raises OSError, also when it is not a file of this user."""
    path = directory / DOCUMENT
    with open(path, "rb", opener=_open_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a file of this user", str(path))
        return file.read()


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def remove(directory: Path) -> None:
    """Delete a fresh state directory when its master ends."""
    shutil.rmtree(directory, ignore_errors=True)
