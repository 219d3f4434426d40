"""What happened to one request: `lbg.exchange` in its environ, read by filters and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbg.errors import Reason, UpstreamError
    from lbg.routing.table import Route
    from lbg.upstream.endpoint import Endpoint


class Record:
    """Filled in as the request goes its way; `failures` are the attempts that brought no answer."""

    __slots__ = ("client", "endpoint", "failures", "gave_up", "reason", "request_id", "route")

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.client = b""
        self.route: Route | None = None
        self.endpoint: Endpoint | None = None
        self.failures: list[tuple[Endpoint, UpstreamError]] = []
        self.gave_up = ""
        self.reason: Reason | None = None

    def failed(self, endpoint: Endpoint, failure: UpstreamError) -> None:
        """Note an attempt without an answer."""
        self.failures.append((endpoint, failure))

    def story(self) -> str:
        """Return the failed attempts in words: `127.0.0.1:8001: connect refused; gave up: …`."""
        parts = [f"{endpoint.name}: {failure.detail}" for endpoint, failure in self.failures]
        if self.gave_up:
            parts.append(f"gave up: {self.gave_up}")
        return "; ".join(parts)
