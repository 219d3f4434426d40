"""`query`: rules for the parameters of the query string that goes upstream."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from lbg.proxy.cgi import target_of
from lbg.proxy.keys import parameter_name
from lbg.proxy.variables import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import QueryConfig
    from lbg.filters.tools import Environ, StartResponse, Tools

_SAFE: Final = "/:@!$()*,"  # what need not be escaped in a value


class Query:
    """Removes, then sets, then adds parameters; all others stay byte for byte as they came.

    A parameter that is set takes the place of the first of its name. Values are filled in before anything
    changes; a rule whose variables leave nothing sets nothing.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: QueryConfig,
        tools: Tools,  # noqa: ARG002 - as all filters
    ) -> None:
        self._app = app
        self._gone = list(dict.fromkeys(map(_bytes_of, (*config.remove, *config.set))))
        names = "|".join(f"({parameter_name(name)})" for name in self._gone)
        self._pattern = re.compile(rf"(?:^|(?<=&))(?:{names})(?:=[^&]*)?&") if names else None
        self._set = _compiled(config.set)
        self._added = _compiled(config.add)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        target: bytes = environ.get("lbg.raw_target") or target_of(environ)
        if target.startswith(b"/"):  # `OPTIONS *` has no query
            path, _, query = target.decode("latin-1").partition("?")
            changed = self._changed(query, environ)
            if changed != query:
                _put(environ, f"{path}?{changed}" if changed else path, changed)
        return self._app(environ, start_response)

    def _changed(self, query: str, environ: Environ) -> str:
        values = {name: pair for name, rule in self._set if (pair := _pair(name, rule, environ))}
        added = [pair for name, rule in self._added if (pair := _pair(name, rule, environ))]
        if self._pattern is not None and query:

            def replace(found: re.Match[str]) -> str:
                pair = values.pop(self._gone[(found.lastindex or 1) - 1], "")
                return f"{pair}&" if pair else ""

            query = self._pattern.sub(replace, f"{query}&")[:-1]
        return "&".join([*([query] if query else ()), *values.values(), *added])


def _put(environ: Environ, target: str, query: str) -> None:
    environ["lbg.raw_target"] = target.encode("latin-1")
    environ["RAW_URI"] = environ["REQUEST_URI"] = target
    environ["QUERY_STRING"] = query


def _compiled(rules: dict[str, str]) -> list[tuple[str, Renderer]]:
    return [(_bytes_of(name), Renderer.of(_bytes_of(text), decoded=True)) for name, text in rules.items()]


def _bytes_of(text: str) -> str:
    """Return the UTF-8 bytes of what the configuration says as PEP 3333 writes bytes."""
    return text.encode("utf-8").decode("latin-1")


def _pair(name: str, rule: Renderer, environ: Environ) -> str:
    value = rule.render(environ)
    if not value and rule.constant is None:
        return ""
    return f"{quote(name, safe='', encoding='latin-1')}={quote(value, safe=_SAFE, encoding='latin-1')}"
