"""Endpoints as a policy sees them, and what a policy makes of traffic over simulated time."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lbg.balancing.balancer import Balancer
from lbg.balancing.latency import Latency


@dataclass
class Weighed:
    """An endpoint whose load the test sets."""

    name: str
    effective_weight: float = 1
    requests: int = 0
    picked: int = 0
    latency: Latency | None = None

    @property
    def weight(self) -> float:
        """Return the configured weight."""
        return self.effective_weight

    def in_flight(self) -> int:
        """Return the requests in flight."""
        return self.requests

    def begin(self) -> None:
        """Let a request begin."""
        self.requests += 1
        if self.latency is not None:
            self.latency.asked += 1

    def end(self, took: float, now: float) -> None:
        """Let a request end that took so many seconds."""
        self.requests -= 1
        if self.latency is not None:
            self.latency.asked -= 1
            self.latency.answered(took, now)


Make = Callable[[Sequence[Weighed]], Balancer[Weighed]]


def endpoints(weights: Sequence[float]) -> list[Weighed]:
    """Return endpoints with these weights, named a, b, c and on, or by number when there are many."""
    names = "abcdefghijklmnopqrstuvwxyz" if len(weights) <= 26 else [str(at) for at in range(len(weights))]
    return [Weighed(name, weight) for name, weight in zip(names, weights, strict=False)]


def names(balancer: Balancer[Weighed]) -> str:
    """Return the names of a whole order, joined."""
    return "".join(endpoint.name for endpoint in balancer.order(None, 0.0))


def idle_shares(balancer: Balancer[Weighed], count: int) -> Counter[str]:
    """Return how often each endpoint is taken when every request ends before the next begins."""
    shares: Counter[str] = Counter()
    for number in range(1, count + 1):
        endpoint = next(balancer.order(None, 0.0))
        endpoint.picked = number
        shares[endpoint.name] += 1
    return shares


def shares(
    balancer: Balancer[Weighed],
    *,
    clients: int,
    count: int,
    latency: dict[str, float] | None = None,
    seed: int = 1,
) -> dict[str, float]:
    """Return the part of `count` requests each endpoint gets from `clients` that never pause.

    A response takes `latency` seconds, 1 unless told, give or take a half; it is measured where a policy
    wants that.
    """
    draw = random.Random(seed)
    taken: Counter[str] = Counter()
    running: list[tuple[float, int, Weighed, float]] = []
    now = 0.0
    for number in range(1, count + 1):
        if len(running) == clients:
            now, _, ended, took = heapq.heappop(running)
            ended.end(took, now)
        endpoint = next(balancer.order(None, now))
        endpoint.picked = number
        endpoint.begin()
        taken[endpoint.name] += 1
        takes = (latency or {}).get(endpoint.name, 1.0) * draw.uniform(0.5, 1.5)
        heapq.heappush(running, (now + takes, number, endpoint, takes))
    return {name: taken[name] / count for name in sorted(taken)}
