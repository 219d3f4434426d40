"""`forward_auth`: asks another pool whether a request may pass."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from lbg.errors import LocalReply
from lbg.filters.discard import discard
from lbg.proxy.cgi import target_of
from lbg.proxy.fields import add_field, fields, remove_field
from lbg.proxy.record import Record
from lbg.proxy.variables import Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import ForwardAuthConfig
    from lbg.filters.tools import Environ, StartResponse, Tools
    from lbg.http.headers import Fields
    from lbg.upstream.exchange import Exchange
    from lbg.upstream.request import UpstreamRequest

# What belongs to the body or the hop, would make the answer another one than a yes or no (RFC 9110
# sections 13 and 14), or could be taken for what we say of the request, or what nginx is used to say.
_KEPT_BACK: Final = frozenset(
    {
        b"content-length",
        b"transfer-encoding",
        b"trailer",
        b"te",
        b"expect",
        b"upgrade",
        b"max-forwards",
        b"if-match",
        b"if-none-match",
        b"if-modified-since",
        b"if-unmodified-since",
        b"if-range",
        b"range",
        b"x-forwarded-method",
        b"x-forwarded-uri",
        b"x-original-method",
        b"x-original-uri",
        b"x-original-url",
    }
)
# Where only some fields are sent, these still say which others end here, who the client is, and where we are.
_ALWAYS: Final = frozenset({b"connection", b"forwarded", b"host", b"via", b"x-real-ip", b"x-request-id"})
_FORWARDED: Final = b"x-forwarded-"
_TARGET_CHARACTERS: Final = "".join(map(chr, range(0x21, 0x7F)))  # all that is visible


class ForwardAuth:
    """Lets a request pass when the answer is 2xx, with some fields of it; any other goes to the client.

    No answer is no: the client gets the local reply of what failed. The body of the request stays unread
    meanwhile.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: ForwardAuthConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._tools = tools
        self._pool = tools.pools[config.pool]
        self._path = Renderer.of(config.path)
        self._asked = frozenset(name.lower().encode("ascii") for name in config.request_headers) | _ALWAYS
        self._all = not config.request_headers
        self._told = {name.lower(): name for name in config.response_headers}

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        record: Record = environ["lbg.exchange"]
        own = Record(record.request_id)
        try:
            exchange = self._tools.send(self._question(environ, own), self._pool, own)
        except LocalReply as cause:
            record.gave_up = (
                f"forward_auth had no answer from pool {self._pool.name}: {own.story() or cause.detail}"
            )
            return self._tools.reply(cause, environ, start_response)
        if 200 <= exchange.status < 300:
            self._tell(environ, exchange)
            discard(exchange)
            return self._app(environ, start_response)
        record.pool, record.endpoint = self._pool, own.endpoint
        return _passed_on(exchange, environ, start_response)

    def _question(self, environ: Environ, own: Record) -> UpstreamRequest:
        """Return the request for the other pool. Raises LocalReply for a loop."""
        heads, pool = self._tools.heads, self._pool
        peer = self._tools.clients.peer(environ)
        head = heads.read(self._fields(environ))
        head.heed_filters(environ)
        if peer.trusted:
            own.request_id = heads.request_id(head, own.request_id)
        target: bytes = environ.get("lbg.raw_target") or target_of(environ)
        method = environ["REQUEST_METHOD"].encode("ascii")
        head.lines.append(b"X-Forwarded-Method: %b\r\nX-Forwarded-Uri: %b\r\n" % (method, target))
        request = heads.build("GET", self._target(environ), head, peer, own.request_id)
        context = environ["lbg.exchange"].trace_context
        if context is not None:
            request.trace = context.own_lines()
        if not pool.keep_host:
            request.host = None
        if pool.total_timeout:
            request.ends = monotonic() + pool.total_timeout
        return request

    def _fields(self, environ: Environ) -> Fields:
        known = [field for field in fields(environ) if field[0].lower().replace(b"_", b"-") not in _KEPT_BACK]
        if self._all:
            return known
        asked = self._asked
        return [
            field for field in known if (name := field[0].lower()) in asked or name.startswith(_FORWARDED)
        ]

    def _target(self, environ: Environ) -> bytes:
        if self._path.constant is not None:
            return self._path.constant.encode("ascii")
        # A variable may hold anything that a field can, and a target can hold less.
        target = quote(self._path.render(environ), safe=_TARGET_CHARACTERS, encoding="latin-1")
        target = target.replace("#", "%23")
        return (target if target.startswith("/") else f"/{target}").encode("ascii")

    def _tell(self, environ: Environ, exchange: Exchange) -> None:
        """Give the request the fields that it is to have from the answer, and no others by their names."""
        try:
            for name in self._told.values():
                remove_field(environ, name)
            for name, value in exchange.headers:
                told = self._told.get(name.lower())
                if told is not None:
                    add_field(environ, told, value)
        except BaseException:
            exchange.close()
            raise


def _passed_on(exchange: Exchange, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    exchange.on_trailers = environ.get("lbg.trailers")
    try:
        start_response(exchange.status_line, exchange.headers)
    except BaseException:
        exchange.close()
        raise
    if environ["REQUEST_METHOD"] == "HEAD":
        discard(exchange)
        return [b""]
    return exchange
