"""One route as requests meet it: its configuration, its place in the file and its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.config.routes import RouteConfig

_LONGEST: Final = 100  # characters of a name that is made up


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """`name` is what metrics and logs call it, `index` its place in the configuration."""

    name: str
    config: RouteConfig
    index: int

    def __repr__(self) -> str:
        return f"<Route {self.index} {self.name}>"


def routes_of(configs: Iterable[RouteConfig]) -> tuple[Route, ...]:
    """Return the routes of a configuration, each with a name of its own."""
    configs = tuple(configs)
    taken = {config.name: 1 for config in configs if config.name}
    routes = []
    for index, config in enumerate(configs):
        name = config.name or _unique(_made_up(config), taken)
        taken[name] = 1
        routes.append(Route(name, config, index))
    return tuple(routes)


def _made_up(config: RouteConfig) -> str:
    """Return a name such as "api.example.com/v1", "*=/login:POST" or "*~/users/[0-9]+:x-tenant"."""
    path = config.path or "/"
    if config.path_exact is not None:
        path = f"={config.path_exact}"
    elif config.path_regex:
        path = f"~{config.path_regex}"
    conditions = [*config.methods, *config.headers, *(f"?{name}" for name in config.query)]
    mark = f":{','.join(conditions)}" if conditions else ""
    name = f"{config.host or '*'}{path}{mark}"
    return "".join(character if character.isprintable() else "?" for character in name[:_LONGEST])


def _unique(name: str, taken: dict[str, int]) -> str:
    """Return `name`, with a number where it is taken; `taken` has the last number of each name."""
    if name not in taken:
        return name
    number = taken[name] + 1
    while f"{name}@{number}" in taken:
        number += 1
    taken[name] = number
    return f"{name}@{number}"
