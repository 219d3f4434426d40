"""`{match:NAME}` may stand only where the route's `path_regex` has a group of that name."""

import re
from collections.abc import Iterator, Mapping

from lbg.config.filters import ForwardAuthConfig, HeadersConfig, QueryConfig
from lbg.config.problems import Broken, KeyPath
from lbg.config.routes import RouteConfig
from lbg.config.section import Section
from lbg.config.template_fields import variables


def broken_groups(texts: Iterator[tuple[KeyPath, str]], path_regex: str) -> Iterator[Broken]:
    """Yield the place and the sentence of each variable that stands for a group that is not there."""
    pattern = re.compile(path_regex)
    for path, text in texts:
        for variable in variables(text):
            if variable.kind != "match":
                continue
            if not path_regex:
                yield path, f"{variable} stands for a group of path_regex, which is not set"
            elif not _has(pattern, variable.name):
                yield path, f"{variable} stands for a group of path_regex, which has none of that name"


def _has(pattern: re.Pattern[str], name: str) -> bool:
    return int(name) <= pattern.groups if name.isdecimal() else name in pattern.groupindex


def texts_of_route(config: RouteConfig) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts with variables of a route, its filters left out."""
    if config.redirect is not None:
        yield ("redirect", "to"), config.redirect.to
    if config.respond is not None:
        yield ("respond", "body"), config.respond.body
        yield from _values(config.respond.headers, "respond", "headers")


def texts_of_filter(config: Section) -> Iterator[tuple[KeyPath, str]]:
    """Yield the texts with variables of a filter."""
    match config:
        case HeadersConfig(request=request, response=response):
            yield from _values(request.set, "request", "set")
            yield from _values(request.add, "request", "add")
            yield from _values(response.set, "response", "set")
            yield from _values(response.add, "response", "add")
        case QueryConfig():
            yield from _values(config.set, "set")
            yield from _values(config.add, "add")
        case ForwardAuthConfig():
            yield ("path",), config.path


def _values(texts: Mapping[str, str], *path: str) -> Iterator[tuple[KeyPath, str]]:
    yield from (((*path, name), text) for name, text in texts.items())
