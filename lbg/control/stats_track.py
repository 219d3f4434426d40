"""The last minutes of one endpoint, one pool or all of lbg: what was counted, and the rates between."""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from lbg.control.stats_quantile import quantile

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lbg.control.stats_counts import Counts

Document = dict[str, Any]

KEPT: Final = 150  # samples
_IN_WINDOW: Final = 5  # intervals
_UNKNOWN: Final = float("nan")
_MILLISECONDS: Final = 1000.0


class _Sample(NamedTuple):
    """`at` is CLOCK_MONOTONIC seconds."""

    at: float
    counts: Counts


class Track:
    """`bounds` are the upper ends of the buckets, in seconds."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._recent: deque[_Sample] = deque(maxlen=_IN_WINDOW + 1)
        self._history = {name: array("d") for name in ("requests_per_second", "errors_per_second", "p95_ms")}

    def note(self, at: float, counts: Counts) -> None:
        """Take one more sample; `at` is CLOCK_MONOTONIC seconds."""
        self._recent.append(_Sample(at, counts))
        requests = errors = p95 = None
        if len(self._recent) > 1:
            before = self._recent[-2]
            requests = _rate(before.counts.requests, counts.requests, at - before.at)
            errors = _rate(before.counts.errors, counts.errors, at - before.at)
            p95 = self._quantiles(0.95)[0]
        for line, value in zip(self._history.values(), (requests, errors, p95), strict=True):
            line.append(_UNKNOWN if value is None else value)
            del line[:-KEPT]

    def document(self, last: int) -> Document:
        """Return the numbers of now, and as history the last `last` samples: None where one is unknown."""
        p50, p95, p99 = self._quantiles(0.5, 0.95, 0.99)
        return {
            **self._rates(),
            "p50_ms": p50,
            "p95_ms": p95,
            "p99_ms": p99,
            "in_flight": self._recent[-1].counts.in_flight if self._recent else 0,
            "history": {name: _last(line, last) for name, line in self._history.items()},
        }

    def _rates(self) -> Document:
        """Return the rates of the window: nothing is known before there are two samples."""
        if len(self._recent) < 2:
            return {"requests_per_second": None, "error_rate": None}
        first, last = self._recent[0], self._recent[-1]
        requests = last.counts.requests - first.counts.requests
        errors = max(0, last.counts.errors - first.counts.errors)
        return {
            "requests_per_second": _rate(first.counts.requests, last.counts.requests, last.at - first.at),
            "error_rate": round(min(1.0, errors / requests), 4) if requests > 0 else float(errors > 0),
        }

    def _quantiles(self, *shares: float) -> list[float | None]:
        """Return quantiles of the window in milliseconds."""
        if not self._recent:
            return [None] * len(shares)
        first, last = self._recent[0].counts.durations, self._recent[-1].counts.durations
        if first == last:
            return [None] * len(shares)
        counts = [max(0, new - old) for old, new in zip(first, last, strict=True)]
        return [_milliseconds(quantile(share, counts, self._bounds)) for share in shares]


def _rate(before: int, now: int, seconds: float) -> float:
    # A slot that went to another endpoint was cleared: never below 0.
    return round(max(0, now - before) / seconds, 3)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * _MILLISECONDS, 3)


def _last(line: array[float], number: int) -> list[float | None]:
    """Return the last values; a line that is younger than that has None before it."""
    values: Iterable[float] = line[-number:] if number else ()
    known = [None if value != value else value for value in values]  # noqa: PLR0124 - only NaN is not itself
    return [None] * (number - len(known)) + known
