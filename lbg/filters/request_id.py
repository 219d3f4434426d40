"""`request_id`: under which name the id of a request travels, and whose it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.http.forwarded import valid_request_id
from lbg.proxy.fields import cgi_key, remove_field, set_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import RequestIdConfig
    from lbg.filters.tools import Environ, StartResponse, Tools

_USUAL = "X-Request-Id"


class RequestId:
    """Settles the id of a request: the client's where it may choose or is a trusted proxy, else ours.

    The backend gets it as X-Request-Id in any case, and under the name that is set here.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: RequestIdConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._clients = tools.clients
        self._name = config.header
        self._lower = config.header.lower()
        self._accept = config.accept
        self._respond = config.respond
        self._keys = tuple(dict.fromkeys((cgi_key(config.header), cgi_key(_USUAL))))

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        record = environ["lbg.exchange"]
        for key in self._keys:
            said = environ.get(key)
            if said is not None and self._believes(environ, key) and _valid(said):
                record.request_id = said
                break
        # It is settled: what else stands there must not replace it further on.
        remove_field(environ, _USUAL)
        if self._lower != "x-request-id":
            set_field(environ, self._name, record.request_id)
        if not self._respond:
            return self._app(environ, start_response)

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            lower = self._lower
            headers[:] = [field for field in headers if field[0].lower() != lower]
            headers.append((self._name, record.request_id))
            return start_response(status, headers, *exc_info)

        return self._app(environ, start)

    def _believes(self, environ: Environ, key: str) -> bool:
        return (self._accept and key == self._keys[0]) or self._clients.peer(environ).trusted


def _valid(value: str) -> bool:
    return value.isascii() and valid_request_id(value.encode("ascii"))
