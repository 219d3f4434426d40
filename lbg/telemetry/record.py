"""A request that is over, as telemetry sees it: the record that the proxy fills in, and what it names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbg.config.routes import RouteConfig
    from lbg.errors import Reason, UpstreamError
    from lbg.net.address import Address
    from lbg.telemetry.trace_context import TraceContext


class Named(Protocol):
    """A route, a pool or an endpoint, by what metrics and logs call it."""

    @property
    def name(self) -> str: ...


class Route(Named, Protocol):
    """A route: its place in the configuration and what is configured."""

    @property
    def index(self) -> int: ...
    @property
    def config(self) -> RouteConfig: ...


class Endpoint(Named, Protocol):
    """Who was asked."""

    @property
    def address(self) -> Address: ...


class Candidate(Protocol):
    """An endpoint at the moment of a decision; `why` tells why it could not be taken, or what it was."""

    @property
    def endpoint(self) -> str: ...
    @property
    def usable(self) -> bool: ...
    @property
    def why(self) -> str: ...


class Pool(Named, Protocol):
    """A pool, which can tell how its endpoints are now."""

    def candidates(self) -> Sequence[Candidate]: ...


class Attempt(Protocol):
    """One try on one endpoint; times are seconds, `began` is CLOCK_MONOTONIC."""

    @property
    def endpoint(self) -> Endpoint: ...
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


class Record(Protocol):
    """What became of a request.

    `began` is CLOCK_MONOTONIC, `queued` seconds, `client` "" if nobody asked, `detail` what it was told.
    """

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
    def failed_open(self) -> bool: ...
    @property
    def gave_up(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def reason(self) -> Reason | None: ...
    @property
    def route(self) -> Route | None: ...
    @property
    def pool(self) -> Pool | None: ...
    @property
    def endpoint(self) -> Endpoint | None: ...
    @property
    def attempts(self) -> Sequence[Attempt]: ...
    @property
    def candidates(self) -> Sequence[Candidate]: ...
    @property
    def trace_context(self) -> TraceContext | None: ...
