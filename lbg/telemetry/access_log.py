"""The access log: which requests get a line, how it looks, and what is said when lines are lost."""

from __future__ import annotations

import logging
import select
import sys
from random import random
from time import time
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent.monkey import get_original

from lbg.config.log_fields import logged_statuses
from lbg.http.replies import accepted, make_reply
from lbg.telemetry.access_log_console import ConsoleLine
from lbg.telemetry.access_log_entry import Entry
from lbg.telemetry.access_log_json import JsonLine
from lbg.telemetry.ending import ending
from lbg.telemetry.log_target import LogTarget
from lbg.telemetry.log_writer import LogWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lbg.config.schema import LogConfig
    from lbg.errors import LocalReply
    from lbg.telemetry.record import Record

log = logging.getLogger("lbg.access")

_FLUSH: Final = 1.0  # seconds that lines which wait get at a stop
_COMPLAINT_INTERVAL: Final = 60.0  # seconds between two lines of the general log about lost ones
_NEVER: Final = -1.0
_CLIENT_ERROR: Final = 400
# Requests whose lines are made at once: one after the other they take half of the time that each takes alone,
# when the processor's caches are full of other things. And what 0.2 ms take, other requests wait.
_TOGETHER: Final = 32

_poll: Final = get_original("select", "poll")


class AccessLog:
    """Told of each request that is over, it hands a line to the writer.

    `shares` has the `access_log` of each route, by name; `address` finds the client of a request that nobody
    has asked for it.
    """

    def __init__(
        self,
        config: LogConfig,
        shares: Mapping[str, bool | float | None],
        address: Callable[[dict[str, Any]], str],
        writer: LogWriter,
        line: Callable[[Entry], str],
    ) -> None:
        self._rate = config.access_sample
        self.adopt(shares)
        self._always = logged_statuses(config.access_always)
        self._address = address
        self._writer = writer
        self._line = line
        self._entries: list[Entry] = []
        self._told = 0
        self._next_complaint = 0.0

    @classmethod
    def of(
        cls,
        config: LogConfig,
        shares: Mapping[str, bool | float | None],
        address: Callable[[dict[str, Any]], str],
    ) -> AccessLog | None:
        """Return what the configuration asks for, None when that is no access log."""
        if not config.access:
            return None
        target = LogTarget(config.access_file)
        if target.closed:
            log.warning("there is no access log: stdout is closed, and log.access_file is not set")
            return None
        as_json = config.format == "json" or (config.format == "auto" and not target.terminal)
        line = JsonLine() if as_json else ConsoleLine(colours=target.terminal)
        return cls(config, shares, address, LogWriter(target), line)

    @property
    def lost(self) -> int:
        """The lines that were not written: their place was full, too slow, or gone."""
        return self._writer.lost

    def adopt(self, shares: Mapping[str, bool | float | None]) -> None:
        """Go by the `access_log` of other routes from now on."""
        self._rates = {name: _rate(share) for name, share in shares.items() if share is not None}

    def log(self, environ: dict[str, Any], record: Record, status: int, sent: int, took: float) -> None:
        """Log a request that is over; `sent` are the bytes of the response's body, `took` is seconds."""
        reason = record.reason.code if record.reason is not None else ""
        if not status or "lbg.cut" in environ or "lbg.fault" in environ:
            status, cause = ending(environ, status)
            reason = cause.code if cause is not None else ""
            if "lbg.fault" in environ:
                sent = _replied(environ, record.request_id)
        rate = self._rate
        if self._rates and record.route is not None:
            rate = self._rates.get(record.route.name, rate)
        if rate == _NEVER or (rate < 1.0 and random() >= rate and not self._is_kept(status, reason)):  # noqa: S311
            return
        client = environ.get("lbg.client")
        received = client.request.received if client is not None else 0
        self._entries.append(Entry(environ, record, status, reason, sent, received, took, time()))
        # Other servers may have no loop whose tick comes for the rest.
        if len(self._entries) >= _TOGETHER or client is None:
            self._hand_over()

    def _is_kept(self, status: int, reason: str) -> bool:
        """Return whether a request is logged whatever the share: by its status, or since it was cut."""
        return status in self._always or (bool(self._always) and bool(reason) and status < _CLIENT_ERROR)

    def _hand_over(self) -> None:
        entries, self._entries = self._entries, []
        for entry in entries:
            entry.client = entry.record.client or self._address(entry.environ)
            self._writer.put(self._line(entry))

    def refused(self, cause: LocalReply, environ: dict[str, Any], record: Record) -> None:
        """Log a request that never reached the application; `environ` may lack any key of it."""
        self.log({**environ, "lbg.fault": cause}, record, 0, 0, 0.0)

    def tick(self, now: float) -> None:
        """Write what came since the last tick; say at most once a minute that lines were lost.

        `now` is CLOCK_MONOTONIC seconds.
        """
        self._hand_over()
        lost = self._writer.lost
        if lost == self._told or now < self._next_complaint or not _stderr_takes_a_line():
            return
        self._next_complaint = now + _COMPLAINT_INTERVAL
        count, self._told = lost - self._told, lost
        gevent.spawn(
            log.warning,
            "lost %d %s of the access log: %s",
            count,
            "line" if count == 1 else "lines",
            self._writer.trouble,
            extra={"lost": count},
        )

    def reopen(self) -> None:
        """Go on in a new file, the old one may have been moved."""
        self._hand_over()
        self._writer.reopen()

    def close(self) -> None:
        """Write what waits, for a second at most."""
        self._hand_over()
        self._writer.close(_FLUSH)


def _replied(environ: dict[str, Any], request_id: str) -> int:
    """Return the bytes of the body that the server answered with in place of the application."""
    if environ.get("REQUEST_METHOD") == "HEAD":
        return 0
    return len(make_reply(environ["lbg.fault"], accepted(environ), request_id).body)


def _rate(share: bool | float) -> float:
    if isinstance(share, bool):
        return 1.0 if share else _NEVER
    return share


def _stderr_takes_a_line() -> bool:
    """Return False when stderr may be the same stopped pipe: a warning would stop this worker as well."""
    if sys.__stderr__ is None:
        return True
    waiting = _poll()
    waiting.register(2, select.POLLOUT)
    return bool(waiting.poll(0))
