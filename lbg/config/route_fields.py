"""The kinds of value that only routes and filters have, each with its own check and its own sentence."""

import os
import re
import stat
import warnings
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from lbg.config.fields import TOKEN, OneOrList, RoutePath, route_path
from lbg.config.hints import did_you_mean
from lbg.config.problems import shown
from lbg.http import keys

_NAME = re.compile(r"[A-Za-z0-9*][A-Za-z0-9._/*:@~-]{0,127}")
_MEDIA_TYPE = re.compile(rf"{TOKEN.pattern}/{TOKEN.pattern}(?:[ \t]*;[\t -~]*)?")
_STATUS_CLASS = re.compile(r"[45]xx|[45][0-9]{2}")
_LARGEST = 2**20  # bytes of a page that is kept in memory


def reference(value: str) -> str:
    """Return `value` if it has the form package.module:attribute. Raises ValueError."""
    if not keys.is_reference(value):
        raise ValueError(f'expected "package.module:attribute", got {shown(value)}')
    return value


def _key(value: str) -> str:
    try:
        keys.parse_key(value)
    except ValueError as error:
        kind, colon, _ = value.partition(":")
        hint = did_you_mean(kind, keys.NAMED if colon else keys.SIMPLE)
        raise ValueError(f"{error}{'' if kind in keys.NAMED else hint}") from None
    return value


def _regex(value: str) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what a later Python will read in another way
            re.compile(value)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        reason = str(error).encode("unicode_escape").decode()
        raise ValueError(f"expected a regular expression, got {shown(value)}: {reason}") from None
    return value


def _strip_prefix(value: str) -> str:
    if not value:
        return value
    stripped = route_path(value).rstrip("/")
    if not stripped:
        raise ValueError(f'expected a path such as "/api", got {shown(value)}')
    return stripped


def _field_name(value: str) -> str:
    if not TOKEN.fullmatch(value):
        raise ValueError(f"expected a header field name, got {shown(value)}")
    return value


def _method(value: str) -> str:
    if not TOKEN.fullmatch(value) or value.upper() in {"CONNECT", "TRACE"}:
        raise ValueError(f'expected a method such as "GET", got {shown(value)}')
    return value.upper()


def _name(value: str) -> str:
    if value and not _NAME.fullmatch(value):
        raise ValueError(
            f'expected a name of at most 128 letters, digits and ". _ - / * : @ ~", got {shown(value)}'
        )
    return value


def _media_type(value: str) -> str:
    if not _MEDIA_TYPE.fullmatch(value):
        raise ValueError(f'expected a media type such as "text/plain", got {shown(value)}')
    return value


def _page(value: str) -> str:
    # gunicorn's `chdir` and a daemon's start decide what a relative name means.
    if not value.startswith("/") or not value.isprintable():
        raise ValueError(f'expected an absolute file name, such as "/etc/lbg/503.html", got {shown(value)}')
    return value


def _status_class(value: str) -> str:
    if not _STATUS_CLASS.fullmatch(value):
        raise ValueError(f'expected a status such as "502", "4xx" or "5xx", got {shown(value)}')
    return value


def _not_twice(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{shown(str(value))} is listed twice")
        seen.add(value)
    return values


def page_content(name: str) -> bytes:
    """Return what is in a page's file. Raises ValueError with a sentence."""
    try:
        # Opening a pipe would wait until somebody writes to it.
        with open(name, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ValueError(f"{name} cannot be read: not a regular file")
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(content) > _LARGEST:
        raise ValueError(f"{name} is larger than {_LARGEST} bytes")
    return content


Once = AfterValidator(_not_twice)

KeySpec = Annotated[str, AfterValidator(_key)]
Regex = Annotated[str, AfterValidator(_regex)]
StripPrefix = Annotated[str, AfterValidator(_strip_prefix)]
FieldName = Annotated[str, AfterValidator(_field_name)]
FieldNames = Annotated[tuple[FieldName, ...], OneOrList]
RouteMethod = Annotated[str, AfterValidator(_method)]
RouteMethods = Annotated[tuple[RouteMethod, ...], Once, OneOrList]
RouteName = Annotated[str, AfterValidator(_name)]
MediaType = Annotated[str, AfterValidator(_media_type)]
PageFile = Annotated[str, AfterValidator(_page)]
StatusClass = Annotated[str, AfterValidator(_status_class)]
Paths = Annotated[tuple[RoutePath, ...], Once, OneOrList]
Status = Annotated[int, Field(strict=True, ge=200, le=599)]
SplitWeight = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
