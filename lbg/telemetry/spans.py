"""A request that is over as spans: one for itself and one for each attempt, in the words of OpenTelemetry.

Names of attributes are those of the stable semantic conventions for HTTP; what these do not know is `lbg.*`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from lbg.http.target import host_name
from lbg.telemetry.metrics import METHODS
from lbg.telemetry.received import as_received

if TYPE_CHECKING:
    from lbg.config.routes import RouteConfig
    from lbg.telemetry.record import Record
    from lbg.telemetry.trace_context import TraceContext

Attributes = dict[str, str | int | float | bool]

_LONGEST: Final = 1024  # characters of a value that a client sent
_GONE: Final = "client_gone"
_SERVER_ERROR: Final = 500
_CLIENT_ERROR: Final = 400
_NEVER_SENT: Final = 499
_SECOND: Final = 1_000_000_000  # ns


class Clients(Protocol):
    """Who sends requests, and how."""

    def address(self, environ: dict[str, Any]) -> str: ...
    def secure(self, environ: dict[str, Any]) -> bool: ...


@dataclass(slots=True)
class Span:
    """A stretch of time in a trace: of a request (`server`), or of an attempt.

    `began` and `ended` are ns of Unix time; `parent_id` is 0 where the trace begins. `failed` tells that lbg
    or the endpoint is at fault.
    """

    context: TraceContext
    name: str
    server: bool
    span_id: int
    parent_id: int
    began: int
    ended: int
    attributes: Attributes
    failed: bool


class Spans:
    """Makes the spans of requests; `clients` tells where these came from."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def of(
        self, environ: dict[str, Any], record: Record, status: int, took: float, ended: int
    ) -> tuple[Span, ...]:
        """Return the spans of a request that is over, none when its trace is not recorded.

        `took` are seconds, `ended` is ns of Unix time.
        """
        context = record.trace_context
        if context is None or not context.sampled:
            return ()
        code = record.reason.code if record.reason is not None else ""
        failed = status >= _SERVER_ERROR or ("lbg.cut" in environ and code != _GONE)
        attributes = self._attributes(as_received(environ), record)
        if status != _NEVER_SENT:
            attributes["http.response.status_code"] = status
        if code:
            attributes["lbg.reason"] = code
        if failed:
            attributes["error.type"] = code or str(status)
        request = Span(
            context,
            _name(attributes),
            server=True,
            span_id=context.span_id,
            parent_id=int(context.parent_id or "0", 16),
            began=ended - int(took * _SECOND),
            ended=ended,
            attributes=attributes,
            failed=failed,
        )
        method = attributes["http.request.method"]
        attempts = [_attempt(request, record, number, method) for number in range(len(record.attempts))]
        return request, *attempts

    def _attributes(self, environ: dict[str, Any], record: Record) -> Attributes:
        get = environ.get
        method = environ["REQUEST_METHOD"]
        known = method in METHODS
        host = get("HTTP_HOST", "")
        attributes: Attributes = {
            "http.request.method": method if known else "_OTHER",
            "url.scheme": "https" if self._clients.secure(environ) else "http",
            "url.path": (get("RAW_URI") or get("PATH_INFO", "")).partition("?")[0][:_LONGEST],
            "client.address": record.client or self._clients.address(environ),
            "network.peer.address": get("REMOTE_ADDR", ""),
            "network.protocol.version": get("SERVER_PROTOCOL", "").removeprefix("HTTP/"),
            "lbg.request_id": record.request_id,
        }
        if not known:
            attributes["http.request.method_original"] = method[:_LONGEST]
        if host:
            attributes["server.address"] = host_name(host)[:_LONGEST]
            port = host.rpartition("]")[2].rpartition(":")[2]
            if port.isdigit() and port != host:
                attributes["server.port"] = int(port)
        if "HTTP_USER_AGENT" in environ:
            attributes["user_agent.original"] = environ["HTTP_USER_AGENT"][:_LONGEST]
        if record.route is not None:
            attributes["http.route"] = _pattern(record.route.config)
            attributes["lbg.route"] = record.route.name
        if record.pool is not None:
            attributes["lbg.pool"] = record.pool.name
        if record.queued:
            attributes["lbg.queued"] = record.queued
        return attributes


def _name(attributes: Attributes) -> str:
    # The conventions want few different names, and "HTTP" for a method that is not known.
    method = attributes["http.request.method"]
    name = "HTTP" if method == "_OTHER" else str(method)
    return f"{name} {attributes['http.route']}" if "http.route" in attributes else name


def _pattern(config: RouteConfig) -> str:
    """Return which paths a route takes: "/login", "/v1/*", or a regular expression as it was written."""
    if config.path_exact is not None:
        return config.path_exact
    return config.path_regex or f"{(config.path or '').rstrip('/')}/*"


def _attempt(request: Span, record: Record, number: int, method: str | float) -> Span:
    """Return the span of an attempt; its times are found from those of the request, on the same clock."""
    attempt = record.attempts[number]
    address = attempt.endpoint.address
    attributes: Attributes = {
        "http.request.method": method,
        "server.address": address.host or address.path,
        "lbg.connection_reused": attempt.reused,
    }
    if address.port:
        attributes["server.port"] = address.port
    if record.pool is not None:
        attributes["lbg.pool"] = record.pool.name
    if attempt.status:
        attributes["http.response.status_code"] = attempt.status
    if number:
        attributes["http.request.resend_count"] = number
    failed = attempt.error is not None or attempt.status >= _CLIENT_ERROR
    if failed:
        attributes["error.type"] = attempt.error.reason.code if attempt.error else str(attempt.status)
    began = request.began + int((attempt.began - record.began) * _SECOND)
    return Span(
        request.context,
        "HTTP" if method == "_OTHER" else str(method),
        server=False,
        span_id=request.context.attempt_id(number),
        parent_id=request.span_id,
        began=began,
        ended=began + int(attempt.took * _SECOND),
        attributes=attributes,
        failed=failed,
    )
