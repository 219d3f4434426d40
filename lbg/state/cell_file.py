"""The file behind the cells: making it, opening it, and whether it can be trusted."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from lbg.state.boot import boot_number
from lbg.state.directory import TEMPORARY
from lbg.state.layout import AREAS, CELL, CELLS, MAGIC, VERSION, Header

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "cells"
SIZE: Final = CELLS * CELL
_NO_ALLOCATION: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL})  # from file systems that cannot


class Damaged(Exception):
    """The cell file is not one of this version of lbg, or not ours."""


def make(path: Path) -> None:
    """Make a new file at `path`, in place of one that may be there. Raises OSError."""
    temporary = path.with_suffix(TEMPORARY)
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(descriptor, SIZE)  # sparse: only the areas in use take memory
        allocate(descriptor, 0, AREAS * CELL)
        header = [0] * len(Header)
        header[Header.MAGIC], header[Header.VERSION] = MAGIC, VERSION
        header[Header.BOOT] = boot_number()
        os.pwrite(descriptor, b"".join(number.to_bytes(CELL, sys.byteorder) for number in header), 0)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def open_sound(path: Path) -> int:
    """Return a descriptor of the file at `path`. Raises OSError, or Damaged when it is not to be trusted."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Damaged(f"{path} is a symbolic link") from None
        raise
    try:
        _check(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise Damaged(f"{path} is not a file of this user")
    header = os.pread(descriptor, 3 * CELL, 0)
    numbers = [int.from_bytes(header[at : at + CELL], sys.byteorder) for at in range(0, 3 * CELL, CELL)]
    if status.st_size != SIZE or numbers[:2] != [MAGIC, VERSION]:
        raise Damaged(f"{path} is not a cell file of this version of lbg")
    if numbers[2] != boot_number():
        raise Damaged(f"{path} is from before the last boot")


def allocate(descriptor: int, start: int, size: int) -> None:
    """Take disk space for a part of the file: a page without it would kill whoever touches it.

    `start` and `size` are bytes. Raises OSError when there is none.
    """
    if sys.platform != "linux":
        return
    try:
        os.posix_fallocate(descriptor, start, size)
    except OSError as error:
        if error.errno not in _NO_ALLOCATION:
            raise
