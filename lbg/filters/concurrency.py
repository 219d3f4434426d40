"""`concurrency`: so many requests of a key in flight at once, exact over all workers."""

from __future__ import annotations

import logging
from time import monotonic_ns
from typing import TYPE_CHECKING

from lbg.errors import LocalReply
from lbg.filters.limit_key import limit_key
from lbg.filters.minutely import Minutely
from lbg.state.holder import FULL, UNCOUNTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lbg.config.filters import ConcurrencyConfig
    from lbg.filters.tools import Environ, StartResponse, Tools

log = logging.getLogger("lbg.limits")


class Concurrency:
    """Answers 429 with `rate_limited` what is beyond the limit; a request counts until its response is over.

    A fault of the shared buckets lets requests pass.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: ConcurrencyConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._name = tools.name
        self._reply = tools.reply
        self._key = limit_key(config.key)
        self._holder = tools.buckets.holder(tools.name, config.limit)
        self._faults = Minutely()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        place = self._acquire(self._key(environ))
        if place == FULL:
            cause = LocalReply(
                "rate_limited",
                "Too many requests are under way; the next one is welcome when one of them is over.",
                headers=(("Retry-After", "1"),),
            )
            return self._reply(cause, environ, start_response)
        if place == UNCOUNTED:
            return self._app(environ, start_response)
        try:
            body = self._app(environ, start_response)
        except BaseException:
            self._release(place)
            raise
        if not hasattr(body, "__iter__"):  # what the stock worker wants after an upgrade is no body
            self._release(place)
            return body
        return _Held(body, lambda: self._release(place))

    def _acquire(self, key: bytes) -> int:
        try:
            return self._holder.acquire(key)
        except Exception as fault:  # noqa: BLE001 - the service is worth more than its limits
            self._tell(fault)
            return UNCOUNTED

    def _release(self, place: int) -> None:
        try:
            self._holder.release(place)
        except Exception as fault:  # noqa: BLE001 - the response is there
            self._tell(fault)

    def _tell(self, fault: Exception) -> None:
        count = self._faults.count(monotonic_ns())
        if count:
            log.error(
                "limit %s does not count, %d times since the last such line: %r", self._name, count, fault
            )


class _Held:
    """A body whose end is the end of a request; `relay_to` is that of the body, None if it has none."""

    __slots__ = ("_body", "_end", "relay_to")

    def __init__(self, body: Iterable[bytes], end: Callable[[], None]) -> None:
        self._body = body
        self._end: Callable[[], None] | None = end
        self.relay_to = getattr(body, "relay_to", None)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        """Close the body and count it no more; further calls do nothing."""
        end, self._end = self._end, None
        if end is None:
            return
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            end()
