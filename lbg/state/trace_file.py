"""The file behind the traces: making it, opening it, and whether it can be trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.state.state_file import StateFile
from lbg.state.trace_layout import AREAS, MAGIC, SIZE, VERSION

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "traces"
_KIND: Final = StateFile("trace file", MAGIC, VERSION, SIZE)


def make(path: Path) -> None:
    """Make a new file at `path`, in place of one that may be there. Raises OSError."""
    _KIND.make(path, _KIND.identity, AREAS)


def open_sound(path: Path) -> int:
    """Return a descriptor of the file at `path`. Raises OSError, or Damaged when it is not to be trusted."""
    return _KIND.open(path)
