"""Limits around an application, with buckets of the test's own and a clock to set."""

from collections.abc import Callable, Iterable
from ipaddress import ip_network
from types import MappingProxyType
from typing import Any
from unittest.mock import Mock

from lbg.config.filters import ConcurrencyConfig, RateLimitConfig
from lbg.filters.concurrency import Concurrency
from lbg.filters.rate_limit import RateLimit
from lbg.filters.tools import Tools
from lbg.http.forwarded import Forwarding
from lbg.proxy.client import Clients
from lbg.proxy.local_replies import LocalReplies
from lbg.state.bucket_memory import BucketMemory
from lbg.state.buckets import Buckets
from tests.unit.filters.around import Answer, Environ, Field, Fields, environ_of
from tests.unit.state.limits import START

_CLIENTS = Clients(Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False))
_REPLIES = LocalReplies(_CLIENTS, MappingProxyType({}))


class Application:
    """Answers "ok"; counts its calls."""

    def __init__(self) -> None:
        self.calls = 0
        self.headers: Fields = [("Content-Length", "2")]
        self.body: Callable[[], Iterable[bytes]] = lambda: [b"ok"]

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        self.calls += 1
        start_response("200 OK", self.headers)
        return self.body()


class Limits:
    """Makes filters that share buckets and a clock, in ns."""

    def __init__(self) -> None:
        self.now = START
        self.memory = BucketMemory.private()
        self.buckets = Buckets(self.memory, 0, lambda: self.now)

    def tools(self, name: str) -> Tools:
        unused = Mock()
        return Tools(
            name=name,
            route="shop",
            reply=_REPLIES.reply,
            send=unused,
            pools={},
            heads=unused,
            clients=_CLIENTS,
            buckets=self.buckets,
        )

    def rate_limit(self, app: Any, **table: Any) -> RateLimit:
        """Return a filter for 10 requests a second, 3 at once."""
        config = RateLimitConfig.model_validate(
            {"use": "rate_limit", "rate": "10/s", "burst": 2, "headers": "off", **table}
        )
        return RateLimit(app, config, self.tools(config.name or "shop#0"), lambda: self.now)

    def concurrency(self, app: Any, **table: Any) -> Concurrency:
        """Return a filter for one request at once."""
        config = ConcurrencyConfig.model_validate({"use": "concurrency", "limit": 1, **table})
        return Concurrency(app, config, self.tools(config.name or "shop#0"))


def call(filtered: Any, *fields: Field, **more: Any) -> Answer:
    """Return the answer to a request; `more` is for `environ_of`."""
    environ = environ_of("/", *fields, **more)
    started: list[tuple[str, Fields]] = []

    def start_response(status: str, headers: Fields, exc_info: Any = None) -> None:
        started.append((status, headers))

    result = filtered(environ, start_response)
    body = b"".join(result)
    if hasattr(result, "close"):
        result.close()
    ((status, headers),) = started
    return Answer(status, headers, body, environ)


def codes(filtered: Any, times: int, *fields: Field, **more: Any) -> list[int]:
    """Return the statuses of so many requests."""
    return [call(filtered, *fields, **more).code for _ in range(times)]
