"""Metrics as text, in both formats that Prometheus reads.

The encoders of prometheus_client look at every label of every sample anew: with 200 endpoints that was most
of a scrape, and this worker answers nothing else meanwhile.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Type = Literal["counter", "gauge", "histogram"]

_SPECIAL: Final = re.compile(r'[\\"\n]')
_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_NAMES: Final = 4096  # that are known escaped: those of all endpoints there can be, and of some routes


class Family:
    """All samples of one metric; `text` says in a sentence what it is.

    The name of a counter ends in `_total`. Each `add` is for other labels.
    """

    __slots__ = ("_labels", "_lines", "name", "text", "type")

    def __init__(self, kind: Type, name: str, text: str, labels: Sequence[str] = ()) -> None:
        self.type = kind
        self.name = name
        self.text = text
        self._labels = labels
        self._lines: list[str] = []

    def __repr__(self) -> str:
        return f"<Family {self.type} {self.name} lines={len(self._lines)}>"

    def add(self, labels: Iterable[str], value: float) -> None:
        """Add a sample; `labels` are values in the order of the names."""
        text = self._text(labels)
        self._lines.append(f"{self.name}{{{text}}} {value!r}" if text else f"{self.name} {value!r}")

    def add_histogram(
        self, labels: Iterable[str], bounds: Iterable[str], counts: Iterable[int], total: float
    ) -> None:
        """Add a histogram.

        `counts` tell how many lie in each bucket, not cumulative; `total` is the sum of what was measured.
        """
        text, lines, name = self._text(labels), self._lines, self.name
        start, count = f'{name}_bucket{{{text},le="', 0
        for bound, count in zip(bounds, accumulate(counts), strict=True):
            lines.append(f'{start}{bound}"}} {count}')
        lines.append(f"{name}_count{{{text}}} {count}")
        lines.append(f"{name}_sum{{{text}}} {total!r}")

    def _text(self, labels: Iterable[str]) -> str:
        return ",".join(
            [f'{name}="{_escaped(value)}"' for name, value in zip(self._labels, labels, strict=True)]
        )

    def lines(self, *, openmetrics: bool) -> list[str]:
        """Return what a scrape gets to see."""
        name = self.name
        if openmetrics and self.type == "counter":
            name = name.removesuffix("_total")  # which is part of the samples' names only
        return [f"# HELP {name} {self.text}", f"# TYPE {name} {self.type}", *self._lines]


def single(kind: Type, name: str, text: str, value: float) -> Family:
    """Return a metric that has no labels."""
    family = Family(kind, name, text)
    family.add((), value)
    return family


def encode(families: Iterable[Family], *, openmetrics: bool) -> bytes:
    """Return the body of a scrape."""
    lines = [line for family in families for line in family.lines(openmetrics=openmetrics)]
    if openmetrics:
        lines.append("# EOF")
    lines.append("")
    return "\n".join(lines).encode()


def bound_names(bounds: Iterable[float]) -> tuple[str, ...]:
    """Return how the buckets of a histogram are called."""
    return (*map(str, bounds), "+Inf")


@lru_cache(_NAMES)
def _escaped(value: str) -> str:
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value)
