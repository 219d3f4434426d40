"""What a route asks of a request beyond host and path: its method, header fields and query parameters."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl

from lbg.config.secrets import HIDDEN, may_be_secret, text_without_secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbg.config.routes import ConditionConfig, RouteConfig

_SHOWN: Final = 60  # characters of a value in a sentence


class Condition(Protocol):
    """Something that a request fulfils or not. `str` of it says what is expected."""

    def holds(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request fulfils it."""

    def failure(self, environ: Mapping[str, Any]) -> str:
        """Return why the request does not fulfil it, as a clause."""


class MethodCondition:
    """The method is one of some; HEAD may come where GET may."""

    __slots__ = ("_listed", "_methods")

    def __init__(self, methods: tuple[str, ...]) -> None:
        self._listed = " or ".join(methods)
        self._methods = frozenset(methods) | ({"HEAD"} if "GET" in methods else set())

    def __str__(self) -> str:
        return f"method is {self._listed}"

    def holds(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request fulfils it."""
        return environ["REQUEST_METHOD"] in self._methods

    def failure(self, environ: Mapping[str, Any]) -> str:
        """Return why the request does not fulfil it, as a clause."""
        return f"the method is {environ['REQUEST_METHOD']}, expected {self._listed}"


class HeaderCondition:
    """A field is absent, there, one of some texts, or matches; several of a name count as one, joined."""

    __slots__ = ("_about", "key", "values")

    def __init__(self, name: str, config: ConditionConfig) -> None:
        self._about = _About(f"header {name}", config, hidden=may_be_secret(name))
        self.key = cgi_key(name)
        self.values = frozenset(config.values)

    def __str__(self) -> str:
        return str(self._about)

    def holds(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request fulfils it."""
        value = environ.get(self.key)
        return self._about.fits(() if value is None else (text_of(value),))

    def failure(self, environ: Mapping[str, Any]) -> str:
        """Return why the request does not fulfil it, as a clause."""
        value = environ.get(self.key)
        return self._about.failure(() if value is None else (text_of(value),))


class QueryCondition:
    """A parameter is absent, there, or one of its values is one of some texts, or matches."""

    __slots__ = ("_about", "_name")

    def __init__(self, name: str, config: ConditionConfig) -> None:
        self._about = _About(f"query parameter {name}", config, hidden=may_be_secret(name))
        self._name = name

    def __str__(self) -> str:
        return str(self._about)

    def holds(self, environ: Mapping[str, Any]) -> bool:
        """Return whether the request fulfils it."""
        return self._about.fits(_parameters(environ.get("QUERY_STRING", "")).get(self._name, ()))

    def failure(self, environ: Mapping[str, Any]) -> str:
        """Return why the request does not fulfil it, as a clause."""
        return self._about.failure(_parameters(environ.get("QUERY_STRING", "")).get(self._name, ()))


class _About:
    """What the values of the field or parameter `what` must be; `hidden` ones are not told."""

    __slots__ = ("_config", "_hidden", "_pattern", "_values", "_what")

    def __init__(self, what: str, config: ConditionConfig, *, hidden: bool) -> None:
        self._what = what
        self._config = config
        self._hidden = hidden
        self._values = frozenset(config.values)
        # A query value may hold a line break, which must not hide the rest of it from the pattern.
        self._pattern = re.compile(config.regex, re.DOTALL) if config.regex else None

    def __str__(self) -> str:
        if not self._config.present:
            return f"{self._what} is absent"
        if self._values:
            return f"{self._what} is {self._shown(self._config.values)}"
        if self._pattern is not None:
            regex = "a pattern" if self._hidden else text_without_secrets(self._config.regex)
            return f"{self._what} matches {regex}"
        return f"{self._what} is there"

    def fits(self, values: tuple[str, ...]) -> bool:
        if not self._config.present:
            return not values
        if self._values:
            return any(value in self._values for value in values)
        if self._pattern is not None:
            return any(self._pattern.search(value) for value in values)
        return bool(values)

    def failure(self, values: tuple[str, ...]) -> str:
        found = self._shown(values) if values else "absent"
        if not self._config.present:
            return f"{self._what} is {found}, expected none"
        if self._values:
            return f"{self._what} is {found}, expected {self._shown(self._config.values)}"
        if self._pattern is not None:
            return f"{self._what} is {found}, expected what matches {str(self).rpartition(' matches ')[2]}"
        return f"{self._what} is absent"

    def _shown(self, values: tuple[str, ...]) -> str:
        if self._hidden:
            return HIDDEN
        return " or ".join(f'"{text_without_secrets(value)[:_SHOWN]}"' for value in values)


def conditions_of(config: RouteConfig) -> tuple[Condition, ...]:
    """Return the conditions of a route beyond host and path, the cheap ones first."""
    methods: list[Condition] = [MethodCondition(config.methods)] if config.methods else []
    headers = [HeaderCondition(name, condition) for name, condition in config.headers.items()]
    query = [QueryCondition(name, condition) for name, condition in config.query.items()]
    return (*methods, *headers, *query)


def text_of(value: str) -> str:
    """Return what a WSGI text (PEP 3333: bytes as Latin-1) says in UTF-8, as clients and files write it."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "surrogateescape")


def cgi_key(name: str) -> str:
    """Return the environ key of a field name (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


@lru_cache(maxsize=16)  # many routes ask the one query of a request
def _parameters(query: str) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for name, value in parse_qsl(text_of(query), keep_blank_values=True):
        found[name] = (*found.get(name, ()), value)
    return found
