"""What the admin API says of all routes, with the requests that they had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, jsonify

from lbg.control.config_document import without_secrets
from lbg.routing.table import RouteTable, routes_of
from lbg.state.series import SeriesReader
from lbg.telemetry.metrics_kinds import BOUNDS, Kind

if TYPE_CHECKING:
    from lbg.config.schema import Config
    from lbg.state.series import Series

Document = dict[str, Any]

_CONDITIONS: Final = ("host", "path", "path_exact", "path_regex", "methods", "headers", "query")
_ACTIONS: Final = ("pool", "split", "split_key", "redirect", "respond", "maintenance")
_WAY: Final = ("strip_prefix", "rewrite")
_TIMED: Final = len(BOUNDS) + 1


class RouteList:
    """The routes in order of precedence, as configured but without secrets."""

    def __init__(self, config: Config, series: Series) -> None:
        configured = without_secrets(config)["routes"]
        self._routes = [
            {"name": route.name, "index": route.index, **_document(configured[route.index])}
            for route in RouteTable(routes_of(config.routes)).routes
        ]
        self._reader = SeriesReader(series)

    def documents(self) -> list[Document]:
        """Return the documents of all routes; `requests` are those that are over, of all workers."""
        requests: dict[str, int] = {}
        for entry in self._reader.entries():
            if entry.kind in {Kind.REQUESTS, Kind.TUNNELED}:
                counted = sum(self._reader.values(entry)[:_TIMED])
                requests[entry.labels[0]] = requests.get(entry.labels[0], 0) + counted
        return [route | {"requests": requests.get(route["name"], 0)} for route in self._routes]


def add_route_list(app: Flask, routes: RouteList) -> None:
    """Register the path."""

    @app.get("/api/v1/routes")
    def show_routes() -> Response:
        return jsonify(routes.documents())


def _document(route: Document) -> Document:
    """Return what a route asks for and what becomes of its requests; what is not set is None or left out."""
    chosen = {name: route[name] for name in _CONDITIONS}
    chosen["path_regex"] = chosen["path_regex"] or None
    action = {name: route[name] for name in _ACTIONS if route[name]}
    way = {name: route[name] or None for name in _WAY}
    return chosen | action | way | {"filters": [section["use"] for section in route["filters"]]}
