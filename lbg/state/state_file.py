"""A file of cells in the state directory: making it, opening it, and whether it can be trusted."""

from __future__ import annotations

import errno
import mmap
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.state.boot import boot_number
from lbg.state.directory import TEMPORARY
from lbg.state.layout import CELL

if TYPE_CHECKING:
    from collections.abc import Callable

Mapped = TypeVar("Mapped")

_IDENTITY: Final = 3  # cells: magic, version, a digest of the boot
_NO_ALLOCATION: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL})  # from file systems that cannot


class Damaged(Exception):
    """The file is not one of this version of lbg, or not ours."""


@dataclass(frozen=True, slots=True)
class StateFile:
    """What files of one kind have in common: what they are `called`, and `size` bytes."""

    called: str
    magic: int
    version: int
    size: int

    @property
    def identity(self) -> bytes:
        """The first three cells of a new file."""
        numbers = self.magic, self.version, boot_number()
        return b"".join(number.to_bytes(CELL, sys.byteorder) for number in numbers)

    def make(self, path: Path, header: bytes, taken: int) -> None:
        """Make a new file at `path`, in place of one that may be there. Raises OSError.

        It begins with `header`; the first `taken` bytes get their disk space at once.
        """
        temporary = path.with_suffix(TEMPORARY)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.truncate(descriptor, self.size)  # sparse: what is not in use takes no space
            allocate(descriptor, 0, taken)
            os.pwrite(descriptor, header, 0)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def open(self, path: Path) -> int:
        """Return a descriptor of the file at `path`.

        Raises OSError, or Damaged when it is not to be trusted.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Damaged(f"{path} is a symbolic link") from None
            raise
        try:
            self._check(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _check(self, path: Path, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
            raise Damaged(f"{path} is not a file of this user")
        identity = os.pread(descriptor, _IDENTITY * CELL, 0)
        kind = (_IDENTITY - 1) * CELL
        if status.st_size != self.size or identity[:kind] != self.identity[:kind]:
            raise Damaged(f"{path} is not a {self.called} of this version of lbg")
        if identity != self.identity:
            raise Damaged(f"{path} is from before the last boot")


class Mappings(dict[Path, tuple[int, Mapped]], Generic[Mapped]):
    """What is mapped of the files of one kind, and by which process: this one, or one that forked it."""

    def take(
        self,
        path: Path,
        open_sound: Callable[[Path], int],
        size: int,
        make: Callable[[mmap.mmap, int], Mapped],
    ) -> Mapped:
        """Return what `make` makes of the mapped file at `path` and its descriptor.

        What the master had mapped is taken by its workers as it is, whatever became of the file. Raises
        OSError, or Damaged when the file is not to be trusted.
        """
        process, mapped = self.get(path, (0, None))
        if mapped is not None and process != os.getpid():
            return mapped
        # Never closed: closing any descriptor of the file would release the locks of the process.
        descriptor = open_sound(path)
        try:
            made = make(mmap.mmap(descriptor, size), descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self[path] = os.getpid(), made
        return made


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
