"""What a route does with a request instead of forwarding it: redirect, fixed response, maintenance."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

from lbg.http.replies import Page, status_line
from lbg.proxy.variables import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.routes import MaintenanceConfig, RedirectConfig, RespondConfig
    from lbg.http.forwarded import Network

Environ = dict[str, Any]
StartResponse = Any

_SORRY = Page(
    b"<!doctype html>\n<html lang=en><meta charset=utf-8><title>Back soon</title>\n"
    b"<h1>Back soon</h1><p>This service is being worked on. Please try again later.</p></html>\n",
    "text/html; charset=utf-8",
)


class Redirect:
    """Answers with another place."""

    def __init__(self, config: RedirectConfig) -> None:
        self._status = status_line(config.status)
        self._to = Renderer.of(config.to)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        location = self._to.render(environ)
        if location.startswith(("//", "/\\")):
            # A browser would take the first segment of the client's own path for a host.
            location = "/" + location.lstrip("/\\")
        body = f"{self._status}\n".encode("ascii")
        headers = [
            ("Location", location),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ]
        start_response(self._status, headers)
        return [body]


class Respond:
    """Answers with what the configuration says."""

    def __init__(self, config: RespondConfig, page: Page | None) -> None:
        self._status = status_line(config.status)
        self._empty = config.status in {204, 304}
        self._page = page
        # What variables give is Latin-1 for bytes (PEP 3333); so the text between them becomes that, too.
        self._body = Renderer.of(config.body.encode("utf-8").decode("latin-1"))
        self._content_type = config.content_type
        self._fields = [(name, Renderer.of(value)) for name, value in config.headers.items()]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        status = self._status[:3]
        headers = [(name, value.render(environ, status)) for name, value in self._fields]
        if self._empty:
            start_response(self._status, headers)
            return [b""]
        page = self._page
        body = self._body.render(environ, status).encode("latin-1") if page is None else page.body
        kind = self._content_type if page is None else page.content_type
        given = {name.lower() for name, _ in headers}
        if "content-type" not in given:
            headers.append(("Content-Type", kind))
        headers.append(("Content-Length", str(len(body))))
        start_response(self._status, headers)
        return [body]


class Maintenance:
    """503 with a page for all clients but those in some networks, who get what `app` answers."""

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]] | None,
        config: MaintenanceConfig,
        page: Page | None,
    ) -> None:
        self._app = app
        self._page = page or _SORRY
        self._networks = config.allow
        self._retry_after = config.retry_after
        self._allowed = lru_cache(maxsize=4096)(self._is_allowed)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        if self._app is not None and self._allowed(environ["lbg.exchange"].client):
            return self._app(environ, start_response)
        page = self._page
        headers = [
            ("Content-Type", page.content_type),
            ("Content-Length", str(len(page.body))),
            ("Cache-Control", "no-store"),
        ]
        if self._retry_after:
            headers.append(("Retry-After", str(self._retry_after)))
        start_response(status_line(503), headers)
        return [page.body]

    def _is_allowed(self, client: str) -> bool:
        return is_in(client, self._networks)


def is_in(client: str, networks: Iterable[Network]) -> bool:
    """Return whether an address lies in one of `networks`; what is no address lies in none."""
    try:
        parsed = ip_address(client.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)
