"""How many retries a pool can afford: without a bound, they multiply the load of an outage."""

from __future__ import annotations

from lbg.upstream.window import Window


class RetryBudget:
    """Allows retries up to `share` of the requests of the last `window` seconds.

    `floor` retries per second are always allowed, so that a pool with little traffic can retry at
    all; a `share` of 0 leaves just these. Finagle's RetryBudget has the same two numbers.
    """

    __slots__ = ("_least", "_share", "_window")

    def __init__(self, share: float, floor: float = 3.0, window: float = 10.0) -> None:
        self._share = share
        self._least = floor * window
        self._window = Window(window)

    def __repr__(self) -> str:
        return f"<RetryBudget {self._share:.0%} of requests, at least {self._least} in {self._window!r}>"

    def sample(self, now: float, requests: int, retries: int) -> None:
        """Remember the totals of all workers; called about once a second."""
        self._window.sample(now, requests, retries)

    def allows(self, now: float, requests: int, retries: int) -> bool:
        """Return whether one more retry may be made; the arguments are the totals of all workers."""
        (recent, tried), _ = self._window.over(now, requests, retries)
        return tried < max(self._share * recent, self._least)
