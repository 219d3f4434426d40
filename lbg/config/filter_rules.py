"""The rules between the keys of one filter, and between the filters of one route."""

import math
from collections.abc import Iterator, Mapping
from functools import partial

from lbg.config.field_rules import broken_names, broken_request_fields, lost_field, own_field, repeated_names
from lbg.config.filters import (
    AccessConfig,
    BasicAuthConfig,
    CorsConfig,
    ForwardAuthConfig,
    HeadersConfig,
    QueryConfig,
    RateLimitConfig,
    RequestIdConfig,
    ResponseFieldsConfig,
    UserFilterConfig,
)
from lbg.config.passwords import parse_users
from lbg.config.problems import Broken, KeyPath, kind, listed, shown
from lbg.config.route_fields import page_content
from lbg.config.section import Section
from lbg.config.template_fields import variables
from lbg.config.written import Written
from lbg.http.target import is_authority

_ACCESS = ("allow", "deny", "deny_paths", "deny_path_regex", "deny_methods")
# A second one could only undo or repeat what the first does.
_ONCE = frozenset({"basic_auth", "body_limit", "compress", "cors", "request_id"})


def broken_filter_rules(written: Written[Section], *, underscores: bool) -> Iterator[Broken]:
    """Yield the place below the filter and the sentence of each rule that it breaks; opens its files.

    `underscores` says whether field names with "_" pass.
    """
    match written.section:
        case AccessConfig() as config:
            yield from _access(config, written)
        case RateLimitConfig() as config:
            if "ban" in written.data and written.right("ban_after") and not config.ban_after:
                yield ("ban",), "only a ban_after above 0 leads to bans"
        case HeadersConfig() as config:
            yield from _headers(config, written, underscores=underscores)
        case QueryConfig() as config:
            if not written.wrong and not (config.set or config.add or config.remove):
                yield (), "it changes nothing, expected set, add or remove"
        case BasicAuthConfig() as config:
            yield from _basic_auth(config, written)
            if reason := _untold(config.user_header or "", underscores=underscores):
                yield ("user_header",), reason
        case ForwardAuthConfig() as config:
            yield from _forward_auth(config, underscores=underscores)
        case CorsConfig() as config:
            yield from _cors(config)
        case RequestIdConfig() as config:
            usual = config.header.lower() == "x-request-id"
            if not usual and (reason := _untold(config.header, underscores=underscores)):
                yield ("header",), reason
        case UserFilterConfig() as config:
            yield from _user(config)


def broken_chain_rules(uses: Mapping[int, str]) -> Iterator[Broken]:
    """Yield the place and the sentence of each filter that a route has twice; `uses` has them by place."""
    first: dict[str, int] = {}
    for index, use in uses.items():
        earlier = first.setdefault(use, index)
        if use in _ONCE and earlier != index:
            yield ("filters", index), f"filters[{earlier}] is {use}, too, a route has it at most once"


def _access(config: AccessConfig, written: Written[Section]) -> Iterator[Broken]:
    lists = written.has("allow", "deny")
    if not written.has(*_ACCESS):
        if not written.unknown:
            yield (), f"it denies nothing, expected {listed(_ACCESS, 'or')}"
    elif written.has("default") and not lists:
        yield ("default",), "only allow and deny heed it"
    elif len(lists) == 2 and not written.has("default"):
        yield ("default",), 'missing, expected "allow" or "deny" for clients in neither allow nor deny'
    for key in lists:
        if written.data[key] == []:
            yield (key,), "expected at least one entry, got none"
    allowed = frozenset(config.allow)
    for index, network in enumerate(config.deny):
        if network in allowed:
            yield ("deny", index), f"{shown(str(network))} is in allow, too"


def _headers(config: HeadersConfig, written: Written[Section], *, underscores: bool) -> Iterator[Broken]:
    request, response = config.request, config.response
    sides = (request, response)
    if not written.wrong and not any(side.set or side.add or side.remove for side in sides):
        yield (), "it changes nothing, expected request or response with set, add or remove"
    put = {"set": request.set, "add": request.add}
    for name, text in request.set.items():
        if name.lower() == "host" and not variables(text) and not is_authority(text):
            yield ("request", "set", name), f"expected a host, a port may follow, got {shown(text)}"
    for path, sentence in broken_request_fields(put, request.remove, underscores=underscores):
        yield ("request", *path), sentence
    for path, sentence in _response_fields(response):
        yield ("response", *path), sentence


def _response_fields(config: ResponseFieldsConfig) -> Iterator[Broken]:
    for key, names in (("set", config.set), ("add", config.add)):
        yield from (((key, name), sentence) for name, sentence in repeated_names(names))
        yield from (((key, name), reason) for name in names if (reason := own_field(name)))
    yield from broken_names("remove", config.remove, own_field)


def _basic_auth(config: BasicAuthConfig, written: Written[Section]) -> Iterator[Broken]:
    if not written.wrong and not config.users and not config.file:
        yield (), "expected users or file"
    if config.file and (fault := _fault_of_users(config.file)):
        yield ("file",), fault


def _fault_of_users(name: str) -> str:
    """Say why a file of users cannot be used, or nothing."""
    try:
        content = page_content(name)
    except ValueError as error:
        return str(error)
    try:
        return "" if parse_users(content.decode()) else f"{name} names no user"
    except UnicodeDecodeError:
        return f"{name} is not valid UTF-8"
    except ValueError as error:
        return f"{name}, {error}"


def _forward_auth(config: ForwardAuthConfig, *, underscores: bool) -> Iterator[Broken]:
    yield from broken_names("request_headers", config.request_headers, own_field)
    yield from broken_names(
        "response_headers", config.response_headers, partial(_untold, underscores=underscores)
    )


def _untold(name: str, *, underscores: bool) -> str:
    """Say why a field cannot tell the backend something, or nothing."""
    return _host(name) or lost_field(name, underscores=underscores)


def _host(name: str) -> str:
    return '"Host" says for whom a request is, expected another field' if name.lower() == "host" else ""


def _cors(config: CorsConfig) -> Iterator[Broken]:
    if "*" not in config.origins:
        return
    if len(config.origins) > 1:
        yield ("origins",), '"*" is every origin, expected either it or the others'
    if config.credentials:
        yield (
            ("credentials",),
            'browsers do not take it together with the origin "*", expected origins by name',
        )


def _user(config: UserFilterConfig) -> Iterator[Broken]:
    for name, value in config.options.items():
        if not name.isidentifier():
            yield (name,), "expected a name that can be an argument in Python"
        yield from _beyond_json((name,), value)


def _beyond_json(path: KeyPath, value: object) -> Iterator[Broken]:
    """Yield what cannot reach the workers, which get the configuration as JSON."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _beyond_json((*path, name), inner)
        case list():
            for index, inner in enumerate(value):
                yield from _beyond_json((*path, index), inner)
        case float():
            if not math.isfinite(value):
                yield path, f"expected a finite number, got {shown(value)}"
        case str() | bool() | int():
            pass
        case _:
            yield path, f"expected a string, got {kind(value)}"
