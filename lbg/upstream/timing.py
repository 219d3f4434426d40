"""What one request says about how long its endpoint takes to answer."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from time import monotonic, time
from typing import TYPE_CHECKING, Any, Final

from lbg.upstream.body import Upload

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.balancing.latency import Latency

_TOO_MANY: Final = 429
_SERVER_ERROR: Final = 500
_MAX_DIGITS: Final = 10  # of a Retry-After; int() refuses thousands


class Timing:
    """Feeds `latency` with how one request goes, which is under way from now on.

    What counts is the time from when the endpoint has the whole request to its response head.
    """

    __slots__ = ("_began", "_latency", "_over", "_whole")

    def __init__(self, latency: Latency) -> None:
        latency.asked += 1
        self._latency = latency
        self._began = monotonic()
        self._whole = True
        self._over = False

    def sent(self, *, whole: bool = True) -> None:
        """Note that the head is sent, or all of the request."""
        self._began = monotonic()
        self._whole = whole

    def answered(self, status: int, headers: Iterable[tuple[str, str]]) -> None:
        """Take in a response head."""
        now = monotonic()
        took = self._took(now)
        if status >= _SERVER_ERROR or status == _TOO_MANY:
            self._latency.failed(took, now, retry_after(headers))
        else:
            self._latency.answered(took, now)

    def failed(self) -> None:
        """Take in that there was no answer, or that it was cut."""
        now = monotonic()
        self._latency.failed(self._took(now), now)

    def given_up(self) -> None:
        """Take in that nobody waits any longer."""
        now = monotonic()
        self._latency.given_up(self._took(now), now)

    def dropped(self) -> None:
        """Take in nothing: what happened was no doing of the endpoint."""
        self._took(0.0)

    def _took(self, now: float) -> float:
        """End the measuring; return its seconds, 0 when it never began or has ended before.

        An answer within 0 s changes no cost.
        """
        if self._over:
            return 0.0
        self._over = True
        self._latency.asked -= 1
        return now - self._began if self._whole else 0.0


class TimedUpload(Upload):
    """An upload whose end is noted: how long a client takes to send says nothing about the endpoint."""

    __slots__ = ("_timing",)

    def __init__(self, timing: Timing, *args: Any, **options: Any) -> None:
        self._timing = timing
        super().__init__(*args, **options)

    def _write_body(self) -> None:
        super()._write_body()
        self._timing.sent()


def retry_after(headers: Iterable[tuple[str, str]]) -> float:
    """Return the seconds of a Retry-After field, 0 when there is none that can be read.

    It holds seconds or a date (RFC 9110 section 10.2.3).
    """
    value = next((value for name, value in headers if name.lower() == "retry-after"), "").strip()
    if value.isdecimal() and value.isascii():
        return float(value) if len(value) <= _MAX_DIGITS else 0.0
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time())
    except (ValueError, OverflowError):
        return 0.0
