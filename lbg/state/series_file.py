"""The file behind the series: making it, opening it, and whether it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.state.layout import CELL
from lbg.state.series_layout import CELLS, MAGIC, REGIONS, VERSION
from lbg.state.state_file import StateFile

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "series"
SIZE: Final = CELLS * CELL
_KIND: Final = StateFile("series file", MAGIC, VERSION, SIZE)


def make(path: Path) -> None:
    """Make a new file at `path`, in place of one that may be there. Raises OSError."""
    _KIND.make(path, _KIND.identity, REGIONS * CELL)


def open_sound(path: Path) -> int:
    """Return a descriptor of the file at `path`. Raises OSError, or Damaged when it is not to be trusted."""
    return _KIND.open(path)
