"""The rules between the keys of one route."""

import re
from collections.abc import Iterator, Sequence

from lbg.config.field_rules import own_field, repeated_names
from lbg.config.problems import Broken, KeyPath, listed, shown
from lbg.config.route_fields import page_content
from lbg.config.routes import ConditionConfig, RespondConfig, RewriteConfig, RouteConfig
from lbg.config.written import Written

_DESTINATIONS = ("pool", "split", "redirect", "respond")
_PATHS = ("path", "path_exact", "path_regex")
_NO_BODY = frozenset({204, 304})
_BACKSLASH = re.compile(r"\\(?:g<(?P<name>\w+)>|(?P<number>[1-9][0-9]?)|(?P<other>.?))", re.DOTALL)


def broken_route_rules(route: Written[RouteConfig]) -> Iterator[Broken]:
    """Yield the place below the route and the sentence of each rule that it breaks; opens its pages."""
    for keys in (_DESTINATIONS, _PATHS, ("strip_prefix", "rewrite")):
        yield from _at_most_one(route, keys)
    yield from _destination(route)
    yield from _conditions(route)
    yield from _split(route)
    yield from _strip_prefix(route)
    yield from _rewrite(route)
    yield from _respond(route)
    yield from _pages(route.section)


def _at_most_one(route: Written[RouteConfig], keys: Sequence[str]) -> Iterator[Broken]:
    given = route.has(*keys)
    for key in given[1:]:
        yield (key,), f"{given[0]} is there already, a route has at most one of {listed(keys)}"


def _destination(route: Written[RouteConfig]) -> Iterator[Broken]:
    if route.has(*_DESTINATIONS) or route.unknown:
        return
    maintenance = route.section.maintenance
    if not route.has("maintenance"):
        yield (), f"expected one of {listed((*_DESTINATIONS, 'maintenance'))}"
    elif maintenance is not None and maintenance.allow:
        sentence = f"expected {listed(_DESTINATIONS, 'or')}, too, for those who may pass"
        yield ("maintenance", "allow"), sentence


def _conditions(route: Written[RouteConfig]) -> Iterator[Broken]:
    config = route.section
    yield from ((("headers", name), sentence) for name, sentence in repeated_names(config.headers))
    for key, conditions in (("headers", config.headers), ("query", config.query)):
        written = route.data.get(key)
        for name, condition in conditions.items():
            value = written.get(name) if isinstance(written, dict) else None
            yield from ((((key, name, *path)), sentence) for path, sentence in _condition(condition, value))


def _condition(condition: ConditionConfig, written: object) -> Iterator[Broken]:
    if not isinstance(written, dict):
        return
    if written.get("values") == []:
        yield ("values",), "expected at least one entry, got none"
    if condition.values and condition.regex:
        yield ("regex",), "values is there, too, expected one of them"
    if not condition.present and (condition.values or condition.regex):
        yield ("present",), "what is absent has no value, expected true"


def _split(route: Written[RouteConfig]) -> Iterator[Broken]:
    split = route.section.split
    if route.has("split_key") and not route.has("split"):
        yield ("split_key",), "only split heeds it"
    if not route.has("split") or not route.right("split"):
        return
    if not split:
        yield ("split",), "expected at least one entry, got none"
    elif not any(part.weight for part in split):
        yield ("split",), "every weight is 0, expected at least one that is not"
    first: dict[str, int] = {}
    for index, part in enumerate(split):
        earlier = first.setdefault(part.pool, index)
        if earlier != index:
            yield ("split", index, "pool"), f"{shown(part.pool)} is in split[{earlier}], too"


def _strip_prefix(route: Written[RouteConfig]) -> Iterator[Broken]:
    prefix = route.section.strip_prefix
    if not prefix or not route.right(*_PATHS):
        return
    key = "path_exact" if route.section.path is None else "path"
    path = route.section.path or route.section.path_exact
    if _stays_here(route):
        yield ("strip_prefix",), "only routes to a pool heed it"
    elif path is None:
        yield ("strip_prefix",), "expected path or path_exact, too, which begins with it"
    elif not f"{path}/".startswith(f"{prefix}/"):
        yield ("strip_prefix",), f"expected whole segments at the beginning of {key}, {shown(path)}"


def _stays_here(route: Written[RouteConfig]) -> bool:
    return bool(route.has("redirect", "respond", "maintenance")) and not route.has("pool", "split")


def _rewrite(route: Written[RouteConfig]) -> Iterator[Broken]:
    config = route.section.rewrite
    if config is None:
        return
    if _stays_here(route):
        yield ("rewrite",), "only routes to a pool heed it"
    else:
        yield from ((("rewrite", *path), sentence) for path, sentence in _rewritten(config, route))


def _rewritten(config: RewriteConfig, route: Written[RouteConfig]) -> Iterator[Broken]:
    written = route.data["rewrite"]
    given = [key for key in RewriteConfig.model_fields if isinstance(written, dict) and key in written]
    if not given:
        yield (), "expected prefix, or regex and to"
    elif "prefix" in given and len(given) > 1:
        yield ("prefix",), f"{given[1]} is there, too, expected prefix, or regex and to"
    elif given == ["regex"]:
        yield ("to",), "missing, regex needs it"
    elif given == ["to"]:
        yield ("regex",), "missing, to needs it"
    elif given == ["prefix"] and not route.has("path", "path_exact"):
        yield ("prefix",), "expected path or path_exact, too, in whose place it comes"
    elif config.regex:
        yield from ((("to",), sentence) for sentence in _replacement(re.compile(config.regex), config.to))


def _replacement(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for found in _BACKSLASH.finditer(text):
        name, number = found["name"], found["number"]
        if name and name.isdigit():
            yield f'expected "\\{name}" for a group without a name, got {shown(found[0])}'
        elif (name and name not in pattern.groupindex) or (number and int(number) > pattern.groups):
            yield f"regex has no group {name or number}"
        elif found["other"] not in {None, "\\"}:
            yield rf'expected "\1", "\g<name>" or "\\", got {shown(found[0])}'


def _respond(route: Written[RouteConfig]) -> Iterator[Broken]:
    config = route.section.respond
    written = route.data.get("respond")
    if config is None or not isinstance(written, dict):
        return
    yield from ((("respond", *path), sentence) for path, sentence in _answer(config, list(written)))


def _answer(config: RespondConfig, given: Sequence[str]) -> Iterator[Broken]:
    contents = [key for key in given if key in {"body", "file"}]
    if config.status in _NO_BODY:
        yield from (((key,), f"an answer with status {config.status} has no body") for key in contents)
    elif len(contents) > 1:
        yield (contents[1],), f"{contents[0]} is there already, an answer has at most one of body and file"
    if "content_type" in given and contents == ["file"]:
        yield ("content_type",), "only body heeds it, for a file the end of its name tells the type"
    for name, sentence in repeated_names(config.headers):
        yield ("headers", name), sentence
    for name in config.headers:
        if reason := own_field(name):
            yield ("headers", name), reason


def _pages(config: RouteConfig) -> Iterator[Broken]:
    for path, name in _files(config):
        try:
            page_content(name)
        except ValueError as error:
            yield path, str(error)


def _files(config: RouteConfig) -> Iterator[tuple[KeyPath, str]]:
    if config.respond is not None and config.respond.file is not None:
        yield ("respond", "file"), config.respond.file
    if config.maintenance is not None and config.maintenance.page is not None:
        yield ("maintenance", "page"), config.maintenance.page
    for status, name in config.error_pages.items():
        yield ("error_pages", status), name
