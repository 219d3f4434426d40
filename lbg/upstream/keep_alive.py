"""How long an endpoint lets a connection rest: what it says, and what it is seen to do.

A request that crosses the endpoint's close on the wire fails, and one that must not be sent twice
fails for the client. So connections are retired a little before. No I/O; times are seconds.
"""

from __future__ import annotations

import math
from typing import Final

_MARGIN: Final = 1.0  # seconds before the limit, or
_SHARE: Final = 0.2  # this part of it, if that is less
_BRIEF: Final = 1.0  # a connection closed sooner was closed for some other reason
_APART: Final = 0.5  # closes within this time are one event
_ALIKE_SHARE: Final = 0.2
_ALIKE: Final = 0.3
_REMEMBERED: Final = 600.0  # the endpoint may be configured anew


def usable_for(limit: float) -> float:
    """Return how long a connection may rest that the endpoint closes after `limit`."""
    return limit - min(_MARGIN, _SHARE * limit)


class KeepAlive:
    """Learns the limit of one endpoint from the idle connections it closes.

    `usable_for` is how long a connection may rest, infinite while nothing is known. Two closes after
    about the same rest, at different times, teach it. Closes at one time after different rests are a
    restart of the endpoint: they teach nothing, and what was known before may no longer hold.
    """

    __slots__ = ("_forgotten_at", "_latest", "_rested", "_seen_at", "usable_for")

    def __init__(self) -> None:
        self.usable_for = math.inf
        self._forgotten_at = math.inf
        self._latest = -math.inf
        self._seen_at = -math.inf
        self._rested = 0.0

    def __repr__(self) -> str:
        return f"<KeepAlive usable for {self.usable_for} s>"

    def closed(self, now: float, rested: float) -> bool:
        """Note that it closed a connection which had rested so long; return whether that taught the limit."""
        if rested < _BRIEF:
            return False
        together = now - self._latest < _APART
        self._latest = now
        alike = abs(rested - self._rested) <= max(_ALIKE, _ALIKE_SHARE * self._rested)
        if together and not alike:
            self._forget_all()
            return False
        since = now - self._seen_at
        if alike and since < _APART:
            return False
        taught = alike and since <= _REMEMBERED
        if taught:
            self.usable_for = usable_for(min(rested, self._rested))
            self._forgotten_at = now + _REMEMBERED
        self._seen_at, self._rested = now, rested
        return taught

    def _forget_all(self) -> None:
        self._seen_at, self._rested = -math.inf, 0.0
        self.usable_for = self._forgotten_at = math.inf

    def forget(self, now: float) -> None:
        """Forget the limit when it was learned long ago."""
        if self._forgotten_at <= now:
            self.usable_for = self._forgotten_at = math.inf
