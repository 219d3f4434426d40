"""`cors`: which web pages may read responses (Fetch standard, section 3.2)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import CorsConfig
    from lbg.filters.tools import Environ, StartResponse, Tools

Headers = list[tuple[str, str]]

_REMEMBERED: Final = 1024  # origins
_LABELS: Final = r"(?:[a-z0-9_-]+\.)+"
_NAMES: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z, -]+")
# What a backend says of itself must not stand beside what is said here.
_OURS: Final = frozenset(
    f"access-control-{name}"
    for name in (
        "allow-origin",
        "allow-credentials",
        "allow-headers",
        "allow-methods",
        "expose-headers",
        "max-age",
    )
)
_PREFLIGHT_VARY: Final = ("Vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")


class Cors:
    """Answers preflight requests itself, and tells on all other responses whether the page may read them."""

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: CorsConfig,
        tools: Tools,  # noqa: ARG002 - as all filters
    ) -> None:
        self._app = app
        self._everyone = "*" in config.origins
        self._origins = frozenset(origin for origin in config.origins if "*" not in origin)
        wild = [re.escape(origin).replace(r"\*\.", _LABELS) for origin in config.origins if "*." in origin]
        self._wild = re.compile("|".join(wild)) if wild else None
        self._listed = lru_cache(_REMEMBERED)(self._is_listed)
        self._granted = _granted(config)
        self._all_fields = "*" in config.headers
        self._credentials = [("Access-Control-Allow-Credentials", "true")] if config.credentials else []
        self._exposed = [("Access-Control-Expose-Headers", ", ".join(config.expose))] if config.expose else []

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        origin = environ.get("HTTP_ORIGIN")
        if (
            origin is not None
            and environ["REQUEST_METHOD"] == "OPTIONS"
            and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
        ):
            start_response("204 No Content", self._preflight(origin, environ))
            return [b""]

        def start(status: str, headers: Headers, *exc_info: Any) -> Any:
            self._mark(headers, origin)
            return start_response(status, headers, *exc_info)

        return self._app(environ, start)

    def _preflight(self, origin: str, environ: Environ) -> Headers:
        headers = [_PREFLIGHT_VARY]
        grant = self._grant(origin)
        if grant:
            headers += grant
            headers += self._granted
            asked = environ.get("HTTP_ACCESS_CONTROL_REQUEST_HEADERS", "")
            if self._all_fields and _NAMES.fullmatch(asked):
                headers.append(("Access-Control-Allow-Headers", asked))
        return headers

    def _mark(self, headers: Headers, origin: str | None) -> None:
        """Put our word in the place of the backend's."""
        headers[:] = [field for field in headers if field[0].lower() not in _OURS]
        if origin is not None or self._everyone:
            grant = self._grant(origin or "")
            if grant:
                headers += grant
                headers += self._exposed
        if self._origins or self._wild is not None:
            # Without an Origin, too: a cache must not hand that answer to a page that has one.
            _vary_by_origin(headers)

    def _grant(self, origin: str) -> Headers:
        """Return what lets the origin in, nothing for one that may not."""
        if self._listed(origin):
            return [("Access-Control-Allow-Origin", origin), *self._credentials]
        # With credentials no wildcard counts in a browser, and everyone's pages with the user's
        # cookies is what nobody means.
        return [("Access-Control-Allow-Origin", "*")] if self._everyone else []

    def _is_listed(self, origin: str) -> bool:
        lower = origin.lower()
        return lower in self._origins or (self._wild is not None and self._wild.fullmatch(lower) is not None)


def _granted(config: CorsConfig) -> Headers:
    """Return what is the same in the answers to all preflight requests."""
    granted = [("Access-Control-Allow-Methods", ", ".join(config.methods))]
    if config.headers and "*" not in config.headers:
        granted.append(("Access-Control-Allow-Headers", ", ".join(config.headers)))
    granted.append(("Access-Control-Max-Age", str(config.max_age)))
    return granted


def _vary_by_origin(headers: Headers) -> None:
    places = [index for index, (name, _) in enumerate(headers) if name.lower() == "vary"]
    if not places:
        headers.append(("Vary", "Origin"))
        return
    said = ",".join(headers[index][1] for index in places)
    if {each.strip().lower() for each in said.split(",")} & {"*", "origin"}:
        return
    name, value = headers[places[0]]
    headers[places[0]] = (name, f"{value}, Origin" if value.strip() else "Origin")
