"""`headers`: rules for the fields of requests and responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.errors import LocalReply
from lbg.http.target import is_authority
from lbg.proxy.fields import add_field, remove_field, set_field
from lbg.proxy.variables import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import HeadersConfig, RequestFieldsConfig, ResponseFieldsConfig
    from lbg.filters.tools import Environ, StartResponse, Tools

Rules = list[tuple[str, Renderer]]


class Headers:
    """Removes, then sets, then adds fields, on the way in and on the way out.

    Values are filled in before any field changes, so a rule may read what another removes. A rule whose
    variables leave nothing sets nothing.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: HeadersConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._reply = tools.reply
        self._request = _RequestRules(config.request)
        self._response = _ResponseRules(config.response)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        if self._request.present and not self._request.apply(environ):
            cause = LocalReply("filter_error", "A header rule of this route made an invalid Host.")
            return self._reply(cause, environ, start_response)
        rules = self._response
        if not rules.present:
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            rules.apply(headers, environ, status[:3])
            return start_response(status, headers, *exc_info)

        return self._app(environ, start)


class _RequestRules:
    __slots__ = ("_added", "_gone", "_host", "_set", "present")

    def __init__(self, config: RequestFieldsConfig) -> None:
        rules = _compiled(config.set)
        self._host = [rule for name, rule in rules if name.lower() == "host"]
        self._set = [(name, rule) for name, rule in rules if name.lower() != "host"]
        self._added = _compiled(config.add)
        self._gone = config.remove
        self.present = any((self._set, self._added, self._host, self._gone))

    def apply(self, environ: Environ) -> bool:
        """Change the fields of a request; return False for a Host that cannot be one."""
        values = [(name, _value(rule, environ)) for name, rule in self._set]
        added = [(name, _value(rule, environ)) for name, rule in self._added] if self._added else ()
        hosts = [rule.render(environ) for rule in self._host] if self._host else ()
        for name in self._gone:
            remove_field(environ, name)
        for name, value in values:
            if value is None:
                remove_field(environ, name)
            else:
                set_field(environ, name, value)
        for name, value in added:
            if value is not None:
                add_field(environ, name, value)
        for host in hosts:
            if not is_authority(host):
                return False
            set_field(environ, "Host", host)
        return True


class _ResponseRules:
    __slots__ = ("_given", "_gone", "present")

    def __init__(self, config: ResponseFieldsConfig) -> None:
        self._given = _compiled(config.set) + _compiled(config.add)
        self._gone = frozenset(name.lower() for name in (*config.remove, *config.set))
        self.present = bool(self._gone or self._given)

    def apply(self, headers: list[tuple[str, str]], environ: Environ, status: str) -> None:
        """Change the fields of a response."""
        gone = self._gone
        if gone:
            headers[:] = [field for field in headers if field[0].lower() not in gone]
        for name, rule in self._given:
            value = _value(rule, environ, status)
            if value is not None:
                headers.append((name, value))


def _compiled(rules: dict[str, str]) -> Rules:
    return [(name, Renderer.of(text)) for name, text in rules.items()]


def _value(rule: Renderer, environ: Environ, status: str = "") -> str | None:
    if rule.constant is not None:
        return rule.constant
    return rule.render(environ, status) or None
