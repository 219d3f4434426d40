"""The files of the dashboard, and what a browser may do with answers of the admin listener."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, abort, request

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE: Final = "page.html"
_FOLDER: Final = "/dashboard/"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The page has no inline script or style, and makes no markup from text.
_POLICY: Final = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_GUARDS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with no-referrer some requests would lose their Origin
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent; `tag` changes with its content."""

    content: bytes
    content_type: str
    tag: str


def add_dashboard(app: Flask) -> None:
    """Register the page and its files, and have all answers say what a browser may do with them."""

    @app.get("/")
    def show_page() -> Response:
        return _sent(PAGE)

    @app.get(f"{_FOLDER}<name>")
    def show_file(name: str) -> Response:
        return _sent(name)

    @app.after_request
    def guard(response: Response) -> Response:
        response.headers.update(_GUARDS)
        return response


def is_dashboard(path: str) -> bool:
    """Return whether a path is of the page or its files, which tell nothing of this lbg."""
    return path == "/" or (path.startswith(_FOLDER) and path.removeprefix(_FOLDER) in load())


@cache
def load() -> Mapping[str, File]:
    """Return the files by name, read once."""
    found = {}
    for entry in (files(__package__) / "static").iterdir():
        content_type = _TYPES.get(entry.name[entry.name.rfind(".") :])
        if content_type is not None:
            content = entry.read_bytes()
            found[entry.name] = File(content, content_type, sha256(content).hexdigest()[:16])
    return found


def _sent(name: str) -> Response:
    file = load().get(name)
    if file is None:
        abort(404)
    response = Response(file.content, content_type=file.content_type)
    response.set_etag(file.tag)
    # Kept, but asked about each time: an upgrade exchanges all files at once.
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response
