"""A line of numbers as blocks of eight heights."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCKS: Final = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return the last `width` values, the greatest as the highest block; a blank is where one is unknown."""
    values = values[-width:]
    greatest = max((value for value in values if value is not None), default=0.0)
    return "".join(_block(value, greatest) for value in values).rjust(width)


def _block(value: float | None, greatest: float) -> str:
    if value is None:
        return " "
    return _BLOCKS[ceil(max(0.0, value) / greatest * (len(_BLOCKS) - 1))] if greatest else _BLOCKS[0]
