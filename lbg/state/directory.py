"""The state directory: made by the master, shared by its workers, mode 0700."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Final

VARIABLE: Final = "LBG_STATE_DIR"
SLOT_VARIABLE: Final = "LBG_WORKER_SLOT"  # set in workers only: with both, a process is part of a fleet
DOCUMENT: Final = "directory"


class UnsafeDirectory(Exception):
    """The state directory belongs to somebody else, or others may write to it."""


def prepare(configured: str | None) -> tuple[Path, bool]:
    """Return the state directory and whether it is a fresh one that ends with the master.

    Raises UnsafeDirectory, or OSError when it cannot be made.
    """
    if configured:
        path = Path(configured)
        if not path.exists() and not path.is_symlink():
            path.mkdir(mode=0o700, parents=True)
        _refuse_foreign(path)
        return path, False
    shared = Path("/dev/shm")  # noqa: S108 - mkdtemp makes a private directory below it
    base = shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())
    return Path(tempfile.mkdtemp(prefix="lbg-", dir=base)), True


def _refuse_foreign(path: Path) -> None:
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeDirectory(f"{VARIABLE}: {path} is not a directory")
    if status.st_uid != os.geteuid():
        raise UnsafeDirectory(
            f"{VARIABLE}: {path} belongs to user {status.st_uid}, not to user {os.geteuid()}"
        )
    if status.st_mode & 0o077:
        raise UnsafeDirectory(
            f"{VARIABLE}: {path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can reach it; "
            "run chmod 700 on it"
        )


def publish(directory: Path, document: bytes) -> None:
    """Replace the directory document in one step: readers see the old or the new one, never a part."""
    with tempfile.NamedTemporaryFile(dir=directory, prefix=DOCUMENT, delete=False) as file:
        file.write(document)
    Path(file.name).replace(directory / DOCUMENT)


def read(directory: Path) -> bytes:
    """Return the current directory document. Raises OSError."""
    return (directory / DOCUMENT).read_bytes()


def remove(directory: Path) -> None:
    """Delete a fresh state directory when its master ends."""
    shutil.rmtree(directory, ignore_errors=True)
