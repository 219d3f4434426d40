"""Draws places of a list at random, in proportion to weight."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Draw:
    """Draws among the places of `weights`; `even` tells that all are the same.

    `random` gives numbers from 0 to below 1.
    """

    __slots__ = ("_count", "_random", "_sums", "_weights", "even")

    def __init__(self, weights: Sequence[float], random: Callable[[], float]) -> None:
        self._weights = weights
        self._count = len(weights)
        self._random = random
        self.even = len(set(weights)) <= 1
        self._sums = [] if self.even else list(accumulate(weights))

    def one(self) -> int:
        """Return one place."""
        if self.even:
            return int(self._random() * self._count)
        return bisect(self._sums, self._random() * self._sums[-1], 0, self._count - 1)

    def two(self) -> tuple[int, int]:
        """Return two different places; there must be two."""
        if self.even:
            first, second = int(self._random() * self._count), int(self._random() * (self._count - 1))
            return first, second + (second >= first)
        sums, last = self._sums, self._count - 1
        first = bisect(sums, self._random() * sums[-1], 0, last)
        weight = self._weights[first]
        before = sums[first] - weight
        at = self._random() * (sums[-1] - weight)
        if at < before:
            return first, bisect(sums, at, 0, first - 1)
        return first, bisect(sums, at + weight, first + 1, last)
