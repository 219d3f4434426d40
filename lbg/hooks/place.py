"""Where in the user's code something happened: `file:line` for the log."""

from __future__ import annotations

import importlib
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

# Frames of our own, of the import system, and of code that has no file.
_NEVER: Final = (f"{Path(__file__).parent.parent}/", f"{Path(importlib.__file__).parent}/", "<")
_LIBRARIES: Final = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))
_PACKAGES: Final = tuple(f"{sysconfig.get_path(name)}/" for name in ("purelib", "platlib"))
_TEXT: Final = 300  # characters of an exception's text that are shown


def place_of(error: BaseException) -> str:
    """Return where the user's code was when `error` came out of it, `""` when it was not in it."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    return _nearest(
        (frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)
    )


def place_in(frame: FrameType) -> str:
    """Return where the user's code is whose innermost frame is `frame`, `""` when it is not in it."""
    outermost_first = list(_callers(frame))[::-1]
    return _nearest((each.f_code.co_filename, each.f_lineno) for each in outermost_first)


def _callers(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _nearest(calls: Iterable[tuple[str, int]]) -> str:
    """Return the innermost of `calls`, outermost first, that the user most likely wrote."""
    best, place = 3, ""
    for file, line in calls:
        rank = _rank(file)
        if rank < 3 and rank <= best:
            best, place = rank, f"{file}:{line}"
    return place


def _rank(file: str) -> int:
    if file.startswith(_NEVER):
        return 3
    if file.startswith(_PACKAGES):
        return 1
    # Compiled modules such as gevent's give paths of their own source tree.
    return 2 if file.startswith(_LIBRARIES) or not file.startswith("/") else 0


def told(error: BaseException) -> str:
    """Return type and text of `error` on one line that cannot forge another."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - a class of the user's, whose __str__ may do anything
        text = ""
    text = text[:_TEXT].encode("unicode_escape").decode("ascii")
    name = type(error).__name__
    return f"{name}: {text}" if text else name
