"""Requests that are over, as the access log is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from lbg.errors import Reason, UpstreamError
from lbg.telemetry.access_log_entry import Entry
from lbg.telemetry.trace_context import TraceContext

BEGAN = 1000.0


@dataclass
class Thing:
    """A route, a pool or an endpoint."""

    name: str


@dataclass
class Try:
    """An attempt that began 1 ms after the request."""

    endpoint: Thing = field(default_factory=lambda: Thing("127.0.0.1:8001"))
    began: float = BEGAN + 0.001
    connect: float = 0.0005
    ttfb: float = 0.010
    took: float = 0.012
    reused: bool = False
    status: int = 200
    error: UpstreamError | None = None


@dataclass
class Request:
    """What became of a request."""

    request_id: str = "id1"
    client: str = "192.0.2.1"
    began: float = BEGAN
    queued: float = 0.0
    sticky: bool | None = None
    reason: Reason | None = None
    route: Thing | None = field(default_factory=lambda: Thing("shop"))
    pool: Thing | None = field(default_factory=lambda: Thing("api"))
    endpoint: Thing | None = field(default_factory=lambda: Thing("127.0.0.1:8001"))
    attempts: tuple[Try, ...] = field(default_factory=lambda: (Try(),))
    trace_context: TraceContext | None = None


def environ_of(target: str = "/things?x=1", received: int = 0, **more: Any) -> dict[str, Any]:
    """Return the environ of a GET; `more` are further keys."""
    return {
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "GET",
        "HTTP_HOST": "shop.example",
        "RAW_URI": target,
        "QUERY_STRING": target.partition("?")[2],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "lbg.client": SimpleNamespace(request=SimpleNamespace(received=received), taken=False),
        **more,
    }


def entry_of(record: Request | None = None, status: int = 200, reason: str = "", **environ: Any) -> Entry:
    """Return a request that took 20 ms, sent 5 bytes and got 512; `environ` is as of `environ_of`."""
    return Entry(
        environ_of(**environ), record or Request(), status, reason, 512, 5, 0.020, 1700000000.5, "192.0.2.1"
    )
