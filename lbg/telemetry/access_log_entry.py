"""What the access log knows of a request that is over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbg.telemetry.received import as_received
from lbg.telemetry.trace_context import parent_of

if TYPE_CHECKING:
    from lbg.telemetry.record import Record


@dataclass(slots=True)
class Entry:
    """`reason` is the code of why we answered or cut it ourselves, or "".

    `sent` and `received` are bytes of bodies, `took` is seconds, `ended` Unix time, `client` an address.
    """

    environ: dict[str, Any]
    record: Record
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
