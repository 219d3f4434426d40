"""The file behind the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.state.layout import AREAS, CELL, CELLS, MAGIC, VERSION, Header
from lbg.state.state_file import Damaged, StateFile, allocate

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FILE", "SIZE", "Damaged", "allocate", "make", "open_sound"]

FILE: Final = "cells"
SIZE: Final = CELLS * CELL
_KIND: Final = StateFile("cell file", MAGIC, VERSION, SIZE)


def make(path: Path) -> None:
    """Make a new file at `path`, in place of one that may be there. Raises OSError."""
    _KIND.make(path, _KIND.identity.ljust(len(Header) * CELL, b"\0"), AREAS * CELL)


def open_sound(path: Path) -> int:
    """Return a descriptor of the file at `path`. Raises OSError, or Damaged when it is not to be trusted."""
    return _KIND.open(path)
