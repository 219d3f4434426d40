"""The loaded configuration: frozen, complete, with every value checked.

Times are seconds and sizes are bytes. The rules between sections (a route names a pool that exists) are in
`lbg.config.rules`, so that one load reports all mistakes at once.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from lbg.config.fields import (
    AdminToken,
    AnyCase,
    ByteCount,
    Flag,
    HeaderBytes,
    Listener,
    Listeners,
    Network,
    PoolName,
    PositiveCount,
    Pseudonym,
    Seconds,
    SecondsOrZero,
    Workers,
)
from lbg.config.log_fields import LogFile, Share, Statuses
from lbg.config.pools import PoolConfig
from lbg.config.routes import RouteConfig
from lbg.config.section import Section
from lbg.config.tracing_fields import CollectorUrl, ServiceName
from lbg.net.address import Bind


class ServerConfig(Section):
    """`[server]`: the public listeners and what one client may ask of them."""

    bind: Listeners = (Bind("tcp", "0.0.0.0", 8080, ""),)  # noqa: S104
    workers: Workers = 0
    """Proxy workers; 0 is one per CPU."""
    max_connections: PositiveCount = 10_000
    """Open client connections per worker."""
    keepalive_timeout: Seconds = 75.0
    header_timeout: Seconds = 10.0
    """For the whole request head."""
    body_timeout: Seconds = 30.0
    """Between two reads of the request body."""
    max_header_bytes: HeaderBytes = 65_536
    max_body_bytes: ByteCount = 0
    """0 is no limit."""
    shutdown_grace: SecondsOrZero = 30.0
    trusted_proxies: tuple[Network, ...] = ()
    """Peers whose X-Forwarded-* fields are believed."""
    via: Pseudonym = "lbg"
    """Our name in the Via field."""
    underscore_headers: Flag = False
    """Let field names with "_" pass."""
    forwarded: Flag = False
    """Also send the Forwarded field of RFC 7239."""


class AdminConfig(Section):
    """`[admin]`: the listener for metrics, the API and the dashboard."""

    token: AdminToken = Field(default="", repr=False)
    bind: Listener = Bind("tcp", "127.0.0.1", 9090, "")
    watch: Flag = True
    """Take up the configuration file when it changes."""

    @field_validator("bind")
    @classmethod
    def _guarded(cls, bind: Bind, info: ValidationInfo) -> Bind:
        if not bind.is_loopback and info.data.get("token") == "":
            raise ValueError(
                f"admin.token must be set when others can connect, and {bind} is not a loopback address"
            )
        return bind


class LogConfig(Section):
    """`[log]`; the format "auto" is console on a terminal and json elsewhere."""

    level: Annotated[Literal["debug", "info", "warning", "error"], AnyCase] = "info"
    format: Literal["auto", "json", "console"] = "auto"
    access: Flag = True
    """A line for each request."""
    access_file: LogFile = ""
    """"" is stdout."""
    access_sample: Share = 1.0
    """Of the requests of each route that has no `access_log` of its own."""
    access_always: Statuses = "400-599"
    """Logged whatever the sample."""


class TracingConfig(Section):
    """`[tracing]`: of which requests is kept how they came to their end; failed ones always are.

    And what goes to a collector of OpenTelemetry, which `slow` and `sample` have no part in.
    """

    slow: SecondsOrZero = 1.0
    """To the end of the response; 0 keeps none for being slow."""
    sample: Share = 0.0
    """Of the other requests."""
    otlp: CollectorUrl = ""
    """"" exports nothing, and leaves the trace context of requests as it is."""
    otlp_sample: Share = 1.0
    """Of the traces that begin here."""
    otlp_parent: Literal["any", "trusted"] = "any"
    """Whose traceparent is continued: that of every client, or of server.trusted_proxies."""
    service_name: ServiceName = "lbg"


class Config(Section):
    """One whole configuration."""

    server: ServerConfig = ServerConfig()
    admin: AdminConfig = AdminConfig()
    log: LogConfig = LogConfig()
    tracing: TracingConfig = TracingConfig()
    pools: Annotated[dict[PoolName, PoolConfig], Field(min_length=1)]
    routes: tuple[RouteConfig, ...] = ()
