"""Endpoints as a policy sees them, and what a policy makes of traffic over simulated time."""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lbg.balancing.balancer import Balancer


@dataclass
class Weighed:
    """An endpoint whose load the test sets."""

    name: str
    effective_weight: float = 1
    requests: int = 0
    picked: int = 0

    def in_flight(self) -> int:
        """Return the requests in flight."""
        return self.requests


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

    A response takes `latency` seconds, 1 unless told, give or take a half.
    """
    draw = random.Random(seed)
    taken: Counter[str] = Counter()
    running: list[tuple[float, int, Weighed]] = []
    now = 0.0
    for number in range(1, count + 1):
        if len(running) == clients:
            now, _, ended = heapq.heappop(running)
            ended.requests -= 1
        endpoint = next(balancer.order(None, now))
        endpoint.picked = number
        endpoint.requests += 1
        taken[endpoint.name] += 1
        takes = (latency or {}).get(endpoint.name, 1.0) * draw.uniform(0.5, 1.5)
        heapq.heappush(running, (now + takes, number, endpoint))
    return {name: taken[name] / count for name in sorted(taken)}
