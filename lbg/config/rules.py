"""The rules between sections, checked on the plain data so that they also speak when another key is wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from lbg.config.pool_rules import broken_pool_rules
from lbg.config.pools import PoolConfig
from lbg.config.problems import Broken, shown
from lbg.config.schema import AdminConfig, LogConfig, ServerConfig
from lbg.config.section import Section
from lbg.config.table_rules import broken_table_rules

_Section = TypeVar("_Section", bound=Section)


def broken_rules(data: Mapping[str, object]) -> Iterator[Broken]:
    """Yield the place and the sentence of each rule that the data breaks, passing over what is malformed."""
    server = _valid(ServerConfig, data.get("server", {}))
    yield from _listeners(server, _valid(AdminConfig, data.get("admin", {})))
    yield from _access_file(_valid(LogConfig, data.get("log", {})))
    pools = data.get("pools")
    routes = data.get("routes", [])
    if not isinstance(pools, dict) or not pools or not isinstance(routes, list):
        return
    if not routes and len(pools) > 1:
        yield ("routes",), f"expected at least one [[routes]] table, because there are {len(pools)} pools"
    underscores = server is None or server.underscore_headers
    yield from broken_table_rules(routes, list(pools), underscores=underscores)
    for name, value in pools.items():
        pool = _valid(PoolConfig, value)
        if pool:
            yield from ((("pools", name, *path), message) for path, message in broken_pool_rules(pool))


def _listeners(server: ServerConfig | None, admin: AdminConfig | None) -> Iterator[Broken]:
    if server and admin and (admin.bind.family == "unix" or admin.bind.port) and admin.bind in server.bind:
        yield ("admin", "bind"), f"{shown(admin.bind.text)} is also in server.bind"


def _access_file(log: LogConfig | None) -> Iterator[Broken]:
    if log is None or not log.access or not log.access_file:
        return
    file = Path(log.access_file)
    if file.is_dir():
        yield ("log", "access_file"), f"{file} is a directory"
    elif not file.parent.is_dir():
        yield ("log", "access_file"), f"{file.parent} is not a directory"


def _valid(model: type[_Section], value: object) -> _Section | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
