"""A named set of endpoints and its policies: which of them a request gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.errors import LbgError
from lbg.upstream.lease import Lease
from lbg.upstream.retry import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Container

    from lbg.balancing.balancer import Balancer
    from lbg.config.schema import PoolConfig
    from lbg.http.headers import ResponseRules
    from lbg.upstream.endpoint import Endpoint


class NoEndpoint(LbgError):
    """No endpoint of the pool is left to try."""


class Pool:
    """Hands out leases in the order of its balancer. Blocks for nothing."""

    __slots__ = (
        "_balancer",
        "endpoints",
        "keep_host",
        "name",
        "replay_buffer",
        "response_rules",
        "retries",
        "timeouts",
        "total_timeout",
    )

    def __init__(
        self,
        name: str,
        config: PoolConfig,
        endpoints: tuple[Endpoint, ...],
        balancer: Balancer[Endpoint],
        rules: ResponseRules,
    ) -> None:
        self.name = name
        self.endpoints = endpoints
        self.retries = RetryPolicy(config.retry.attempts)
        self.timeouts = config.timeouts
        self.total_timeout = config.timeouts.total
        self.replay_buffer = config.retry.buffer
        self.keep_host = config.host == "client"
        self.response_rules = rules
        self._balancer = balancer

    def __repr__(self) -> str:
        return f"<Pool {self.name} {list(self.endpoints)}>"

    def acquire(self, key: bytes | None, tried: Container[Endpoint], now: float) -> Lease:
        """Return a lease on the best endpoint not in `tried`. Raises NoEndpoint."""
        for endpoint in self._balancer.order(key, now):
            if endpoint not in tried:
                return Lease(self, endpoint)
        raise NoEndpoint(self.name)

    def retire_idle(self, now: float) -> None:
        """Close connections that rested for too long; `now` is CLOCK_MONOTONIC seconds."""
        for endpoint in self.endpoints:
            endpoint.idle.retire(now)
