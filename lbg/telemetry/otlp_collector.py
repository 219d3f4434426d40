"""Sends spans by OTLP over HTTP. It imports the SDK of OpenTelemetry: only for those who export."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import gevent
import requests
import urllib3
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from lbg import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.telemetry.spans import Span

_PATH: Final = "/v1/traces"  # of the specification of OTLP
_LONGEST: Final = 200  # characters of what is said of a failure
_READ: Final = 4096  # bytes of an answer; nobody needs them, but then the connection can serve again
_UNSET: Final = Status(StatusCode.UNSET)
_ERROR: Final = Status(StatusCode.ERROR)
_FLAGS: Final = TraceFlags(TraceFlags.SAMPLED)


class OtlpCollector:
    """The collector at `url`; spans come to it from the service of this name.

    The environment counts as in every service with this SDK: OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE,
    _COMPRESSION and _TIMEOUT, and OTEL_RESOURCE_ATTRIBUTES.
    """

    def __init__(self, url: str, service_name: str) -> None:
        # What it says for each batch is told once a minute for all of them.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        url = url.rstrip("/")
        self._session = _Session()
        self._exporter = OTLPSpanExporter(url if url.endswith(_PATH) else url + _PATH, session=self._session)
        self._resource = Resource.create({"service.name": service_name, "service.version": __version__})
        self._scope = InstrumentationScope("lbg", __version__)

    @property
    def trouble(self) -> str:
        """Why the last spans could not be delivered, "" when they could."""
        return self._session.trouble

    def send(self, spans: Sequence[Span]) -> bool:
        """Deliver some and return whether that worked; OTEL_EXPORTER_OTLP_TIMEOUT, or 10 s, at most.

        In a process without gevent each wait for the collector may take so long.
        """
        done = self._exporter.export([self._readable(span) for span in spans]) is SpanExportResult.SUCCESS
        return done and not self.trouble  # a redirect is a success to the exporter

    def close(self) -> None:
        """Send nothing more, and end what is being sent."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]

    def _readable(self, span: Span) -> ReadableSpan:
        context = span.context
        trace_id = int(context.trace_id, 16)
        state = TraceState.from_header([context.state]) if context.state else None
        parent = SpanContext(trace_id, span.parent_id, span.server, _FLAGS, state) if span.parent_id else None
        return ReadableSpan(
            span.name,
            SpanContext(trace_id, span.span_id, False, _FLAGS, state),
            parent,
            self._resource,
            span.attributes,
            kind=SpanKind.SERVER if span.server else SpanKind.CLIENT,
            status=_ERROR if span.failed else _UNSET,
            start_time=span.began,
            end_time=span.ended,
            instrumentation_scope=self._scope,
        )


class _Session(requests.Session):
    """Remembers why a request failed: the exporter only logs that."""

    trouble = ""

    def request(self, *args: Any, **options: Any) -> requests.Response:
        options |= {"stream": True, "allow_redirects": False}
        try:
            response = self._answer(args, options)
        except requests.RequestException as error:
            # Of a failure to connect, only what the system said.
            cause = getattr(error.args[0], "reason", error) if error.args else error
            self.trouble = _printable(str(cause))
            raise
        delivered = 200 <= response.status_code < 300
        said = f"the collector answered {response.status_code} {response.reason}"
        self.trouble = "" if delivered else _printable(said)
        return response

    def _answer(self, args: Any, options: dict[str, Any]) -> requests.Response:
        """Return the answer without its body. `timeout` is for all of it, not for each wait."""
        timeout = gevent.Timeout(options["timeout"])
        try:
            with timeout:
                response = super().request(*args, **options)
                response.raw.read(_READ, decode_content=False)
        except urllib3.exceptions.HTTPError as error:
            raise requests.RequestException(error) from error
        except gevent.Timeout as passed:
            if passed is not timeout:
                raise
            raise requests.Timeout("the collector took too long to answer") from None
        response.close()
        return response


def _printable(text: str) -> str:
    """Return `text` so that it cannot forge a line of the log or a colour on the terminal."""
    return text[:_LONGEST].encode("unicode_escape").decode("ascii")
