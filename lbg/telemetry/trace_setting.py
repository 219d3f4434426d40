"""Which key of the configuration decided what became of a request, with its value."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, TypeGuard

from lbg.config.filters import (
    AccessConfig,
    BasicAuthConfig,
    BodyLimitConfig,
    ConcurrencyConfig,
    ForwardAuthConfig,
    RateLimitConfig,
    UserFilterConfig,
)

if TYPE_CHECKING:
    from lbg.config.filters import FilterConfig
    from lbg.config.schema import Config
    from lbg.telemetry.record import Route

_SERVER: Final = {
    "headers_too_large": "max_header_bytes",
    "uri_too_long": "max_header_bytes",
    "body_too_large": "max_body_bytes",
    "client_header_timeout": "header_timeout",
    "client_body_timeout": "body_timeout",
    "loop": "via",
    "shutdown": "shutdown_grace",
}
_POOL: Final = {
    "no_healthy": ("when_all_down",),
    "queue_full": ("queue", "size"),
    "queue_timeout": ("queue", "timeout"),
    "dns_failure": ("timeouts", "connect"),
    "connect_timeout": ("timeouts", "connect"),
    "response_timeout": ("timeouts", "response"),
    "read_timeout": ("timeouts", "idle"),
}
_TIMEOUTS: Final = frozenset(
    {"queue_timeout", "dns_failure", "connect_timeout", "response_timeout", "read_timeout"}
)
# The filters that answer with a reason, and the key of each that says the most.
_FILTERS: Final[dict[str, dict[type, str]]] = {
    "denied": {AccessConfig: "use"},
    "unauthorized": {BasicAuthConfig: "use"},
    "rate_limited": {RateLimitConfig: "rate", ConcurrencyConfig: "limit", BasicAuthConfig: "use"},
    "banned": {RateLimitConfig: "ban_after"},
    "body_too_large": {BodyLimitConfig: "limit"},
    "filter_error": {UserFilterConfig: "use"},
}
# Words of details that are about what no key decides.
_FIXED: Final = ("header fields", "header rule")

# Words of why there is no further try, and the key that they are about.
_RETRY: Final = {
    "attempts were made": "attempts",
    "retry.on": "on",
    "retry_budget": "budget",
    "replay buffer": "buffer",
}


def retry_setting(gave_up: str, config: Config, pool: str | None) -> str | None:
    """Return the key that ruled out a further try, such as `pools.api.retry.attempts = 3`, if one did."""
    key = next((key for words, key in _RETRY.items() if words in gave_up), None)
    if key is None or pool is None or pool not in config.pools:
        return None
    return f"pools.{pool}.retry.{key} = {json.dumps(getattr(config.pools[pool].retry, key))}"


def has_key(reason: str | None, detail: str) -> TypeGuard[str]:
    """Return whether a key may have decided on an answer whose client was told `detail`."""
    return reason is not None and not any(words in detail for words in _FIXED)


def setting_of(reason: str, config: Config, route: Route | None, pool: str | None, took: float) -> str | None:
    """Return a line such as `pools.api.timeouts.connect = 5.0`, None where no one key decided.

    `took` is the seconds of the whole request.
    """
    filters = _filters(reason, route)
    if filters:
        return filters
    if reason in _POOL and pool in config.pools:
        assert pool is not None
        if reason == "dns_failure" and took < config.pools[pool].timeouts.connect:
            return None  # the resolver answered
        return _of_pool(reason, config, pool, took)
    name = _SERVER.get(reason)
    return None if name is None else f"server.{name} = {json.dumps(getattr(config.server, name))}"


def _filters(reason: str, route: Route | None) -> str:
    keys = _FILTERS.get(reason)
    if keys is None or route is None:
        return ""
    return " or ".join(
        f"routes[{route.index}].filters[{place}].{key} = {json.dumps(getattr(section, key))}"
        for place, section in enumerate(route.config.filters)
        for kind, key in keys.items()
        if isinstance(section, kind)
    )


def _of_pool(reason: str, config: Config, pool: str, took: float) -> str:
    section = config.pools[pool]
    path: tuple[str, ...] = _POOL[reason]
    total = section.timeouts.total
    if reason in _TIMEOUTS and total and took >= total:
        path = ("timeouts", "total")
    value: object = section
    for name in path:
        value = getattr(value, name)
    return f"pools.{pool}.{'.'.join(path)} = {json.dumps(value)}"


def filters_of(route: Route | None, reason: str, gave_up: str) -> list[str]:
    """Return the filters a request came to, in order: all, or those up to the one that answered it."""
    if route is None:
        return []
    sections = route.config.filters
    kinds = tuple(_FILTERS.get(reason, ()))
    if gave_up.startswith("forward_auth"):
        kinds = (ForwardAuthConfig,)
    ends = next(
        (place for place, section in enumerate(sections) if isinstance(section, kinds)), len(sections)
    )
    return [_name(section) for section in sections[: ends + 1]]


def _name(section: FilterConfig) -> str:
    name = getattr(section, "name", "")
    return f"{section.use} ({name})" if name else section.use
