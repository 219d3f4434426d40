"""The configuration in force for people: all defaults filled in, and no secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify

from lbg.config.secrets import (
    HIDDEN,
    route_without_secrets,
    settings_without_secrets,
    text_without_secrets,
)

if TYPE_CHECKING:
    from lbg.config.schema import Config
    from lbg.config.snapshot import Snapshot

Document = dict[str, Any]


def add_config(app: Flask, snapshot: Snapshot) -> None:
    """Register the path."""
    document = {
        "source": text_without_secrets(snapshot.source),
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
    return settings_without_secrets(document) | {"routes": [_route(route) for route in routes]}


def _route(route: Document) -> Document:
    filters = [_filter(section) for section in route.pop("filters")]
    return route_without_secrets(route) | {"filters": filters}


def _filter(section: Document) -> Document:
    use = section.pop("use")
    if ":" in use:  # code of the user: any of its options may be a secret
        return {"use": use, **dict.fromkeys(section, HIDDEN)}
    return {"use": use, **route_without_secrets(section)}
