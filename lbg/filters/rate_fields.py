"""The response fields that tell a client of its limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from lbg.state.gcra import remaining

if TYPE_CHECKING:
    from lbg.config.filters import Limit
    from lbg.state.gcra import Rate

Headers = list[tuple[str, str]]

_SECOND: Final = 1_000_000_000
_REMAINING: Final = "X-RateLimit-Remaining"
_NUMBER: Final = re.compile("[0-9]{1,18}")
_LEGACY: Final = frozenset({"x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"})


def seconds(nanoseconds: int) -> int:
    """Return whole seconds, rounded up, one at least."""
    return max(1, -(-nanoseconds // _SECOND))


class RateFields:
    """`draft` is draft-ietf-httpapi-ratelimit-headers, `legacy` the X-RateLimit fields, `off` none."""

    __slots__ = ("_legacy", "_off", "_policy", "_rate", "_start")

    def __init__(self, style: Literal["draft", "legacy", "off"], name: str, limit: Limit, rate: Rate) -> None:
        window = seconds(limit.period_ns)
        self._off = style == "off"
        self._legacy = style == "legacy"
        self._rate = rate
        self._start = f'"{name}";r='
        self._policy = ("RateLimit-Policy", f'"{name}";q={limit.count};w={window}')
        if self._legacy:
            self._policy = ("X-RateLimit-Limit", str(limit.count))

    def of(self, tat: int, now: int) -> Headers:
        """Return the fields for a key with this TAT: what is left, and when there is all or more of it."""
        rate = self._rate
        left = remaining(tat, now, rate.interval, rate.tolerance)
        return self._fields(left, tat - now if left else tat - now - rate.tolerance)

    def of_banned(self, nanoseconds: int) -> Headers:
        """Return the fields for a key that is banned for so long."""
        return self._fields(0, nanoseconds)

    def _fields(self, left: int, nanoseconds: int) -> Headers:
        if self._off:
            return []
        time = seconds(nanoseconds)
        if self._legacy:
            return [self._policy, (_REMAINING, str(left)), ("X-RateLimit-Reset", str(time))]
        return [self._policy, ("RateLimit", f"{self._start}{left};t={time}")]

    def added(self, headers: Headers, fields: Headers) -> Headers:
        """Return the headers of a response with ours.

        Those of the draft are lists, where another limit may have its own members; of the legacy
        ones there can be one each, so those of the limit with less left stay.
        """
        if not self._legacy:
            return headers + fields
        others = [value for name, value in headers if name.lower() == _REMAINING.lower()]
        ours = int(fields[1][1])
        if any(_NUMBER.fullmatch(value) and int(value) < ours for value in others):
            return headers
        return [field for field in headers if field[0].lower() not in _LEGACY] + fields
