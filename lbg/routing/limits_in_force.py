"""Which limits a configuration applies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lbg.config.filters import ConcurrencyConfig, RateLimitConfig
from lbg.routing.route import routes_of
from lbg.state.bucket_layout import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.config.routes import RouteConfig
    from lbg.routing.route import Route


@dataclass(frozen=True, slots=True)
class LimitsInForce:
    """All limits, by name and then kind, and the names of those that ban."""

    all: tuple[tuple[str, Kind], ...]
    banning: frozenset[str]

    @classmethod
    def of(cls, configs: Iterable[RouteConfig]) -> Self:
        """Return the limits of these routes."""
        names: set[tuple[str, Kind]] = set()
        banning: set[str] = set()
        for route in routes_of(configs):
            for index, section in enumerate(route.config.filters):
                name = filter_name(route, index)
                if isinstance(section, ConcurrencyConfig):
                    names.add((name, Kind.CONCURRENCY))
                elif isinstance(section, RateLimitConfig):
                    names.add((name, Kind.RATE))
                    if section.ban_after and not section.dry_run:
                        banning.add(name)
        return cls(tuple(sorted(names)), frozenset(banning))


def filter_name(route: Route, index: int) -> str:
    """Return what a filter of `route`, by its place, is called: limits may have a name of their own."""
    section = route.config.filters[index]
    named = isinstance(section, RateLimitConfig | ConcurrencyConfig) and section.name
    return named or f"{route.name}#{index}"
