"""The loaded configuration: frozen, complete, with every value checked.

Times are seconds and sizes are bytes. The rules between sections (a route names a pool that exists) are in
`lbg.config.rules`, so that one load reports all mistakes at once.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from lbg.config.fields import (
    AdminToken,
    AnyCase,
    Attempts,
    BufferBytes,
    ByteCount,
    Count,
    EndpointUrl,
    Flag,
    HeaderBytes,
    Listener,
    Listeners,
    Network,
    PoolName,
    PositiveCount,
    Pseudonym,
    RouteHost,
    RoutePath,
    Seconds,
    SecondsOrZero,
    Weight,
    Workers,
)
from lbg.config.problems import shown
from lbg.net.address import Address, Bind, parse_endpoint_url


class Section(BaseModel):
    """A table of the configuration: unknown keys are refused and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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


class EndpointConfig(Section):
    """One endpoint; a URL alone stands for `{ url = URL }`, and `url` is kept in canonical form."""

    url: EndpointUrl
    weight: Weight = 1

    @property
    def address(self) -> Address:
        """Where to connect, which is also the endpoint's identity."""
        return parse_endpoint_url(self.url)

    @model_validator(mode="before")
    @classmethod
    def _from_url(cls, value: object) -> object:
        if isinstance(value, str):
            return {"url": value}
        if isinstance(value, dict | EndpointConfig):
            return value
        raise ValueError(f"expected a URL or a table with url and weight, got {shown(value)}")


class TimeoutsConfig(Section):
    """`[pools.NAME.timeouts]`: `idle` is between two reads of a response, 0 in `total` is no limit."""

    connect: Seconds = 5.0
    response: Seconds = 60.0
    idle: Seconds = 60.0
    total: SecondsOrZero = 0.0
    tunnel: Seconds = 3600.0


class ConnectionsConfig(Section):
    """`[pools.NAME.connections]`: idle connections kept per endpoint and worker, and how long each lives.

    `max_requests` is how many requests one connection carries; 0 is no limit.
    """

    idle: Count = 128
    idle_timeout: Seconds = 60.0
    max_requests: Count = 0


class RetryConfig(Section):
    """`[pools.NAME.retry]`: `attempts` counts all tries, `buffer` is how much body is kept for another."""

    attempts: Attempts = 3
    buffer: BufferBytes = 65_536


class PoolConfig(Section):
    """`[pools.NAME]`: endpoints that serve the same thing, and how they are used."""

    balance: Literal["round_robin"] = "round_robin"
    host: Literal["client", "endpoint"] = "client"
    """Which Host field the endpoint receives: the client's or its own."""
    endpoints: Annotated[tuple[EndpointConfig, ...], Field(min_length=1)]
    timeouts: TimeoutsConfig = TimeoutsConfig()
    connections: ConnectionsConfig = ConnectionsConfig()
    retry: RetryConfig = RetryConfig()

    @field_validator("endpoints")
    @classmethod
    def _distinct(cls, endpoints: tuple[EndpointConfig, ...]) -> tuple[EndpointConfig, ...]:
        first: dict[str, int] = {}
        for index, endpoint in enumerate(endpoints):
            earlier = first.setdefault(endpoint.url, index)
            if earlier != index:
                raise ValueError(f"items {earlier} and {index} are the same endpoint, {endpoint.url}")
        return endpoints


class RouteConfig(Section):
    """`[[routes]]`: requests for a host and a path prefix go to a pool; no host is every host."""

    host: RouteHost | None = None
    path: RoutePath = "/"
    pool: str


class Config(Section):
    """One whole configuration."""

    server: ServerConfig = ServerConfig()
    admin: AdminConfig = AdminConfig()
    log: LogConfig = LogConfig()
    pools: Annotated[dict[PoolName, PoolConfig], Field(min_length=1)]
    routes: tuple[RouteConfig, ...] = ()
