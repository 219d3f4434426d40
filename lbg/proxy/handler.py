"""The proxy as a WSGI application: route, forward, answer; every failure becomes a local reply here."""

from __future__ import annotations

import itertools
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from lbg.errors import ClientGone, LocalReply
from lbg.http.replies import make_reply
from lbg.http.target import host_name, routing_path
from lbg.proxy.attempt import forward
from lbg.proxy.cgi import fields_of, target_of
from lbg.proxy.record import Record
from lbg.proxy.upgrade import switch_protocols
from lbg.upstream.body import RequestBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lbg.http.forwarded import Forwarding
    from lbg.proxy.request_head import Head, HeadBuilder
    from lbg.routing.table import Route, RouteTable
    from lbg.upstream.pool import Pool

log = logging.getLogger("lbg.proxy")

Environ = dict[str, Any]
StartResponse = Any

_NOT_FORWARDED: Final = frozenset({"CONNECT", "TRACE"})
_ALLOW: Final = ("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


class ProxyHandler:
    """Answers every request that reaches the public listeners. Never raises what a backend caused."""

    def __init__(
        self, routes: RouteTable, pools: Mapping[str, Pool], forwarding: Forwarding, heads: HeadBuilder
    ) -> None:
        self._routes = routes
        self._pools = pools
        self._forwarding = forwarding
        self._heads = heads
        # Unique among workers and restarts, and cheap: a random start and a counter.
        prefix = os.urandom(6).hex()
        self._ids = (f"{prefix}{number:08x}" for number in itertools.count(1))

    def handle(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        record = environ["lbg.exchange"] = Record(next(self._ids))
        try:
            return self._forward(environ, start_response, record)
        except LocalReply as cause:
            return self._reply(cause, environ, start_response, record)
        except ClientGone as error:
            if "lbg.client" in environ:
                raise
            gone = LocalReply("client_gone", str(error), status=400)
            return self._reply(gone, environ, start_response, record)

    def _forward(self, environ: Environ, start_response: StartResponse, record: Record) -> Iterable[bytes]:
        method = environ["REQUEST_METHOD"]
        if method in _NOT_FORWARDED:
            raise LocalReply("bad_request", f"{method} is not allowed here.", status=405, headers=(_ALLOW,))
        fields = environ.get("lbg.headers")
        head = self._heads.read(fields_of(environ) if fields is None else fields)
        target = environ.get("lbg.raw_target") or target_of(environ)
        if head.max_forwards is not None and method == "OPTIONS":  # RFC 9110 section 7.6.2
            if head.max_forwards == 0:
                return _answer_options(start_response)
            head.max_forwards -= 1
        if head.upgrade and (environ["SERVER_PROTOCOL"] != "HTTP/1.1" or head.length or head.chunked):
            head.upgrade = b""  # RFC 9110 section 7.8 lets us: a body would mix with the new protocol
        peer = self._forwarding.peer(
            environ.get("REMOTE_ADDR", ""), environ["SERVER_PORT"], environ["wsgi.url_scheme"]
        )
        if peer.trusted:
            record.request_id = self._heads.request_id(head, record.request_id)
        route = record.route = self._route(head, target)
        pool = self._pools[route.pool]
        request = self._heads.build(method, target, head, peer, record.request_id)
        if not pool.keep_host:
            request.host = None
        if pool.total_timeout:
            request.ends = monotonic() + pool.total_timeout
        if head.length or head.chunked:
            length = None if head.chunked else head.length
            request.body = RequestBody(environ["wsgi.input"], length, pool.replay_buffer)
            request.expects = head.expects
        request.on_interim = environ.get("lbg.early")
        exchange = forward(request, pool, record)
        if exchange.status == 101:
            return switch_protocols(exchange, environ, pool.timeouts.tunnel)
        exchange.on_trailers = environ.get("lbg.trailers")
        try:
            start_response(exchange.status_line, exchange.headers)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _route(self, head: Head, target: bytes) -> Route:
        routes = self._routes
        if routes.only is not None and b"." not in target and b"%" not in target:
            return routes.only
        path = target.partition(b"?")[0].decode("latin-1")
        normalised = routing_path(path)
        if normalised is None:
            raise LocalReply("bad_request", "The path of the request leaves the root.")
        host = host_name(head.host.decode("latin-1")) if head.host else ""
        route = routes.match(host, normalised)
        if route is None:
            raise LocalReply("no_route", "No route leads from this host and path to a backend.")
        if normalised is not path and routes.match(host, path) is not route:
            # The backend resolves dots by its own rules: what looks different to it must not pass.
            raise LocalReply("bad_request", "The path of the request leaves its route.")
        return route

    def _client(self, environ: Environ) -> str:
        """Return the client's address, as trusted proxies tell it."""
        peer = self._forwarding.peer(
            environ.get("REMOTE_ADDR", ""), environ["SERVER_PORT"], environ["wsgi.url_scheme"]
        )
        chain = environ.get("HTTP_X_FORWARDED_FOR", "").encode("latin-1").split(b",")
        return self._forwarding.client(peer, chain).decode("ascii")

    def _reply(
        self, cause: LocalReply, environ: Environ, start_response: StartResponse, record: Record
    ) -> Iterable[bytes]:
        record.reason = cause.reason
        level = logging.WARNING if cause.status >= 500 else logging.DEBUG
        log.log(
            level,
            "%d %s: %s: %s %s: %s",
            cause.status,
            cause.reason,
            self._client(environ),
            environ["REQUEST_METHOD"],
            _printable(environ.get("RAW_URI") or environ.get("PATH_INFO", "")),
            record.story() or cause.detail,
            extra={"request_id": record.request_id, "reason": cause.reason.code},
        )
        reply = make_reply(cause, environ.get("HTTP_ACCEPT", ""), record.request_id)
        start_response(reply.status, reply.headers)
        return [reply.body]


def _answer_options(start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [_ALLOW, ("Content-Length", "0")])
    return [b""]


def _printable(text: str) -> str:
    """Return `text` so that it cannot forge a line of the log or a colour on the terminal."""
    return text[:200].encode("unicode_escape").decode("ascii")
