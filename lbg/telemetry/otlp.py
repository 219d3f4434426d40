"""Tracing with an exporter: each request takes part in a trace, and its spans go to a collector."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from time import time_ns
from typing import TYPE_CHECKING, Any, Final, Protocol

from lbg.telemetry.otlp_queue import SpanQueue
from lbg.telemetry.spans import Clients, Spans
from lbg.telemetry.trace_context import TraceContexts

if TYPE_CHECKING:
    from lbg.config.schema import TracingConfig
    from lbg.telemetry.otlp_queue import Collector
    from lbg.telemetry.record import Record

_FLUSH: Final = 1.0  # seconds that spans which wait get at a stop
_PACKAGES: Final = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")


class Peer(Protocol):
    """The other end of a connection."""

    @property
    def trusted(self) -> bool: ...


class Peers(Clients, Protocol):
    """Who sends requests, and whether their word is taken."""

    def peer(self, environ: dict[str, Any]) -> Peer: ...


def obstacle(config: TracingConfig) -> str:
    """Return why spans cannot be exported although that is asked for, and what helps; "" for neither.

    Imports nothing.
    """
    missing = [name for name in _PACKAGES if not _installed(name)] if config.otlp else []
    if not missing:
        return ""
    return (
        f"tracing.otlp is set, but no traces are exported: {' and '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} not installed; pip install 'lbg[otel]'"
    )


def _installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


class Tracing:
    """Begins the part of lbg in the trace of each request, and puts its spans in a queue when it is over."""

    def __init__(self, contexts: TraceContexts, spans: Spans, collector: Collector) -> None:
        self.begin = contexts.begin
        self._spans = spans
        self._queue = SpanQueue(collector)

    @classmethod
    def of(cls, config: TracingConfig, clients: Peers) -> Tracing | None:
        """Return what the configuration asks for, None when that is no export or none can be.

        Only then is the SDK imported, so the process must have patched its sockets by now.
        """
        if not config.otlp or obstacle(config):
            return None
        from lbg.telemetry.otlp_collector import OtlpCollector

        def trusts(environ: dict[str, Any]) -> bool:
            return clients.peer(environ).trusted

        contexts = TraceContexts(config.otlp_sample, trusts if config.otlp_parent == "trusted" else None)
        return cls(contexts, Spans(clients), OtlpCollector(config.otlp, config.service_name))

    @property
    def lost(self) -> int:
        """The spans that no collector got."""
        return self._queue.lost

    def observe(
        self,
        environ: dict[str, Any],
        record: Record,
        status: int,
        sent: int,  # noqa: ARG002
        took: float,
    ) -> None:
        """Take the spans of a request that is over; `took` is seconds."""
        context = record.trace_context
        if context is not None and context.sampled:
            self._queue.put(self._spans.of(environ, record, status, took, time_ns()))

    def close(self) -> None:
        """Send what waits, for a second at most."""
        self._queue.close(_FLUSH)
