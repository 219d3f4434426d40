"""The file behind the buckets: making it, opening it, and whether it can be trusted."""

from __future__ import annotations

import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from lbg.state.boot import boot_number
from lbg.state.bucket_layout import CELLS, MAGIC, SECRET, VERSION, Header, limit_row
from lbg.state.cell_file import Damaged, allocate
from lbg.state.directory import TEMPORARY
from lbg.state.layout import CELL, WORKER_SLOTS

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "buckets"
SIZE: Final = CELLS * CELL
_CHECKED: Final = 5  # cells of the header


def make(path: Path) -> None:
    """Make a new file at `path`, in place of one that may be there. Raises OSError."""
    temporary = path.with_suffix(TEMPORARY)
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(descriptor, SIZE)  # sparse: without limits it takes a page
        allocate(descriptor, 0, limit_row(0) * CELL)
        os.pwrite(descriptor, new_header(), 0)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def new_header() -> bytes:
    """Return the first bytes of a new file."""
    numbers = [0] * Header.SECRET
    numbers[Header.MAGIC], numbers[Header.VERSION] = MAGIC, VERSION
    numbers[Header.BOOT] = boot_number()
    return b"".join(number.to_bytes(CELL, sys.byteorder) for number in numbers) + os.urandom(SECRET)


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
    header = os.pread(descriptor, _CHECKED * CELL, 0)
    numbers = [int.from_bytes(header[at : at + CELL], sys.byteorder) for at in range(0, len(header), CELL)]
    if status.st_size != SIZE or numbers[:2] != [MAGIC, VERSION]:
        raise Damaged(f"{path} is not a bucket file of this version of lbg")
    if numbers[Header.BOOT] != boot_number():
        raise Damaged(f"{path} is from before the last boot")
    if numbers[Header.WORKERS] > WORKER_SLOTS or numbers[Header.RESERVED] > 1:
        raise Damaged(f"{path} has a header that no master wrote")
