"""Routes and requests as tests write them."""

from typing import Any
from urllib.parse import urlsplit

from lbg.config.routes import RouteConfig
from lbg.routing.table import Route, RouteTable, routes_of


def route(**keys: Any) -> RouteConfig:
    """Return a route of a configuration; it leads to the pool "p" unless told."""
    return RouteConfig.model_validate({"pool": "p", **keys})


def table_of(*configs: RouteConfig) -> RouteTable:
    """Return the table of these routes."""
    return RouteTable(routes_of(configs))


def environ(method: str = "GET", query: str = "", **headers: str) -> dict[str, str]:
    """Return the CGI keys of a request; `x_env="b"` is the field X-Env."""
    fields = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return {"REQUEST_METHOD": method, "QUERY_STRING": query, **fields}


def matched(table: RouteTable, url: str, method: str = "GET", **headers: str) -> str | None:
    """Return the name of the route that a request takes, such as GET "//host/path?query"."""
    parts = urlsplit(url)
    found: Route | None = table.match(
        parts.netloc, parts.path or "/", environ(method, parts.query, **headers)
    )
    return found.name if found else None
