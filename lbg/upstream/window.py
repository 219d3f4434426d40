"""How much running totals have grown over the last seconds."""

from __future__ import annotations

from collections import deque


class Window:
    """Samples of totals that only grow, taken about once a second; times are seconds."""

    __slots__ = ("_samples", "_seconds")

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._samples: deque[tuple[float, tuple[int, ...]]] = deque()

    def __repr__(self) -> str:
        return f"<Window of {self._seconds} s, {len(self._samples)} samples>"

    def sample(self, now: float, *totals: int) -> None:
        """Remember `totals`, always as many of them, and forget what is older than the window."""
        self._forget(now)
        self._samples.append((now, totals))

    def over(self, now: float, *totals: int) -> tuple[tuple[int, ...], float]:
        """Return how much each total has grown over the window, and how many seconds that spans.

        That reaches back to the youngest sample that is at least as old as the window, or to the
        first one ever. Before the first sample all are 0.
        """
        self._forget(now)
        if not self._samples:
            return (0,) * len(totals), 0.0
        began, then = self._samples[0]
        return tuple(new - old for new, old in zip(totals, then, strict=True)), now - began

    def _forget(self, now: float) -> None:
        # The youngest of the old ones stays: without it the window would be up to a sample too short.
        samples, oldest = self._samples, now - self._seconds
        while len(samples) > 1 and samples[1][0] <= oldest:
            samples.popleft()
