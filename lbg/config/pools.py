"""`[pools.NAME]` and the tables below it. Times are seconds, sizes are bytes."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from lbg.config.fields import Count, Flag, Seconds, SecondsOrZero
from lbg.config.pool_fields import (
    Attempts,
    Balance,
    BodyPattern,
    BufferBytes,
    CookieName,
    CookieSeconds,
    EndpointUrl,
    ErrorStatus,
    FileName,
    Fraction,
    HashBound,
    HeaderFields,
    HealthTarget,
    Method,
    OptionalHost,
    Port,
    StatusRanges,
    StickySecret,
    Weight,
)
from lbg.config.problems import shown
from lbg.config.route_fields import KeySpec
from lbg.config.section import Section
from lbg.net.address import Address, parse_endpoint_url


class EndpointConfig(Section):
    """One endpoint; a URL alone stands for `{ url = URL }`, and `url` is kept in canonical form."""

    url: EndpointUrl
    weight: Weight = 1
    max_requests: Count = 0
    """In flight at once, over all workers; 0 is no limit."""
    backup: Flag = False
    """Used only while no other endpoint of the pool is usable."""

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


class HealthConfig(Section):
    """`[pools.NAME.health]`: active checks by the control worker; `timeout` covers the whole answer.

    `fast_interval` holds while an endpoint is neither fully up nor fully down. An empty `host` sends
    what a request would carry; `port` 0 is the endpoint's own.
    """

    type: Literal["http", "tcp", "none"] = "http"
    scheme: Literal["http", "https"] = "http"
    method: Method = "GET"
    path: HealthTarget = "/"
    host: OptionalHost = ""
    port: Port = 0
    headers: HeaderFields = {}
    interval: Seconds = 3.0
    timeout: Seconds = 2.0
    fast_interval: Seconds = 1.0
    rise: Attempts = 2
    fall: Attempts = 3
    expect_status: StatusRanges = "200-399"
    expect_body: BodyPattern = ""
    """A regular expression that must be found in the first 64 KiB of the body; "" is any body."""


class OutlierConfig(Section):
    """`[pools.NAME.outlier]`: ejection by what requests meet; 0 switches a cause off."""

    connect_failures: Count = 3
    server_errors: Count = 5
    eject: Seconds = 10.0
    max_eject: Seconds = 300.0
    max_ejected: Fraction = 0.5
    """The share of the pool that may be ejected at once; one always may."""


class RetryConfig(Section):
    """`[pools.NAME.retry]`: `attempts` counts all tries, `buffer` is how much body is kept for another.

    `budget` is the share of requests in 10 s that may be tried again, over all workers.
    """

    attempts: Attempts = 3
    on: tuple[Literal["connect", "stale", "reset", "down", "timeout"], ...] = (
        "connect",
        "stale",
        "reset",
        "down",
    )
    status: tuple[ErrorStatus, ...] = ()
    budget: Fraction = 0.2
    buffer: BufferBytes = 65_536
    non_idempotent: Flag = False
    """Also try POST, PATCH and others again for a status in `status`."""


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


class QueueConfig(Section):
    """`[pools.NAME.queue]`: requests that wait while every usable endpoint is at its `max_requests`."""

    size: Count = 100
    timeout: Seconds = 5.0


class TlsConfig(Section):
    """`[pools.NAME.tls]`: how an https health check verifies the endpoint. Files are PEM."""

    verify: Flag = True
    ca: FileName = ""
    """Certificates to trust instead of the system's."""
    cert: FileName = ""
    """Our own certificate, for an endpoint that asks for one, and its `key`."""
    key: FileName = ""
    server_name: OptionalHost = ""
    """The name to ask for and to verify; "" is the endpoint's host."""


class StickyConfig(Section):
    """`[pools.NAME.sticky]`: a cookie that leads a client to the same endpoint again."""

    cookie: CookieName = "lbg"
    ttl: CookieSeconds = 0
    """How long the client keeps it; 0 is until it closes."""
    secret: StickySecret = Field(repr=False)
    """Signs the cookie; the same in all processes that share the clients."""


class PoolConfig(Section):
    """`[pools.NAME]`: endpoints that serve the same thing, and how they are used."""

    balance: Balance = "power_of_two"
    """A policy by name, or the user's own as package.module:attribute."""
    hash_key: KeySpec = "client_ip"
    """By what a policy tells requests apart; only for "hash" and the user's own."""
    hash_bound: HashBound = 0
    """How many percent of its share of the requests in flight an endpoint may get; 0 is no limit."""
    host: Literal["client", "endpoint"] = "client"
    """Which Host field the endpoint receives: the client's or its own."""
    endpoints: Annotated[tuple[EndpointConfig, ...], Field(min_length=1)]
    when_all_down: Literal["fail_closed", "fail_open"] = "fail_closed"
    slow_start: SecondsOrZero = 0.0
    """How long an endpoint that came back takes to its full weight."""
    health: HealthConfig = HealthConfig()
    outlier: OutlierConfig = OutlierConfig()
    retry: RetryConfig = RetryConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    connections: ConnectionsConfig = ConnectionsConfig()
    queue: QueueConfig = QueueConfig()
    tls: TlsConfig = TlsConfig()
    sticky: StickyConfig | None = None

    @field_validator("endpoints")
    @classmethod
    def _distinct(cls, endpoints: tuple[EndpointConfig, ...]) -> tuple[EndpointConfig, ...]:
        first: dict[str, int] = {}
        for index, endpoint in enumerate(endpoints):
            earlier = first.setdefault(endpoint.url, index)
            if earlier != index:
                raise ValueError(f"items {earlier} and {index} are the same endpoint, {endpoint.url}")
        return endpoints
