"""A share of a route's requests for each of several pools."""

from __future__ import annotations

import random
from bisect import bisect_right
from hashlib import blake2b
from itertools import accumulate
from math import log
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.routes import SplitConfig

_BITS: Final = 52  # of a fraction that a float holds exactly


class Split:
    """Picks a pool by weight; equal keys get the same pool, in every process and after each restart.

    Keys go by weighted rendezvous hashing. A pool whose weight grows keeps its keys and takes others, and
    no key moves between pools whose weights stay as they are in proportion. So the canary of 5 percent is
    a part of the canary of 10 percent, and the order of the file means nothing. `shares` tells which part
    of the requests each pool gets.
    """

    __slots__ = ("_bounds", "_hashes", "_random", "shares")

    def __init__(self, split: Iterable[SplitConfig], chance: Callable[[], float] = random.random) -> None:
        weights = {part.pool: part.weight for part in split}
        total = sum(weights.values())
        if not total:
            raise ValueError("expected a weight above 0")
        self.shares = {name: weight / total for name, weight in weights.items()}
        taking = {name: weight for name, weight in weights.items() if weight}
        self._hashes = tuple(
            (name, weight, blake2b(b"%b\0" % name.encode(), digest_size=8)) for name, weight in taking.items()
        )
        self._bounds = [bound / total for bound in accumulate(taking.values())]
        self._random = chance

    def pick(self, key: bytes | None) -> str:
        """Return the name of the pool for `key`; without a key, chance decides."""
        if key is None:
            return self._hashes[bisect_right(self._bounds, self._random())][0]
        best, found = -1.0, ""
        for name, weight, begun in self._hashes:
            digest = begun.copy()
            digest.update(key)
            fraction = ((int.from_bytes(digest.digest(), "big") >> 64 - _BITS) + 0.5) / (1 << _BITS)
            score = -weight / log(fraction)
            if score > best:
                best, found = score, name
        return found
