"""Which route a request takes: the most specific one, in an order that leaves nothing open.

1. The host: exact, then the longest wildcard, then any.
2. The path: exact, then patterns in the order of the file, then the longest prefix. Patterns come before
   prefixes, as in nginx, because next to a catch-all prefix they would never be reached otherwise.
3. More conditions: the methods count as one, each header field and each query parameter as one.
4. The order of the file.

A host whose own routes do not match falls through to wildcards, the shorter ones too, and to any host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbg.routing.conditions import conditions_of
from lbg.routing.path_index import Candidate, PathIndex, path_of
from lbg.routing.route import Route, routes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["Route", "RouteTable", "Verdict", "routes_of"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A route whose host and path fit, and why it does not take the request: "" when it does."""

    route: Route
    why_not: str


class RouteTable:
    """An immutable index over routes: a dict look-up per candidate host and per path segment.

    `routes` are in order of precedence. `only` is the catch-all route without conditions when there is
    no other, so that nothing need be compared.
    """

    __slots__ = ("_any", "_hosts", "_labels", "_wildcards", "only", "routes")

    def __init__(self, routes: Iterable[Route]) -> None:
        candidates = _in_order([Candidate(route, conditions_of(route.config)) for route in routes])
        self.routes = tuple(candidate.route for candidate in candidates)
        by_host: dict[str, list[Candidate]] = {}
        for candidate in candidates:
            by_host.setdefault(candidate.route.config.host or "", []).append(candidate)
        self._any = PathIndex(by_host.pop("", ()))
        self._wildcards = {host[2:]: PathIndex(some) for host, some in by_host.items() if host[:2] == "*."}
        self._hosts = {host: PathIndex(some) for host, some in by_host.items() if host[:2] != "*."}
        self._labels = max((suffix.count(".") + 1 for suffix in self._wildcards), default=0)
        self.only = self.routes[0] if len(candidates) == 1 and _takes_all(candidates[0]) else None

    def match(self, host: str, path: str, environ: Mapping[str, Any]) -> Route | None:
        """Return the most specific route for a lower-case `host` without port and a normalised `path`.

        `environ` has the CGI keys: REQUEST_METHOD, HTTP_* and QUERY_STRING.
        """
        for index in self._indexes(host):
            for group in index.groups(path):
                route = group.first(environ)
                if route is not None:
                    return route
        return None

    def explain(self, host: str, path: str, environ: Mapping[str, Any]) -> Iterator[Verdict]:
        """Yield a verdict on each route that `match` considers; the one it takes comes last."""
        for index in self._indexes(host):
            for group in index.groups(path):
                for candidate in group.candidates:
                    failing = (one for one in candidate.conditions if not one.holds(environ))
                    failed = next(failing, None)
                    yield Verdict(candidate.route, failed.failure(environ) if failed is not None else "")
                    if failed is None:
                        return

    def _indexes(self, host: str) -> Iterator[PathIndex]:
        exact = self._hosts.get(host)
        if exact is not None:
            yield exact
        if self._wildcards:
            # The longest suffix first, and "*" stands for at least one whole label.
            labels = host.rsplit(".", self._labels)[1:]
            while labels:
                index = self._wildcards.get(".".join(labels))
                if index is not None:
                    yield index
                labels = labels[1:]
        yield self._any


def _takes_all(candidate: Candidate) -> bool:
    return not (candidate.route.config.host or candidate.conditions) and path_of(candidate.route) == (2, "")


def _in_order(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates in order of precedence."""
    first: dict[tuple[str, str], int] = {}
    for candidate in candidates:
        kind, path = path_of(candidate.route)
        if kind == 1:  # routes with the same pattern stand where its first one does
            first.setdefault((candidate.route.config.host or "", path), candidate.route.index)

    def rank(candidate: Candidate) -> tuple[int, int, int, int, int, int]:
        route = candidate.route
        host = route.config.host or ""
        kind, path = path_of(route)
        return (
            2 if not host else 1 if host.startswith("*.") else 0,
            -len(host) if host.startswith("*.") else 0,
            kind,
            first[host, path] if kind == 1 else -len(path),
            -len(candidate.conditions),
            route.index,
        )

    return sorted(candidates, key=rank)
