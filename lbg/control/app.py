"""The admin listener: health of lbg itself and its status, as a small Flask application."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any

from lbg import __version__
from lbg.control.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask

    from lbg.state.cells import Cells
    from lbg.state.document import Published


class ControlApp:
    """Answers on the admin listener; Flask is imported at its first request, so proxy workers never do."""

    def __init__(self, published: Published, cells: Cells) -> None:
        self._status = Status(published, cells)
        self._token = published.snapshot.config.admin.token
        self._flask: Flask | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if self._flask is None:
            self._flask = _routes(self._status, self._token)
        return self._flask(environ, start_response)


def _routes(status: Status, token: str) -> Flask:
    from flask import Flask, Response, jsonify, request

    app = Flask("lbg.control", static_folder=None)

    def refuse_strangers() -> Response | None:
        if not token or request.path.startswith("/health/"):
            return None
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return None
        return _problem(401, "Unauthorized", "Send the admin token as Authorization: Bearer TOKEN.")

    def _problem(code: int, title: str, detail: str) -> Response:
        response = jsonify(type="about:blank", title=title, status=code, detail=detail)
        response.status_code = code
        response.mimetype = "application/problem+json"
        if code == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        elif code == 405:
            response.headers["Allow"] = "GET, HEAD, OPTIONS"
        return response

    def live() -> Response:
        return jsonify(status="ok", version=__version__)

    def ready() -> Response:
        missing = status.not_ready()
        if missing:
            return _problem(503, "Not ready", missing)
        return jsonify(status="ready")

    def show_status() -> Response:
        return jsonify(status.report())

    app.before_request(refuse_strangers)
    app.add_url_rule("/health/live", view_func=live)
    app.add_url_rule("/health/ready", view_func=ready)
    app.add_url_rule("/api/v1/status", view_func=show_status)
    app.register_error_handler(404, lambda _: _problem(404, "Not Found", "There is nothing at this path."))
    app.register_error_handler(
        405, lambda _: _problem(405, "Method Not Allowed", "This path is read with GET.")
    )
    return app
