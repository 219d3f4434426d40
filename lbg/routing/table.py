"""Which route a request takes: exact host before wildcard before any, then the longest path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Route:
    """One way into a pool. `host` is "" for any, `path` a prefix that ends on a segment border."""

    host: str
    path: str
    pool: str

    @property
    def name(self) -> str:
        """What metrics and logs call it."""
        return f"{self.host or '*'}{self.path}"


class RouteTable:
    """An immutable index over routes: a dict look-up per candidate host and per path segment.

    `only` is the catch-all route when there is no other, so that nothing need be compared.
    """

    __slots__ = ("_any", "_hosts", "_wildcards", "only")

    def __init__(self, routes: Iterable[Route]) -> None:
        self._hosts: dict[str, dict[str, Route]] = {}
        self._wildcards: dict[str, dict[str, Route]] = {}
        self._any: dict[str, Route] = {}
        for route in routes:
            self._paths_of(route.host)[route.path.rstrip("/")] = route
        catch_all = self._any.get("") if len(self._any) == 1 else None
        self.only = catch_all if not self._hosts and not self._wildcards else None

    def _paths_of(self, host: str) -> dict[str, Route]:
        if not host:
            return self._any
        if host.startswith("*."):
            return self._wildcards.setdefault(host[2:], {})
        return self._hosts.setdefault(host, {})

    def match(self, host: str, path: str) -> Route | None:
        """Return the most specific route for a lower-case `host` without port and a normalised `path`."""
        for paths in self._candidates(host):
            route = _longest(paths, path)
            if route is not None:
                return route
        return None

    def _candidates(self, host: str) -> Iterable[dict[str, Route]]:
        exact = self._hosts.get(host)
        if exact is not None:
            yield exact
        # RFC 6125 style: the longest suffix first, and "*" stands for at least one whole label.
        suffix = host
        while self._wildcards and "." in suffix:
            suffix = suffix.partition(".")[2]
            paths = self._wildcards.get(suffix)
            if paths is not None:
                yield paths
        yield self._any


def _longest(paths: dict[str, Route], path: str) -> Route | None:
    prefix = path.rstrip("/")
    while True:
        route = paths.get(prefix)
        if route is not None:
            return route
        if not prefix:
            return None
        prefix = prefix.rpartition("/")[0]
