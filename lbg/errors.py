"""The one tree of errors: reason code, status, whose fault it is, and how much had been sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


@dataclass(frozen=True, slots=True)
class Reason:
    """Why lbg made an answer itself, or cut one short.

    `proxy_error` is the registered error type for `Proxy-Status` (RFC 9209 section 2.3).
    """

    code: str
    status: int
    proxy_error: str

    def __str__(self) -> str:
        return self.code

    @property
    def refused(self) -> bool:
        """Whether the request itself is the cause, so that any client can bring about as many as it likes."""
        return self.status < 500 or self.code == "loop"


_TABLE: Final = (
    ("no_route", 404, "destination_not_found"),
    ("bad_request", 400, "http_request_error"),
    ("headers_too_large", 431, "http_request_error"),
    ("uri_too_long", 414, "http_request_error"),
    ("body_too_large", 413, "http_request_error"),
    ("client_header_timeout", 408, "http_request_error"),
    ("client_body_timeout", 408, "http_request_error"),
    ("client_gone", 499, "http_request_error"),
    ("denied", 403, "http_request_denied"),
    ("unauthorized", 401, "http_request_denied"),
    ("rate_limited", 429, "http_request_denied"),
    ("banned", 429, "http_request_denied"),
    ("no_endpoints", 503, "destination_unavailable"),
    ("no_healthy", 503, "destination_unavailable"),
    ("all_draining", 503, "destination_unavailable"),
    ("queue_full", 503, "destination_unavailable"),
    ("queue_timeout", 503, "destination_unavailable"),
    ("dns_failure", 502, "dns_error"),
    ("connect_refused", 502, "connection_refused"),
    ("connect_timeout", 504, "connection_timeout"),
    ("tls_error", 502, "tls_protocol_error"),
    ("upstream_reset", 502, "connection_terminated"),
    ("upstream_reset_reused", 502, "connection_terminated"),
    ("response_timeout", 504, "http_response_timeout"),
    ("read_timeout", 504, "connection_read_timeout"),
    ("upstream_cut_body", 502, "http_response_incomplete"),
    ("bad_response", 502, "http_protocol_error"),
    ("loop", 508, "proxy_loop_detected"),
    ("filter_error", 500, "proxy_internal_error"),
    ("shutdown", 503, "proxy_internal_response"),
    ("internal", 500, "proxy_internal_error"),
)

REASONS: Final = {code: Reason(code, status, error) for code, status, error in _TABLE}


class LbgError(Exception):
    """Anything lbg raises on purpose while it serves a request."""


class ClientGone(LbgError):
    """The client closed its connection before it had its answer: there is nobody to reply to."""


class LocalReply(LbgError):
    """An answer lbg makes itself; raised anywhere below the handler, turned into bytes in one place.

    `status` replaces the reason's own where HTTP asks for a finer one (405, 501, 505).
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        status: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> None:
        super().__init__(reason, detail)
        self.reason = REASONS[reason]
        self.detail = detail
        self.status = status or self.reason.status
        self.headers = headers


class RequestError(LocalReply):
    """The client's request is at fault; framing can no longer be trusted, so its connection closes."""


class Sent(IntEnum):
    """How much of a request had been written upstream when it failed: what a retry may assume."""

    NOTHING = 0
    WRITTEN = 1
    ANSWERED = 2


class UpstreamError(LbgError):
    """An exchange with an endpoint failed: the only exception that leaves `upstream`.

    `sent` tells how far it got, `reused` whether the connection had served requests before, `rescued`
    that we took the request away from an endpoint that went down, `blameless` that the endpoint had
    no part in it.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        sent: Sent,
        reused: bool = False,
        rescued: bool = False,
        blameless: bool = False,
    ) -> None:
        super().__init__(reason, detail)
        self.reason = REASONS[reason]
        self.detail = detail
        self.sent = sent
        self.reused = reused
        self.rescued = rescued
        self.blameless = blameless

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


class StreamTimeout(LbgError):
    """A wait on a stream passed the deadline set for it."""
