"""How long an endpoint has taken to answer of late: an average that follows a peak at once.

Peak EWMA of finagle (PeakEwma.scala): what takes longer than the average replaces it, what takes less
moves it the closer the longer ago the last one was. So one slow answer is enough to turn requests away,
and it takes time, not just a few fast answers, to get them back.
"""

from __future__ import annotations

from math import exp
from typing import Final

TAU: Final = 10.0  # seconds after which an old cost counts for 1/e
UNKNOWN: Final = 1e9  # seconds; more than anything that can be measured
_FAILURE: Final = 5.0  # seconds that a failure counts for, however fast it was
_LONGEST: Final = 300.0  # seconds of a Retry-After that are believed


class Latency:
    """The cost in seconds of one endpoint as this worker sees it; times are CLOCK_MONOTONIC seconds.

    `asked` is how many requests of this worker are under way there. It is kept apart from the policy,
    which is built anew when endpoints come and go.
    """

    __slots__ = ("_cost", "_stamp", "asked")

    def __init__(self) -> None:
        self.asked = 0
        self._cost = 0.0
        self._stamp = 0.0

    def __repr__(self) -> str:
        return f"<Latency {self._cost:.4g} s at {self._stamp:.3f}, {self.asked} asked>"

    def answered(self, seconds: float, now: float) -> None:
        """Take in that a request took `seconds`."""
        if seconds > self._cost:
            self._cost = seconds
        else:
            old = exp(min(self._stamp - now, 0.0) / TAU)
            self._cost = self._cost * old + seconds * (1.0 - old)
        self._stamp = now

    def failed(self, seconds: float, now: float, retry_after: float = 0.0) -> None:
        """Take in a failure after `seconds`: it counts for as long as it asks us to stay away.

        Else an endpoint that refuses everything at once would be the fastest of all.
        """
        self.answered(max(seconds, min(retry_after, _LONGEST) or _FAILURE), now)

    def given_up(self, seconds: float, now: float) -> None:
        """Take in that nobody waited longer than `seconds`: it would have taken at least as long."""
        if seconds > self.at(now):
            self.answered(seconds, now)

    def at(self, now: float) -> float:
        """Return the cost at `now`: 0 for one never measured, so that it is tried, with one request first."""
        if self._cost:
            return self._cost * exp(min(self._stamp - now, 0.0) / TAU)
        return UNKNOWN if self.asked else 0.0
