"""Requests that are over and stored documents, for tests of traces."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lbg.config.schema import Config
from lbg.errors import REASONS, Reason, Sent, UpstreamError
from lbg.routing.route import Route, routes_of
from lbg.upstream.candidates import Candidate
from tests.unit.telemetry.entries import Thing, Try

POOL = {
    "endpoints": ["http://a:1"],
    "timeouts": {"connect": 1.5, "response": 2.5, "idle": 3.5},
    "queue": {"size": 7, "timeout": 4.5},
}


@dataclass
class TracedPool:
    """A pool whose endpoints are all usable."""

    name: str = "api"

    def candidates(self) -> tuple[Candidate, ...]:
        return (Candidate("a:1", usable=True, why=""),)


@dataclass
class Traced:
    """What became of a request."""

    request_id: str = "id1"
    queued: float = 0.0
    failed_open: bool = False
    gave_up: str = ""
    detail: str = ""
    reason: Reason | None = None
    route: Route | None = None
    pool: TracedPool | None = field(default_factory=TracedPool)
    endpoint: Thing | None = None
    attempts: tuple[Try, ...] = ()
    candidates: tuple[Candidate, ...] = ()
    trace_context: None = None


def config_of(**tables: Any) -> Config:
    """Return a configuration with the pool `api`."""
    tables = {"pools": {"api": POOL}, **tables}
    return Config.model_validate(tables)


def route_of(*filters: dict[str, Any]) -> Route:
    """Return a route with these filters."""
    config = config_of(routes=[{"name": "shop", "pool": "api", "filters": list(filters)}])
    return routes_of(config.routes)[0]


def failure(endpoint: str, reason: str = "connect_refused", text: str = "connect refused") -> Try:
    """Return a try that brought no answer."""
    error = UpstreamError(reason, text, sent=Sent.NOTHING)
    return Try(Thing(endpoint), status=0, error=error, ttfb=0.0, connect=0.0, took=0.25)


def refusal(reason: str, **more: Any) -> Traced:
    """Return a request that was answered with `reason`."""
    return Traced(reason=REASONS[reason], **more)
