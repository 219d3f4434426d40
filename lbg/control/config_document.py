"""The configuration in force for people: all defaults filled in, and no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, jsonify

from lbg.proxy.route_document import HIDDEN
from lbg.routing.conditions import may_be_secret

if TYPE_CHECKING:
    from lbg.config.schema import Config
    from lbg.config.snapshot import Snapshot

Document = dict[str, Any]

_FIELDS: Final = frozenset({"headers", "query", "set", "add"})  # tables by the name of a field or parameter
_NAMES_ONLY: Final = frozenset({"cookie"})  # settings that are called like a secret and hold its name
_WORDS: Final = re.compile(
    r"(?i)auth|key|session|bearer|jwt|sign"
)  # in names of fields, besides the usual ones
_CREDENTIALS: Final = re.compile(r"(?i)\b(basic|bearer|digest|token)\s+[^\s,]+")
_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s]*@")
_QUERY: Final = re.compile(r"(://[^?#\s]*\?)[^#\s]+")


def add_config(app: Flask, snapshot: Snapshot) -> None:
    """Register the path."""
    document = {
        "source": _text(snapshot.source),
        "generation": snapshot.generation,
        "digest": snapshot.digest,
        "config": without_secrets(snapshot.config),
    }

    @app.get("/api/v1/config")
    def show_config() -> Response:
        return jsonify(document)


def without_secrets(config: Config) -> Document:
    """Return `config` as JSON, where what is a secret, or may be one, is hidden.

    Names of files stay, also of those that hold a key.
    """
    document: Document = config.model_dump(mode="json")
    routes = document.pop("routes")
    shown: Document = _shown(document)
    for pool in shown["pools"].values():
        path, mark, _ = pool["health"]["path"].partition("?")
        pool["health"]["path"] = f"{path}?{HIDDEN}" if mark else path
    return shown | {"routes": [_route(route) for route in routes]}


def _route(route: Document) -> Document:
    filters = [_filter(section) for section in route.pop("filters")]
    shown: Document = _shown(route, in_route=True)
    return shown | {"filters": filters}


def _filter(section: Document) -> Document:
    use = section.pop("use")
    if ":" in use:  # code of the user: any of its options may be a secret
        return {"use": use, **dict.fromkeys(section, HIDDEN)}
    return {"use": use, **_shown(section, in_route=True)}


def _shown(value: Any, *, in_route: bool = False) -> Any:
    """Return `value` without secrets.

    Of the fields that a route asks for or sets, those that are called like a secret are hidden; of
    the fields that lbg sends by itself, all are.
    """
    if isinstance(value, list):
        return [_shown(one, in_route=in_route) for one in value]
    if isinstance(value, str):
        return _text(value) if in_route else _QUERY.sub(rf"\1{HIDDEN}", _text(value))
    if not isinstance(value, dict):
        return value
    return {name: _setting(name, inner, in_route=in_route) for name, inner in value.items()}


def _setting(name: str, value: Any, *, in_route: bool) -> Any:
    if name == "users":
        return _covered(value)
    if name in _FIELDS and isinstance(value, dict):
        return {
            field: _covered(inner) if not in_route or _secret_field(field) else _shown(inner)
            for field, inner in value.items()
        }
    if isinstance(value, str) and may_be_secret(name) and name not in _NAMES_ONLY:
        return _covered(value)
    return _shown(value, in_route=in_route)


def _secret_field(name: str) -> bool:
    return may_be_secret(name) or _WORDS.search(name) is not None


def _covered(value: Any) -> Any:
    """Return `value` with all its texts hidden; that one is empty may be seen."""
    match value:
        case str():
            return HIDDEN if value else ""
        case list():
            return [_covered(one) for one in value]
        case dict():
            return {name: _covered(inner) for name, inner in value.items()}
    return value


def _text(text: str) -> str:
    """Return a text without the user names, passwords and credentials that it may carry."""
    return _CREDENTIALS.sub(rf"\1 {HIDDEN}", _USERINFO.sub(f"{HIDDEN}@", text))
