"""A request that is over as one line of JSON.

By a format string, in a quarter of the time that the formatter of the general log takes for such a line (6 µs
and 24): this runs for each request.
"""

from __future__ import annotations

from json.encoder import encode_basestring_ascii
from time import gmtime, strftime
from typing import TYPE_CHECKING, Final

from lbg.telemetry.received import as_received

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.telemetry.access_log_entry import Entry
    from lbg.telemetry.record import Attempt

LONGEST: Final = 4096
"""Bytes of a line; so many go through a pipe in one piece."""

# Characters that a value may have and attempts that are told, in steps until the line is short enough.
_STEPS: Final = ((1024, 16), (128, 8), (16, 1), (16, 0))
_WORDS: Final = {None: "null", True: "true", False: "false"}

# Leaves printable ASCII only: no value can forge a line or reach a terminal.
_quoted: Final = encode_basestring_ascii


class JsonLine:
    """Returns the line of an entry; remembers the second it wrote last."""

    def __init__(self) -> None:
        self._second = 0
        self._date = ""

    def __call__(self, entry: Entry) -> str:
        """Return the line with its line feed: ASCII, at most `LONGEST` bytes, long values cut."""
        now = self._date_of(entry.ended)
        line = _line(entry, now, *_STEPS[0])
        for longest, attempts in _STEPS[1:]:
            if len(line) <= LONGEST:
                break
            line = _line(entry, now, longest, attempts)
        return line

    def _date_of(self, now: float) -> str:
        second = int(now)
        if second != self._second:
            self._second = second
            self._date = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second))
        return f"{self._date}.{int((now - second) * 1000):03d}Z"


def _line(entry: Entry, now: str, longest: int, told: int) -> str:
    record = entry.record
    get = as_received(entry.environ).get
    attempts = record.attempts
    ttfb, upstream = _upstream_times(attempts, record.began)
    took = entry.took
    return (
        f'{{"ts":"{now}","request_id":{_text(record.request_id or None, longest)},'
        f'"client_ip":{_text(entry.client, longest)},"peer_ip":{_text(get("REMOTE_ADDR"), longest)},'
        f'"method":{_text(get("REQUEST_METHOD"), longest)},"host":{_text(get("HTTP_HOST"), longest)},'
        f'"path":{_text(entry.path or None, longest)},"query":{_text(get("QUERY_STRING"), longest)},'
        f'"proto":{_text(get("SERVER_PROTOCOL"), longest)},"status":{entry.status},'
        f'"reason":{_quoted(entry.reason) if entry.reason else "null"},'
        f'"route":{_quoted(record.route.name) if record.route else "null"},'
        f'"pool":{_quoted(record.pool.name) if record.pool else "null"},'
        f'"endpoint":{_quoted(record.endpoint.name) if record.endpoint else "null"},'
        f'"attempts":[{",".join([_attempt(one) for one in attempts[-told:]]) if told else ""}],'
        f'"queue_ms":{record.queued * 1000:.3f},"ttfb_ms":{ttfb},"total_ms":{took * 1000:.3f},'
        f'"overhead_ms":{max(0.0, took - record.queued - upstream) * 1000:.3f},'
        f'"bytes_in":{entry.received},"bytes_out":{entry.sent},'
        f'"sticky":{_WORDS[record.sticky]},"user_agent":{_text(get("HTTP_USER_AGENT"), longest)},'
        f'"referer":{_text(get("HTTP_REFERER"), longest)},"trace_id":{_trace_id(entry)}}}\n'
    )


def _text(value: str | None, longest: int) -> str:
    if value is None:
        return "null"
    return _quoted(value) if len(value) <= longest else _quoted(f"{value[:longest]}…")


def _upstream_times(attempts: Sequence[Attempt], began: float) -> tuple[str, float]:
    """Return the milliseconds from `began` to the response head, or null, and the seconds of all attempts."""
    if not attempts:
        return "null", 0.0
    last = attempts[-1]
    ttfb = f"{(last.began + last.ttfb - began) * 1000:.3f}" if last.ttfb else "null"
    return ttfb, last.took if len(attempts) == 1 else sum([one.took for one in attempts])


def _attempt(one: Attempt) -> str:
    return (
        f'{{"endpoint":{_quoted(one.endpoint.name)},"status":{one.status or "null"},'
        f'"error":{_quoted(one.error.reason.code) if one.error else "null"},'
        f'"connect_ms":{one.connect * 1000:.3f},"ttfb_ms":{f"{one.ttfb * 1000:.3f}" if one.ttfb else "null"},'
        f'"ms":{one.took * 1000:.3f},"reused":{"true" if one.reused else "false"}}}'
    )


def _trace_id(entry: Entry) -> str:
    trace_id = entry.trace_id
    return f'"{trace_id}"' if trace_id else "null"
