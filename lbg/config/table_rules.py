"""The rules of `[[routes]]`: those of each route and its filters, and those between routes."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from lbg.config.filter_rules import broken_chain_rules, broken_filter_rules
from lbg.config.filters import ForwardAuthConfig, MirrorConfig, model_of
from lbg.config.hints import did_you_mean
from lbg.config.limit_rules import unequal_limits
from lbg.config.problems import Broken, KeyPath, shown
from lbg.config.route_rules import broken_route_rules
from lbg.config.routes import ConditionConfig, RouteConfig
from lbg.config.section import Section
from lbg.config.template_rules import broken_groups, texts_of_filter, texts_of_route
from lbg.config.written import Written, as_written
from lbg.http.target import routing_path

_CONDITIONS = ("host", "path", "path_exact", "path_regex", "methods", "headers", "query")


@dataclass(frozen=True, slots=True)
class _Route:
    """A route as it was written, without its filters, and those of them that can be read, by place."""

    index: int
    written: Written[RouteConfig]
    filters: Mapping[int, Written[Section]]

    @property
    def config(self) -> RouteConfig:
        return self.written.section


def broken_table_rules(
    routes: Sequence[object], pools: Sequence[str], *, underscores: bool
) -> Iterator[Broken]:
    """Yield the place and the sentence of each rule that the routes break, passing over what is malformed.

    `underscores` says whether field names with "_" pass.
    """
    table = [route for index, value in enumerate(routes) if (route := _read(index, value))]
    for route in table:
        for path, sentence in _of_route(route, pools, underscores=underscores):
            yield ("routes", route.index, *path), sentence
    yield from _same_conditions(table)
    yield from _same_names(table)
    yield from unequal_limits(
        (("routes", route.index, "filters", index), written)
        for route in table
        for index, written in route.filters.items()
    )


def _read(index: int, value: object) -> _Route | None:
    if not isinstance(value, dict):
        return None
    written = as_written(RouteConfig, {key: one for key, one in value.items() if key != "filters"})
    if written is None:
        return None
    items = value.get("filters")
    filters = {
        place: read
        for place, item in enumerate(items if isinstance(items, list) else ())
        if (read := _read_filter(item))
    }
    return _Route(index, written, filters)


def _read_filter(item: object) -> Written[Section] | None:
    table = {"use": item} if isinstance(item, str) else item
    return as_written(model_of(table), table)


def _of_route(route: _Route, pools: Sequence[str], *, underscores: bool) -> Iterator[Broken]:
    yield from broken_route_rules(route.written)
    for path, name in _pools_of(route):
        if name not in pools:
            yield path, f"there is no pool named {shown(name)}{did_you_mean(name, pools)}"
    if route.written.right("path_regex"):
        yield from broken_groups(_texts(route), route.config.path_regex)
    for index, written in route.filters.items():
        for path, sentence in broken_filter_rules(written, underscores=underscores):
            yield ("filters", index, *path), sentence
    yield from broken_chain_rules(
        {index: str(written.data["use"]) for index, written in route.filters.items()}
    )


def _pools_of(route: _Route) -> Iterator[tuple[KeyPath, str]]:
    if route.config.pool is not None:
        yield ("pool",), route.config.pool
    for index, part in enumerate(route.config.split):
        yield ("split", index, "pool"), part.pool
    for index, written in route.filters.items():
        if isinstance(written.section, ForwardAuthConfig | MirrorConfig):
            yield ("filters", index, "pool"), written.section.pool


def _texts(route: _Route) -> Iterator[tuple[KeyPath, str]]:
    yield from texts_of_route(route.config)
    for index, written in route.filters.items():
        yield from ((("filters", index, *path), text) for path, text in texts_of_filter(written.section))


def _same_conditions(table: Iterable[_Route]) -> Iterator[Broken]:
    first: dict[Hashable, int] = {}
    for route in table:
        if not route.written.right(*_CONDITIONS):
            continue
        config = route.config
        earlier = first.setdefault(_asked(config), route.index)
        if earlier != route.index:
            more = config.methods or config.headers or config.query
            what = "same conditions" if more else "same host and path"
            yield ("routes", route.index), f"{what} as routes[{earlier}]"


def _asked(config: RouteConfig) -> Hashable:
    if config.path_exact is not None:
        path: Hashable = ("exact", routing_path(config.path_exact))
    elif config.path_regex:
        path = ("regex", config.path_regex)
    else:
        path = ("prefix", (routing_path(config.path or "/") or "").rstrip("/"))
    headers = {name.lower(): condition for name, condition in config.headers.items()}
    return config.host, path, frozenset(config.methods), _values(headers), _values(config.query)


def _values(conditions: Mapping[str, ConditionConfig]) -> Hashable:
    return frozenset(
        (name, frozenset(condition.values), condition.regex, condition.present)
        for name, condition in conditions.items()
    )


def _same_names(table: Iterable[_Route]) -> Iterator[Broken]:
    first: dict[str, int] = {}
    for route in table:
        name = route.config.name
        if name and first.setdefault(name, route.index) != route.index:
            yield ("routes", route.index, "name"), f"routes[{first[name]}] has this name, too"
