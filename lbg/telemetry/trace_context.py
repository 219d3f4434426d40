"""W3C Trace Context, level 1: the trace that a request belongs to, and what the next hop is told of it."""

from __future__ import annotations

import re
from random import getrandbits
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

FIELDS: Final = frozenset({b"traceparent", b"tracestate"})
"""The names of its two fields, in lower case."""

# Section 3.2.2: version, trace id, parent id, flags. A later version may say more behind them.
_PARENT: Final = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_SAMPLED: Final = 1
# Section 3.3.1: members apart by commas, which may be empty; a value does not end in a space.
_MEMBER: Final = re.compile(
    r"[ \t]*(?:(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~][ \t]*)?"
)
_MEMBERS: Final = 32
_HALF: Final = 64  # bits


class Parent(NamedTuple):
    """Who sent a request: its trace and the span there, in hexadecimal, and whether it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool


def parent_of(value: str | None) -> Parent | None:
    """Return what a `traceparent` says, None without one or with one that is not valid."""
    match = _PARENT.fullmatch(value) if value is not None else None
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "00" and more is not None:
        return None
    return Parent(trace_id, span_id, bool(int(flags, 16) & _SAMPLED))


def state_of(value: str) -> str:
    """Return a `tracestate` as it came, "" for one that is not valid or has too many members.

    Fields that came repeatedly are one value, apart by commas.
    """
    members = value.split(",")
    if len(members) > 2 * _MEMBERS:  # with empty ones; looking at 64 KB of commas would take a while
        return ""
    if not all(_MEMBER.fullmatch(member) for member in members):
        return ""
    count = sum(1 for member in members if member.strip(" \t"))
    return value if 0 < count <= _MEMBERS else ""


class TraceContext:
    """The part of lbg in the trace of one request: a span for it, and one for each attempt.

    Ids are hexadecimal in `trace_id` and `parent_id`, which is "" where the trace begins here, and numbers
    elsewhere. `state` is the `tracestate`.
    """

    __slots__ = ("parent_id", "sampled", "span_id", "state", "trace_id")

    def __init__(self, trace_id: str, parent_id: str, state: str, *, sampled: bool) -> None:
        self.trace_id = trace_id
        self.parent_id = parent_id
        self.state = state
        self.sampled = sampled
        # So that neither it nor those of some attempts behind it are 0 or too long.
        self.span_id = getrandbits(_HALF - 1) + 1

    def __repr__(self) -> str:
        return f"<TraceContext {self.trace_id} {'sampled' if self.sampled else 'not sampled'}>"

    def attempt_id(self, number: int) -> int:
        """Return the id of the span of an attempt; `number` is that of the attempts before it.

        They follow each other, so that none has to be kept: few attempts know what was sent for them.
        """
        return self.span_id + 1 + number

    def lines(self, number: int) -> bytes:
        """Return the header lines that tell an endpoint of its attempt."""
        return self._lines(self.attempt_id(number))

    def own_lines(self) -> bytes:
        """Return the same for what lbg itself asks because of the request, which has no span."""
        return self._lines(self.span_id)

    def _lines(self, span_id: int) -> bytes:
        line = f"traceparent: 00-{self.trace_id}-{span_id:016x}-{'01' if self.sampled else '00'}\r\n"
        if self.state:
            line += f"tracestate: {self.state}\r\n"
        return line.encode("ascii")


class TraceContexts:
    """Begins the part of lbg in the trace of each request, or a trace where there is none.

    `ratio` is the share of new traces that is recorded; the same traces in all processes, and in all that
    decide as the SDKs of OpenTelemetry do (TraceIdRatioBased). Whether others are is said by their parent.
    `trusts` tells whether a request's own word on its trace is taken, None takes everybody's.
    """

    def __init__(self, ratio: float, trusts: Callable[[dict[str, Any]], bool] | None = None) -> None:
        self._bound = round(ratio * (1 << _HALF))
        self._trusts = trusts

    def begin(self, environ: dict[str, Any]) -> TraceContext:
        """Return the trace of the request with this environ."""
        parent = parent_of(environ.get("HTTP_TRACEPARENT"))
        if parent is None or (self._trusts is not None and not self._trusts(environ)):
            high, low = getrandbits(_HALF), getrandbits(_HALF) or 1
            return TraceContext(f"{high:016x}{low:016x}", "", "", sampled=low < self._bound)
        state = environ.get("HTTP_TRACESTATE")
        return TraceContext(
            parent.trace_id, parent.span_id, state_of(state) if state else "", sampled=parent.sampled
        )
