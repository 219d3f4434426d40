"""From the path as received to a route, or to the reason why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.errors import LocalReply
from lbg.http.target import readings, routing_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbg.routing.table import Route, RouteTable


def find_route(table: RouteTable, host: str, raw_path: str, environ: Mapping[str, Any]) -> tuple[Route, str]:
    """Return the route of a request and its normalised path.

    `host` is in lower case and without port, `raw_path` the target without the query. Raises LocalReply.
    """
    path = routing_path(raw_path)
    if path is None:
        raise LocalReply("bad_request", "The path of the request leaves the root.")
    if table.only is not None and path is raw_path:
        return table.only, path
    route = table.match(host, path, environ)
    if route is None:
        raise LocalReply("no_route", "No route leads from this host and path to a backend.")
    if path is not raw_path:
        # The backend reads the path by its own rules: what may look different to it must not pass.
        others = readings(raw_path)
        if not others or any(
            other != path and table.match(host, other, environ) is not route for other in others
        ):
            raise LocalReply("bad_request", "The path of the request leaves its route.")
    return route, path
