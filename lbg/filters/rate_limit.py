"""`rate_limit`: so many requests for each key, exact over all workers, and bans for those who go on."""

from __future__ import annotations

import logging
from functools import lru_cache
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final

from lbg.errors import LocalReply
from lbg.filters.access import Networks
from lbg.filters.limit_key import is_secret, limit_key
from lbg.filters.minutely import Minutely
from lbg.filters.rate_fields import RateFields, seconds
from lbg.state.gcra import Rate
from lbg.state.limiter import Outcome, RateRule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import RateLimitConfig
    from lbg.filters.rate_fields import Headers
    from lbg.filters.tools import Environ, StartResponse, Tools

log = logging.getLogger("lbg.limits")

_SECOND: Final = 1_000_000_000
_REMEMBERED: Final = 4096  # clients
_PASSED: Final = Outcome.PASSED
_REJECTED: Final = Outcome.REJECTED


class RateLimit:
    """Answers 429 with `rate_limited` or `banned` what is beyond the rate.

    A fault of the shared buckets lets requests pass. `clock` gives CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: RateLimitConfig,
        tools: Tools,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        limit = config.limit
        self._rate = Rate.of(limit.count, limit.period_ns, config.burst)
        self._app = app
        self._name = tools.name
        self._reply = tools.reply
        self._clock = clock
        self._key = limit_key(config.key)
        networks = Networks(config.allow, (), default=False)
        self._allows = lru_cache(_REMEMBERED)(networks.allow) if config.allow else None
        self._limiter = tools.buckets.limiter(
            RateRule(
                tools.name,
                self._rate,
                config.ban_after,
                round(config.ban * _SECOND),
                secret=is_secret(config.key),
                dry_run=config.dry_run,
            )
        )
        self._hit = self._limiter.hit
        self._fields = RateFields(config.headers, config.name or "default", limit, self._rate)
        self._plain = config.headers == "off"
        self._dry_run = config.dry_run
        self._faults = Minutely()
        self._would_reject = Minutely()
        self._bans = Minutely()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        if self._allows is not None and self._allows(environ["lbg.exchange"].client):
            return self._app(environ, start_response)
        key, now = self._key(environ), self._clock()
        try:
            outcome, time = self._hit(key, now)
        except Exception as fault:  # noqa: BLE001 - the service is worth more than its limits
            self._tell_fault(fault, now)
            return self._app(environ, start_response)
        if self._dry_run:
            if outcome is not _PASSED:
                self._tell_dry_run(now)
            return self._app(environ, start_response)
        if outcome is _PASSED:
            if self._plain:
                return self._app(environ, start_response)
            return self._app(environ, self._telling(start_response, self._fields.of(time, now)))
        if outcome is _REJECTED:
            return self._reply(self._rejection(time, now), environ, start_response)
        if outcome is Outcome.NEWLY_BANNED:
            self._tell_ban(key, time, now)
        return self._reply(self._ban(time, now), environ, start_response)

    def _telling(self, start_response: StartResponse, fields: Headers) -> StartResponse:
        added = self._fields.added

        def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
            return start_response(status, added(headers, fields), exc_info)

        return start

    def _rejection(self, tat: int, now: int) -> LocalReply:
        wait = seconds(tat - now - self._rate.tolerance)
        return LocalReply(
            "rate_limited",
            f"Too many requests; the next one is welcome in {wait} s.",
            headers=(("Retry-After", str(wait)), *self._fields.of(tat, now)),
        )

    def _ban(self, until: int, now: int) -> LocalReply:
        wait = seconds(until - now)
        return LocalReply(
            "banned",
            f"This client is banned for another {wait} s.",
            headers=(("Retry-After", str(wait)), *self._fields.of_banned(until - now)),
        )

    def _tell_ban(self, key: bytes, until: int, now: int) -> None:
        count = self._bans.count(now)
        if count:
            more = f"; {count} bans since the last such line" if count > 1 else ""
            shown = self._limiter.shown(key)
            log.warning("limit %s: %s is banned for %d s%s", self._name, shown, seconds(until - now), more)

    def _tell_dry_run(self, now: int) -> None:
        count = self._would_reject.count(now)
        if count:
            log.info("limit %s, dry run: would have rejected %d since the last such line", self._name, count)

    def _tell_fault(self, fault: Exception, now: int) -> None:
        count = self._faults.count(now)
        if count:
            log.error("limit %s does not count, %d requests passed: %r", self._name, count, fault)
