"""What goes upstream for one request, whichever endpoint it goes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbg.net.deadline import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.http.headers import Fields
    from lbg.upstream.body import RequestBody
    from lbg.upstream.endpoint import Endpoint


class UpstreamRequest:
    """The head up to the Host line and after it, the body, and whom to tell of 1xx responses.

    `host` is the whole Host line, None to send the endpoint's own. `expects` tells that the client
    awaits a 100 before it sends its body, `upgrades` that it asks to switch protocols, `ends` when
    all of it must be over (CLOCK_MONOTONIC), `attempt` is the number of the try under way, from 1.

    `trace` are the lines that tell of the trace it belongs to, where lbg writes them.

    `key` is what the pool's policy tells requests apart by. Only for a pool with sticky cookies are the
    others set: `cookies`, the value of the Cookie field, `secure`, whether the client came over TLS, and
    `sticky`, the endpoint that its cookie names.
    """

    # Most requests set few of these: class defaults make the rest free.
    body: RequestBody | None = None
    expects = False
    upgrades = False
    ends = NEVER
    attempt = 1
    key: bytes | None = None
    cookies = ""
    secure = False
    sticky: Endpoint | None = None
    trace = b""
    on_interim: Callable[[int, Fields], None] | None = None

    def __init__(self, method: str, before_host: bytes, host: bytes | None, after_host: bytes) -> None:
        self.method = method
        self.before_host = before_host
        self.host = host
        self.after_host = after_host

    def __repr__(self) -> str:
        return f"<UpstreamRequest {self.before_host.decode('latin-1').strip()}>"

    def head(self, endpoint: Endpoint) -> bytes:
        """Return the bytes of the head for `endpoint`."""
        return self.before_host + (self.host or endpoint.host_line) + self.trace + self.after_host

    @property
    def replayable(self) -> bool:
        """Whether it can be sent once more from the start."""
        return self.body is None or self.body.replayable
