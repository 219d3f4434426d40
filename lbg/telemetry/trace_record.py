"""What a trace is made of: a request that is over, as the proxy knows it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.config.routes import RouteConfig
    from lbg.errors import Reason
    from lbg.telemetry.access_log_entry import AttemptMade, Named
    from lbg.telemetry.trace_context import TraceContext


class Candidate(Protocol):
    """An endpoint at the moment of a decision; `why` tells why it could not be taken, or what it was."""

    @property
    def endpoint(self) -> str: ...
    @property
    def usable(self) -> bool: ...
    @property
    def why(self) -> str: ...


class TracedRoute(Protocol):
    """A route: its name, its place in the configuration and what is configured."""

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def config(self) -> RouteConfig: ...


class TracedPool(Protocol):
    """A pool, which can tell how its endpoints are now."""

    @property
    def name(self) -> str: ...

    def candidates(self) -> Sequence[Candidate]: ...


class TracedRecord(Protocol):
    """What became of a request; `queued` is seconds, `detail` what its client was told."""

    @property
    def request_id(self) -> str: ...
    @property
    def queued(self) -> float: ...
    @property
    def failed_open(self) -> bool: ...
    @property
    def gave_up(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def reason(self) -> Reason | None: ...
    @property
    def route(self) -> TracedRoute | None: ...
    @property
    def pool(self) -> TracedPool | None: ...
    @property
    def endpoint(self) -> Named | None: ...
    @property
    def attempts(self) -> Sequence[AttemptMade]: ...
    @property
    def candidates(self) -> Sequence[Candidate]: ...
    @property
    def trace_context(self) -> TraceContext | None: ...
