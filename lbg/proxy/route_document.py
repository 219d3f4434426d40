"""A route in words and plain data, for people: nothing in it is a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.config.filters import BasicAuthConfig, UserFilterConfig
from lbg.config.secrets import route_without_secrets
from lbg.routing.conditions import conditions_of

if TYPE_CHECKING:
    from lbg.config.filters import FilterConfig
    from lbg.config.routes import RouteConfig
    from lbg.routing.table import Route

Document = dict[str, Any]


def route_document(route: Route) -> Document:
    """Return what a route asks for and what becomes of its requests."""
    config = route.config
    return {
        "name": route.name,
        "index": route.index,
        "host": config.host,
        **_path(config),
        "conditions": [str(condition) for condition in conditions_of(config)],
        "action": action_document(config),
        "strip_prefix": config.strip_prefix or None,
        "rewrite": config.rewrite.model_dump(exclude_defaults=True) if config.rewrite is not None else None,
        "filters": [filter_document(section) for section in config.filters],
    }


def _path(config: RouteConfig) -> Document:
    if config.path_exact is not None:
        return {"path": config.path_exact, "path_match": "exact"}
    if config.path_regex:
        return {"path": config.path_regex, "path_match": "regex"}
    return {"path": config.path or "/", "path_match": "prefix"}


def action_document(config: RouteConfig) -> Document:
    """Return what becomes of the requests of a route."""
    action: Document = {}
    if config.maintenance is not None:
        action["maintenance"] = config.maintenance.model_dump(mode="json", exclude={"page"})
    if config.redirect is not None:
        action["redirect"] = config.redirect.model_dump()
    elif config.respond is not None:
        action["respond"] = config.respond.model_dump(include={"status", "file"})
    elif config.split:
        action["split"] = {part.pool: part.weight for part in config.split}
        action["split_key"] = config.split_key
    elif config.pool is not None:
        action["pool"] = config.pool
    return route_without_secrets(action)


def filter_document(section: FilterConfig) -> Document:
    """Return the settings of a filter that are not the default; what may be a secret is hidden.

    Of a filter of the user only the names of its options are told, since any may be one.
    """
    if isinstance(section, UserFilterConfig):
        return {"use": section.use, "options": sorted(section.options)}
    settings = section.model_dump(mode="json", exclude_defaults=True, exclude={"use"})
    told = route_without_secrets(settings)
    if isinstance(section, BasicAuthConfig):
        told["users"] = sorted(section.users)
    return {"use": section.use, **told}
