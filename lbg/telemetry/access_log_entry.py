"""What the access log knows of a request that is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from lbg.telemetry.received import as_received
from lbg.telemetry.trace_context import parent_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.errors import Reason, UpstreamError
    from lbg.telemetry.trace_context import TraceContext


class Named(Protocol):
    """A route, a pool or an endpoint."""

    @property
    def name(self) -> str: ...


class AttemptMade(Protocol):
    """One try on one endpoint; times are seconds, `began` is CLOCK_MONOTONIC."""

    @property
    def endpoint(self) -> Named: ...
    @property
    def began(self) -> float: ...
    @property
    def connect(self) -> float: ...
    @property
    def ttfb(self) -> float: ...
    @property
    def took(self) -> float: ...
    @property
    def reused(self) -> bool: ...
    @property
    def status(self) -> int: ...
    @property
    def error(self) -> UpstreamError | None: ...


class RequestRecord(Protocol):
    """What became of a request; `began` is CLOCK_MONOTONIC, `queued` seconds, `client` "" if nobody asked."""

    @property
    def request_id(self) -> str: ...
    @property
    def client(self) -> str: ...
    @property
    def began(self) -> float: ...
    @property
    def queued(self) -> float: ...
    @property
    def sticky(self) -> bool | None: ...
    @property
    def reason(self) -> Reason | None: ...
    @property
    def route(self) -> Named | None: ...
    @property
    def pool(self) -> Named | None: ...
    @property
    def endpoint(self) -> Named | None: ...
    @property
    def attempts(self) -> Sequence[AttemptMade]: ...
    @property
    def trace_context(self) -> TraceContext | None: ...


@dataclass(slots=True)
class Entry:
    """`reason` is the code of why we answered or cut it ourselves, or "".

    `sent` and `received` are bytes of bodies, `took` is seconds, `ended` Unix time, `client` an address.
    """

    environ: dict[str, Any]
    record: RequestRecord
    status: int
    reason: str
    sent: int
    received: int
    took: float
    ended: float
    client: str = ""

    @property
    def path(self) -> str:
        """The path as the client sent it."""
        target: str = as_received(self.environ).get("RAW_URI", "")
        return target.partition("?")[0]

    @property
    def trace_id(self) -> str:
        """The trace that it belongs to, by its own word where lbg takes no part; "" for none."""
        context = self.record.trace_context
        if context is not None:
            return context.trace_id
        value: str | None = as_received(self.environ).get("HTTP_TRACEPARENT")
        parent = parent_of(value) if value is not None else None
        return parent.trace_id if parent is not None else ""
