"""The questions the benchmark asks, and the goals that lbg has set itself for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.measures import (
    Sample,
    Target,
    connecting_requests,
    downloads,
    idle_memory,
    keepalive_requests,
    uploads,
)
from benchmarks.peers.catalogue import Peer


@dataclass(frozen=True, slots=True)
class Goal:
    """The cost of lbg as a multiple of a peer's, or, without a peer, in the scenario's unit.

    Of a variant of lbg it is what it costs more, in that unit.
    """

    limit: float
    peer: str | None = None
    strictly_below: bool = False
    written: str = ""

    def is_met(self, value: float) -> bool:
        return value < self.limit if self.strictly_below else value <= self.limit

    def __str__(self) -> str:
        return f"{'<' if self.strictly_below else '≤'} {self.written or format(self.limit, 'g')}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of work; `fresh` starts the proxy anew for every measurement.

    With `variants`, variants of lbg of that kind are compared in place of other proxies, with the cost of
    `base`.
    """

    name: str
    title: str
    path: str
    unit: str
    measure: Callable[[Target], Sample]
    goals: tuple[Goal, ...] = ()
    streaming: bool = False
    to_sink: bool = False
    fresh: bool = False
    variants: str = ""
    base: str = "lbg"

    def takes(self, peer: Peer) -> bool:
        """Whether this scenario is for that peer."""
        if self.variants:
            return peer.variant == self.variants or peer.name == "lbg"
        return not peer.variant and (self.streaming or not peer.tuned)

    def goal_for(self, peer: str | None) -> Goal | None:
        """The goal set against this peer, or against no peer at all."""
        return next((goal for goal in self.goals if goal.peer == peer), None)


SCENARIOS: Mapping[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "small",
            "1 KB responses, 64 keep-alive connections",
            "/1k",
            "CPU µs per request",
            keepalive_requests,
            (
                Goal(4.0, "nginx"),
                Goal(0.8, "caddy", strictly_below=True),
                Goal(1 / 12, "requests-proxy", written="1/12"),
            ),
        ),
        Scenario(
            "medium",
            "64 KB responses, 64 keep-alive connections",
            "/64k",
            "CPU µs per request",
            keepalive_requests,
        ),
        Scenario(
            "large",
            "100 MB responses, one after the other",
            "/100m",
            "CPU ms per 100 MB",
            downloads,
            (Goal(0.3, "nginx"), Goal(0.5, "haproxy")),
            streaming=True,
        ),
        Scenario(
            "upload",
            "100 MB request bodies with Content-Length, one after the other",
            "/upload",
            "CPU ms per 100 MB",
            uploads,
            streaming=True,
            to_sink=True,
        ),
        Scenario(
            "connect",
            "1 KB responses, a new client connection for every request, 64 at a time",
            "/1k",
            "CPU µs per request",
            connecting_requests,
        ),
        Scenario(
            "idle",
            "1,000 idle keep-alive connections, each after one request",
            "/1k",
            "KB of memory per connection",
            idle_memory,
            (Goal(13.0),),
            fresh=True,
        ),
        Scenario(
            "filters",
            "one filter on the route, 1 KB responses, 64 keep-alive connections",
            "/1k",
            "CPU µs per request",
            keepalive_requests,
            (Goal(8.0, "lbg+rate_limit"), Goal(3.0, "lbg+access"), Goal(5.0, "lbg+headers")),
            variants="filters",
        ),
        Scenario(
            "telemetry",
            "metrics and traces, then the access log as JSON, 1 KB responses, 64 keep-alive connections",
            "/1k",
            "CPU µs per request",
            keepalive_requests,
            (Goal(6.0, "lbg"), Goal(21.0, "lbg+access_log", written="6 + 15")),
            variants="telemetry",
            base="lbg-untold",
        ),
    )
}
