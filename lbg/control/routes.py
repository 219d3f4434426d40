"""The paths of the admin listener. Errors are problem documents, RFC 9457."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from flask import Flask, Response, jsonify, request
from flask.json.provider import DefaultJSONProvider
from werkzeug.exceptions import HTTPException

from lbg import __version__
from lbg.config.problems import shown
from lbg.control.dashboard import add_dashboard
from lbg.control.endpoint_actions import add_endpoint_actions
from lbg.control.event_stream import TooManyReaders
from lbg.control.problem import problem
from lbg.control.strangers import refuse_strangers

if TYPE_CHECKING:
    from werkzeug.exceptions import MethodNotAllowed

    from lbg.config.schema import AdminConfig
    from lbg.control.documents import Documents
    from lbg.control.endpoint_actions import Changes
    from lbg.control.event_stream import EventStreams
    from lbg.control.status import Status

_LISTED: Final = 100  # events, when nobody says how many
_DIGITS: Final = 16  # of the longest number that JSON readers take as a whole one


class _BadParameter(Exception):
    """A parameter of a request cannot be used."""


class _InOrder(DefaultJSONProvider):
    """Keeps pools and fields in the order in which they were configured and written."""

    sort_keys = False


def make_flask(
    status: Status,
    documents: Documents,
    streams: EventStreams,
    changes: Changes | None,
    admin: AdminConfig,
) -> Flask:
    """Return the application; only health is for strangers."""
    app = Flask("lbg.control", static_folder=None)
    app.json = _InOrder(app)
    # A redirect would lead wherever the Host of the request says.
    app.url_map.merge_slashes = False
    app.before_request(lambda: refuse_strangers(admin))
    app.after_request(_never_stored)
    _add_health(app, status)
    _add_documents(app, status, documents)
    _add_events(app, streams)
    add_endpoint_actions(app, documents, changes)
    add_dashboard(app)
    _add_errors(app)
    return app


def _never_stored(response: Response) -> Response:
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _add_health(app: Flask, status: Status) -> None:
    @app.get("/health/live")
    def live() -> Response:
        return jsonify(status="ok", version=__version__)

    @app.get("/health/ready")
    def ready() -> Response:
        missing = status.not_ready()
        return problem(503, "Not ready", missing) if missing else jsonify(status="ready")


def _add_documents(app: Flask, status: Status, documents: Documents) -> None:
    @app.get("/api/v1/status")
    def show_status() -> Response:
        return jsonify(status.report())

    @app.get("/api/v1/pools")
    def show_pools() -> Response:
        return jsonify(documents.pools())

    @app.get("/api/v1/pools/<name>")
    def show_pool(name: str) -> Response:
        known = documents.pool_names()
        if name not in known:
            there = ", ".join(known)
            return problem(404, "Not Found", f"There is no pool {shown(name)}. There is: {there}.")
        return jsonify(documents.pool(name))

    @app.get("/api/v1/endpoints")
    def show_endpoints() -> Response:
        return jsonify(documents.endpoints())


def _add_events(app: Flask, streams: EventStreams) -> None:
    @app.get("/api/v1/events")
    def show_events() -> Response:
        last_id = _number("Last-Event-ID", request.headers.get("Last-Event-ID"))
        if last_id is None:
            last_id = _number("since", request.args.get("since"))
        history = _number("history", request.args.get("history"))
        kinds = ["text/event-stream", "application/json"]
        if request.accept_mimetypes.best_match(kinds) == "application/json":
            return jsonify(streams.latest(last_id, _LISTED if history is None else history))
        return Response(streams.follow(last_id, history or 0), content_type="text/event-stream")

    @app.errorhandler(_BadParameter)
    def refuse_parameter(error: _BadParameter) -> Response:
        return problem(400, "Bad Request", str(error))

    @app.errorhandler(TooManyReaders)
    def refuse_reader(error: TooManyReaders) -> Response:
        return problem(503, "Service Unavailable", str(error))


def _number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS):
        raise _BadParameter(f"{name}: expected a whole number, got {shown(text)}.")
    return int(text)


def _add_errors(app: Flask) -> None:
    @app.errorhandler(404)
    def not_found(_: Exception) -> Response:
        return problem(404, "Not Found", "There is nothing at this path.")

    @app.errorhandler(405)
    def not_allowed(error: MethodNotAllowed) -> Response:
        allowed = ", ".join(sorted(error.valid_methods or ()))
        response = problem(405, "Method Not Allowed", f"This path takes {allowed}.")
        response.headers["Allow"] = allowed
        return response

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> Response:
        return problem(error.code or 500, error.name, error.description or error.name)

    @app.errorhandler(500)
    def failed(_: Exception) -> Response:  # which Flask has logged
        return problem(500, "Internal Server Error", "lbg has failed to answer; its log says why.")
