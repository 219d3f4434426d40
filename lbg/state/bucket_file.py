"""The file behind the buckets."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_layout import CELLS, MAGIC, SECRET, VERSION, Header, limit_row
from lbg.state.layout import CELL
from lbg.state.state_file import StateFile

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "buckets"
SIZE: Final = CELLS * CELL
_KIND: Final = StateFile("bucket file", MAGIC, VERSION, SIZE)


def make(path: Path) -> None:
    """Make a new file at `path`, in place of one that may be there. Raises OSError."""
    _KIND.make(path, new_header(), limit_row(0) * CELL)


def new_header() -> bytes:
    """Return the first bytes of a new file."""
    return _KIND.identity.ljust(Header.SECRET * CELL, b"\0") + os.urandom(SECRET)


def open_sound(path: Path) -> int:
    """Return a descriptor of the file at `path`. Raises OSError, or Damaged when it is not to be trusted."""
    return _KIND.open(path)
