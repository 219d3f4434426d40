"""Configuration from environment variables: LBG_SECTION__KEY and LBG_ENDPOINTS."""

import json
from collections.abc import Iterator, Mapping
from typing import get_origin

from lbg.config.hints import did_you_mean
from lbg.config.problems import KeyPath, Problem
from lbg.config.schema import AdminConfig, LogConfig, ServerConfig, TracingConfig
from lbg.config.section import Section

_SECTIONS: dict[str, type[Section]] = {
    "server": ServerConfig,
    "admin": AdminConfig,
    "log": LogConfig,
    "tracing": TracingConfig,
}
_VARIABLES: dict[str, tuple[str, str]] = {
    f"LBG_{section}__{key}".upper(): (section, key)
    for section, model in _SECTIONS.items()
    for key in model.model_fields
}


def variables_of_keys(environ: Mapping[str, str]) -> dict[KeyPath, str]:
    """Return the variable that sets each (section, key) that the environment sets."""
    return {path: name for name, path in _VARIABLES.items() if name in environ}


def unknown_variables(environ: Mapping[str, str]) -> Iterator[Problem]:
    """Yield a problem for each LBG_SECTION__KEY that names no key."""
    for name in environ:
        if name.startswith("LBG_") and "__" in name and name not in _VARIABLES:
            yield Problem(name, None, "", "unknown variable" + did_you_mean(name, _VARIABLES))


def with_variables(data: Mapping[str, object], environ: Mapping[str, str]) -> dict[str, object]:
    """Return the data with the values that the environment sets in place of its own."""
    merged = dict(data)
    for name, (section, key) in _VARIABLES.items():
        table = merged.get(section, {})
        if name in environ and isinstance(table, dict):
            value = _value(environ[name], _SECTIONS[section].model_fields[key].annotation)
            merged[section] = {**table, key: value}
    return merged


def data_of_endpoints(text: str) -> dict[str, object]:
    """Return the data of one pool, named default, with the endpoints of a comma-separated list."""
    return {"pools": {"default": {"endpoints": _items(text)}}}


def _value(text: str, annotation: object) -> object:
    """Give a text the type its key needs; a text that cannot have it stays, for the schema to refuse."""
    if get_origin(annotation) is tuple:
        return _list(text)
    try:
        if annotation is bool:
            return {"true": True, "false": False}[text.lower()]
        return annotation(text) if annotation in (int, float) else text
    except (KeyError, ValueError):
        return text


def _list(text: str) -> list[object]:
    try:
        items = json.loads(text)
    except (ValueError, RecursionError):
        return _items(text)
    return items if isinstance(items, list) else _items(text)


def _items(text: str) -> list[object]:
    return [item.strip() for item in text.split(",") if item.strip()]
