"""The rules between sections, checked on the plain data so that they also speak when another key is wrong."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from pydantic import ValidationError

from lbg.config.messages import did_you_mean
from lbg.config.pool_rules import Broken, broken_pool_rules
from lbg.config.pools import PoolConfig
from lbg.config.problems import shown
from lbg.config.schema import AdminConfig, RouteConfig, ServerConfig
from lbg.config.section import Section

_Section = TypeVar("_Section", bound=Section)


def broken_rules(data: Mapping[str, object]) -> Iterator[Broken]:
    """Yield the place and the sentence of each rule that the data breaks, passing over what is malformed."""
    yield from _listeners(data)
    pools = data.get("pools")
    routes = data.get("routes", [])
    if not isinstance(pools, dict) or not pools or not isinstance(routes, list):
        return
    if not routes and len(pools) > 1:
        yield ("routes",), f"expected at least one [[routes]] table, because there are {len(pools)} pools"
    valid = {index: route for index, value in enumerate(routes) if (route := _valid(RouteConfig, value))}
    yield from _targets(valid, list(pools))
    yield from _repeats(valid)
    for name, value in pools.items():
        pool = _valid(PoolConfig, value)
        if pool:
            yield from ((("pools", name, *path), message) for path, message in broken_pool_rules(pool))


def _listeners(data: Mapping[str, object]) -> Iterator[Broken]:
    server = _valid(ServerConfig, data.get("server", {}))
    admin = _valid(AdminConfig, data.get("admin", {}))
    if server and admin and (admin.bind.family == "unix" or admin.bind.port) and admin.bind in server.bind:
        yield ("admin", "bind"), f"{shown(admin.bind.text)} is also in server.bind"


def _targets(routes: Mapping[int, RouteConfig], pools: list[str]) -> Iterator[Broken]:
    for index, route in routes.items():
        if route.pool not in pools:
            hint = did_you_mean(route.pool, pools)
            yield ("routes", index, "pool"), f"there is no pool named {shown(route.pool)}{hint}"


def _repeats(routes: Mapping[int, RouteConfig]) -> Iterator[Broken]:
    first: dict[tuple[str | None, str], int] = {}
    for index, route in routes.items():
        earlier = first.setdefault((route.host, route.path), index)
        if earlier != index:
            yield ("routes", index), f"same host and path as routes[{earlier}]"


def _valid(model: type[_Section], value: object) -> _Section | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
