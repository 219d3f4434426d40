"""How much of its weight an endpoint has while it warms up."""

from __future__ import annotations

from typing import Final

_LEAST: Final = 0.1


def factor(now: float, began: float, window: float) -> float:
    """Return what to multiply the weight with: from 0.1 at `began`, linearly, to 1.0 after `window` seconds.

    A `began` of 0 says that no slow start is under way.
    """
    passed = now - began
    if not began or passed >= window:
        return 1.0
    return _LEAST + (1.0 - _LEAST) * max(passed, 0.0) / window
