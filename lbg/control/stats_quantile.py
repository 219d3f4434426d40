"""Quantiles from the buckets of a histogram."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def quantile(share: float, counts: Sequence[int], bounds: Sequence[float]) -> float | None:
    """Return the value that `share` of what was counted does not exceed, None when nothing was counted.

    `counts` are per bucket, with one more than `bounds`, their upper ends, for what is above. Within a
    bucket values are taken to be spread evenly, and what is above the last bound counts as that bound, as
    in Prometheus' histogram_quantile.
    """
    total = sum(counts)
    if not total:
        return None
    rank = share * total
    lower = 0.0
    for upper, count, reached in zip(bounds, counts, accumulate(counts), strict=False):
        if count and reached >= rank:
            return lower + (upper - lower) * (rank - reached + count) / count
        lower = upper
    return lower
