"""A named set of endpoints and its policies: which of them a request gets."""

from __future__ import annotations

import logging
from time import monotonic
from typing import TYPE_CHECKING, Final

from lbg.errors import LbgError
from lbg.state.layout import Ejection, Header, PoolField
from lbg.upstream.budget import RetryBudget
from lbg.upstream.candidates import Candidates
from lbg.upstream.lease import Lease
from lbg.upstream.outage import outage
from lbg.upstream.queue import Queue
from lbg.upstream.retry import IDEMPOTENT, RetryPolicy
from lbg.upstream.rotation import rotation
from lbg.upstream.sticky import StickyCookies
from lbg.upstream.window import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.balancing.balancer import Balancer
    from lbg.config.pools import PoolConfig
    from lbg.http.headers import ResponseRules
    from lbg.upstream.candidates import Candidate
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.request import UpstreamRequest
    from lbg.upstream.rotation import Policy
    from lbg.upstream.tally import PoolTally

log = logging.getLogger("lbg.upstream")

_EPOCH: Final = int(Header.EPOCH)
_SUSPICION: Final = 0.2  # seconds; the control worker knows after a quarter of that
_SAMPLING: Final = 1.0  # seconds between two looks at the totals


class NoEndpoint(LbgError):
    """No endpoint of the pool is left to try; `why` is told when none was usable in the first place.

    `held` tells that an operator keeps requests away from all of them.
    """

    def __init__(self, why: str = "", *, held: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.held = held


class Busy(LbgError):
    """Every endpoint that is left has as many requests as it may have."""


class Pool:
    """Hands out leases on usable endpoints, in the order of its balancer.

    `queue` is None when no endpoint has a limit, `sticky` without sticky cookies. `failing_open` tells
    that requests are sent although nothing is usable.
    """

    __slots__ = (
        "__weakref__",
        "_budget",
        "_candidates",
        "_cells",
        "_completed",
        "_config",
        "_epoch",
        "_next_sample",
        "_picks",
        "_policy",
        "_requests",
        "_rotation",
        "_tally",
        "_view",
        "endpoints",
        "failing_open",
        "keep_host",
        "name",
        "queue",
        "replay_buffer",
        "response_rules",
        "retries",
        "sticky",
        "timeouts",
        "total_timeout",
    )

    def __init__(
        self,
        name: str,
        config: PoolConfig,
        endpoints: tuple[Endpoint, ...],
        policy: Policy,
        rules: ResponseRules,
        tally: PoolTally,
    ) -> None:
        self.name = name
        self.endpoints = endpoints
        self.retries = RetryPolicy.of(config.retry)
        self.timeouts = config.timeouts
        self.total_timeout = config.timeouts.total
        self.replay_buffer = config.retry.buffer
        self.keep_host = config.host == "client"
        self.response_rules = rules
        limited = any(endpoint.max_requests for endpoint in endpoints)
        self.queue = Queue(config.queue, tally) if limited else None
        self.sticky = StickyCookies(config.sticky, name, endpoints) if config.sticky is not None else None
        self._config = config
        self._policy = policy
        self._tally = tally
        self._candidates = Candidates(tally.cells, config)
        self._cells = tally.cells
        self._view = tally.cells.view
        self._requests = tally.index(PoolField.REQUESTS)
        self._budget = RetryBudget(config.retry.budget)
        self._completed = Window()
        self._next_sample = 0.0
        self._picks = max((endpoint.picked for endpoint in endpoints), default=0)
        self.failing_open = False
        now = monotonic()
        self.refresh(now)
        self._budget.sample(now, *self._totals())  # what was before this worker is not in its window

    def succeed(self, before: Pool) -> None:
        """Take the place of `before`, of another configuration: requests in its queue keep their turn."""
        if self.queue is not None and before.queue is not None:
            self.queue = before.queue
            self.queue.adopt(self._config.queue)

    def follow(self, after: Pool) -> None:
        """Send requests that are here already to the endpoints of `after`, which takes the place of this."""
        self.endpoints = after.endpoints
        self._policy = after._policy
        self._picks = after._picks
        self.refresh(monotonic())

    def __repr__(self) -> str:
        return f"<Pool {self.name} {list(self.endpoints)}>"

    def begin_request(self, request: UpstreamRequest) -> None:
        """Count a request, whatever number of attempts it takes, and see where its client was before."""
        self._view[self._requests] += 1
        if self.sticky is not None:
            request.sticky = self.sticky.endpoint(request.cookies)

    def acquire(
        self, request: UpstreamRequest, tried: Sequence[Endpoint], now: float, *, queued: bool = False
    ) -> Lease:
        """Return a lease on the best endpoint not in `tried`; `now` is CLOCK_MONOTONIC seconds.

        The one that the request's cookie names comes first. `queued` says that it has waited already.
        Raises NoEndpoint, or Busy when there is room nowhere now, or others wait for it. Blocks for nothing.
        """
        if self._view[_EPOCH] != self._epoch:
            self.refresh(now)
        queue = self.queue
        if queue is not None and not queued and queue.is_contended(now):
            raise Busy(self.name)
        current = self._rotation
        if request.sticky is not None:
            lease = self._returned(request.sticky, tried)
            if lease is not None:
                return lease
        if current.trials:
            lease = self._trial(current.trials, tried, request.method, now)
            if lease is not None:
                return lease
        for balancer in current.tiers:
            lease = self._first(balancer, request.key, tried, now)
            if lease is not None:
                if current.open and not tried:
                    self._tally.add(PoolField.NO_HEALTHY)
                return lease
        if self.endpoints and not current.usable and not tried:
            self._tally.add(PoolField.NO_HEALTHY)
            raise NoEndpoint(self._outage(), held=current.held == len(self.endpoints))
        if any(endpoint.max_requests and endpoint not in tried for endpoint in current.usable):
            raise Busy(self.name)
        raise NoEndpoint

    def _returned(self, endpoint: Endpoint, tried: Sequence[Endpoint]) -> Lease | None:
        """Return a lease on the endpoint that a client was at before, unless it is not to be had."""
        if endpoint not in self._rotation.returnable or endpoint in tried:
            return None
        if endpoint.max_requests:
            return self._limited(endpoint, tried)
        endpoint.picked = self._picks = self._picks + 1
        return Lease(self, endpoint, tried)

    def _first(
        self, balancer: Balancer[Endpoint], key: bytes | None, tried: Sequence[Endpoint], now: float
    ) -> Lease | None:
        for endpoint in balancer.order(key, now):
            if tried and endpoint in tried:
                continue
            if endpoint.max_requests:
                lease = self._limited(endpoint, tried)
                if lease is None:
                    continue
                return lease
            endpoint.picked = self._picks = self._picks + 1
            return Lease(self, endpoint, tried)
        return None

    def _limited(self, endpoint: Endpoint, tried: Sequence[Endpoint], *, trial: bool = False) -> Lease | None:
        if not endpoint.has_room():
            return None
        with endpoint.reserving():
            if not endpoint.has_room():
                return None
            endpoint.picked = self._picks = self._picks + 1
            return Lease(self, endpoint, tried, trial=trial)

    def _trial(
        self, candidates: tuple[Endpoint, ...], tried: Sequence[Endpoint], method: str, now: float
    ) -> Lease | None:
        for endpoint in candidates:
            # A request that cannot be sent twice is no experiment, unless there is never another.
            if method not in IDEMPOTENT and now - endpoint.ejected_until < self._config.outlier.eject:
                continue
            if endpoint not in tried and endpoint.has_room() and endpoint.begin_trial():
                lease = self._limited(endpoint, tried, trial=True)
                if lease is not None:
                    return lease
                endpoint.end_trial()
        return None

    def wait(self, request: UpstreamRequest, tried: Sequence[Endpoint], now: float) -> Lease:
        """Return a lease when it is this request's turn; for one that met Busy.

        It waits until its time is over at most. Raises LocalReply or NoEndpoint.
        """

        def acquire() -> Lease | None:
            try:
                return self.acquire(request, tried, monotonic(), queued=True)
            except Busy:
                return None

        if self.queue is None:
            raise NoEndpoint
        return self.queue.wait(acquire, request.ends - now, choosy=bool(tried))

    def may_retry(self, now: float) -> bool:
        """Take one retry from the budget, which all workers share; False when it is used up."""
        with self._tally.deciding():
            allowed = self._budget.allows(now, *self._totals())
            self._tally.add(PoolField.RETRIES if allowed else PoolField.RETRIES_DENIED)
        return allowed

    def _totals(self) -> tuple[int, int]:
        return self._tally.total(PoolField.REQUESTS), self._tally.total(PoolField.RETRIES)

    def refresh(self, now: float) -> None:
        """Look anew at which endpoints are usable, and move requests away from those that went down."""
        self._epoch = self._view[_EPOCH]
        fail_open = self._config.when_all_down == "fail_open"
        current = self._rotation = rotation(
            self.endpoints, self._policy, now=now, slow_start=self._config.slow_start, fail_open=fail_open
        )
        if current.open and not self.failing_open:
            log.warning("%s; requests are sent all the same, as when_all_down says", self._outage())
        self.failing_open = current.open
        for endpoint in self.endpoints:
            if endpoint.ejection is not Ejection.TRIAL:
                endpoint.end_trial()
            if endpoint.waiting and endpoint.silent and not current.open:
                self._rescue(endpoint, now)

    def suspect(self, endpoint: Endpoint) -> None:
        """Prefer others for a moment, since this worker could not connect to `endpoint`.

        Until all know of it, it would attract requests: what refuses them has the fewest in flight.
        """
        now = monotonic()
        known = endpoint.suspected_until > now
        endpoint.suspected_until = now + _SUSPICION
        if not known:
            self.refresh(now)

    def _rescue(self, endpoint: Endpoint, now: float) -> None:
        if "down" not in self.retries.on:
            return
        others = [one for one in self._rotation.usable if one is not endpoint]
        for lease in list(endpoint.waiting):
            if lease.movable_to(others) and self.may_retry(now):
                lease.rescue()

    def tick(self, now: float) -> None:
        """Do what time brings; called ten times a second, in the hub, so nothing here may block."""
        if self._view[_EPOCH] != self._epoch:
            self.refresh(now)
        if now >= self._rotation.until:
            self.refresh(now)
        for endpoint in self.endpoints:
            endpoint.idle.retire(now)
            endpoint.end_trial(now)
            endpoint.note_waiting()
        if now >= self._next_sample:
            self._next_sample = now + _SAMPLING
            self._sample(now)

    def _sample(self, now: float) -> None:
        self._budget.sample(now, *self._totals())
        if self._rotation.ramping or any(one.waiting and one.silent for one in self.endpoints):
            self.refresh(now)
        if self.queue is not None:
            completed = sum(endpoint.completed() for endpoint in self.endpoints)
            ((count,), seconds) = self._completed.over(now, completed)
            self.queue.completed_per_second = count / seconds if seconds else 0.0
            self._completed.sample(now, completed)

    def candidates(self, tried: Sequence[Endpoint] = ()) -> tuple[Candidate, ...]:
        """Return which endpoints a request could get now that was at those in `tried`, and why not others."""
        return self._candidates.at(self.endpoints, self._rotation, tried, self._epoch)

    def _outage(self) -> str:
        return outage(self.name, self.endpoints, self._rotation.held, self._cells, self._config.health)
