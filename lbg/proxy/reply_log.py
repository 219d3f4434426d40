"""The lines of the general log about answers that lbg makes itself: a flood of one kind is counted."""

from __future__ import annotations

import logging
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from lbg.state.gcra import Rate, advance
from lbg.telemetry.received import as_received

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.errors import LocalReply
    from lbg.proxy.client import Clients
    from lbg.proxy.record import Record

log = logging.getLogger("lbg.proxy")

_SECOND: Final = 1_000_000_000  # ns
LINES: Final = Rate.of(5, _SECOND, 9)
"""Of one route and reason."""


class ReplyLog:
    """Tells of what lbg or a backend is at fault for as a warning, and of what clients cause for debugging.

    Of the warnings about one route and reason only `LINES` are written; the next one counts those left out.
    `clock` gives CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._due: dict[tuple[str, str], int] = {}  # by route and reason: TAT
        self._left_out: dict[tuple[str, str], int] = {}

    def tell(self, cause: LocalReply, environ: dict[str, Any], record: Record, clients: Clients) -> None:
        """Write a line about a reply, or count it."""
        level = logging.DEBUG if cause.reason.refused else logging.WARNING
        if not log.isEnabledFor(level):
            return
        key = (record.route.name if record.route is not None else "", cause.reason.code)
        if level == logging.WARNING and not self._has_room(key):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        left_out = self._left_out.pop(key, 0)
        came = as_received(environ)
        extra: dict[str, Any] = {"request_id": record.request_id, "reason": cause.reason.code}
        if record.pool is not None:
            extra["pool"] = record.pool.name
        if left_out:
            extra["left_out"] = left_out
        log.log(
            level,
            "%d %s: %s: %s %s: %s%s",
            cause.status,
            cause.reason,
            record.client or clients.address(environ),
            _printable(came["REQUEST_METHOD"]),
            _printable(_path(came)),
            record.story() or cause.detail,
            f" (and {left_out} more like it before)" if left_out else "",
            extra=extra,
        )

    def _has_room(self, key: tuple[str, str]) -> bool:
        self._due[key], early = advance(self._due.get(key, 0), self._clock(), LINES.interval, LINES.tolerance)
        return not early


def _path(environ: dict[str, Any]) -> str:
    """Return the path as it came, without the query: that may be a secret."""
    target: str = environ.get("RAW_URI") or environ.get("PATH_INFO", "")
    return target.partition("?")[0]


def _printable(text: str) -> str:
    """Return `text` so that it cannot forge a line of the log or a colour on the terminal."""
    return text[:200].encode("unicode_escape").decode("ascii")
