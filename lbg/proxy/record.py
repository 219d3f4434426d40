"""What happened to one request: `lbg.exchange` in its environ, read by filters and the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lbg.errors import Reason, UpstreamError
    from lbg.routing.table import Route
    from lbg.upstream.endpoint import Endpoint
    from lbg.upstream.pool import Pool


class Record:
    """Filled in as the request goes its way; `failures` are the attempts that brought no answer, `answers`
    those whose status was worth another try, `sticky` tells whether the client's cookie led to `endpoint`,
    None where there are no such cookies.

    `client` is its address and `scheme` how it came, as trusted proxies tell it, and `path` the path that
    routing looked at; they are there for filters and actions, and not where a request goes straight to
    the only pool. `switched` tells that it speaks another protocol now.
    Most requests set few of these: class defaults make the rest free.
    """

    client = ""
    path = ""
    scheme = "http"
    pool: Pool | None = None
    route: Route | None = None
    endpoint: Endpoint | None = None
    failures: tuple[tuple[Endpoint, UpstreamError], ...] = ()
    answers: tuple[tuple[Endpoint, int], ...] = ()
    sticky: bool | None = None
    failed_open = False
    switched = False
    gave_up = ""
    reason: Reason | None = None

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id

    def __repr__(self) -> str:
        return f"<Record {self.request_id} {self.story()}>"

    def failed(self, endpoint: Endpoint, failure: UpstreamError) -> None:
        """Note an attempt without an answer."""
        self.failures = (*self.failures, (endpoint, failure))

    def passed_over(self, endpoint: Endpoint, status: int) -> None:
        """Note an answer for which another endpoint is tried."""
        self.answers = (*self.answers, (endpoint, status))

    def story(self) -> str:
        """Return the failed attempts in words: `127.0.0.1:8001: connect refused; gave up: …`."""
        parts = [f"{endpoint.name}: {failure.detail}" for endpoint, failure in self.failures]
        parts += [f"{endpoint.name}: status {status}" for endpoint, status in self.answers]
        if self.failed_open:
            parts.append("sent although no endpoint is healthy (fail_open)")
        if self.gave_up:
            parts.append(f"gave up: {self.gave_up}")
        return "; ".join(parts)
