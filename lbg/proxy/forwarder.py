"""The innermost WSGI application of a route: the request goes to a pool, the answer comes back."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from lbg.errors import ClientGone, LocalReply
from lbg.http.target import routing_path
from lbg.proxy.attempt import forward
from lbg.proxy.cgi import fields_of, target_of
from lbg.proxy.upgrade import switch_protocols
from lbg.upstream.body import RequestBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lbg.proxy.local_replies import LocalReplies
    from lbg.proxy.record import Record
    from lbg.proxy.request_head import HeadBuilder
    from lbg.routing.rewrite import Rewrite
    from lbg.upstream.pool import Pool
    from lbg.upstream.request import UpstreamRequest

Environ = dict[str, Any]
StartResponse = Any

ALLOW = ("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")


class Upstream:
    """A pool as routes see it: with the key by which it tells requests apart, None when it does not."""

    __slots__ = ("key", "pool", "sticky")

    def __init__(self, pool: Pool, key: Callable[[Environ], bytes | None] | None) -> None:
        self.pool = pool
        self.key = key
        self.sticky = pool.sticky is not None


class Forwarder:
    """Sends the requests of one route to the pool `choose`, or to what it returns; never raises LocalReply.

    `rewrite` changes their target on the way, None leaves it as it came. `plain` tells that nothing
    here asks who the client is.
    """

    __slots__ = ("_choose", "_clients", "_heads", "_only", "_replies", "_rewrite", "_upstreams", "plain")

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        choose: str | Callable[[Environ], str],
        heads: HeadBuilder,
        replies: LocalReplies,
        rewrite: Rewrite | None,
    ) -> None:
        self._upstreams = upstreams
        self._only = upstreams[choose] if isinstance(choose, str) else None
        self._choose = None if isinstance(choose, str) else choose
        self._heads = heads
        self._replies = replies
        self._clients = replies.clients
        self._rewrite = rewrite
        self.plain = self._only is not None and self._only.key is None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        try:
            return self.forward(environ, start_response, environ["lbg.exchange"])
        except LocalReply as cause:
            return self._replies.reply(cause, environ, start_response)
        except ClientGone as error:
            return self._replies.gone(error, environ, start_response)

    def forward(self, environ: Environ, start_response: StartResponse, record: Record) -> Iterable[bytes]:
        """Answer one request. Raises LocalReply in place of an answer, or ClientGone."""
        method = environ["REQUEST_METHOD"]
        fields = environ.get("lbg.headers")
        head = self._heads.read(fields_of(environ) if fields is None else fields)
        if record.path:
            head.heed_filters(environ)
        target = environ.get("lbg.raw_target") or target_of(environ)
        if head.max_forwards is not None and method == "OPTIONS":  # RFC 9110 section 7.6.2
            if head.max_forwards == 0:
                start_response("200 OK", [ALLOW, ("Content-Length", "0")])
                return [b""]
            head.max_forwards -= 1
        if head.upgrade and (environ["SERVER_PROTOCOL"] != "HTTP/1.1" or head.length or head.chunked):
            head.upgrade = b""  # RFC 9110 section 7.8 lets us: a body would mix with the new protocol
        peer = self._clients.peer(environ)
        if peer.trusted and not record.path:
            record.request_id = self._heads.request_id(head, record.request_id)
        upstream = self._only
        if upstream is None or "lbg.pool" in environ:
            upstream = self._chosen(environ)
        pool = record.pool = upstream.pool
        if self._rewrite is not None:
            target = _rewritten(target, self._rewrite)
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
        if upstream.key is not None:
            request.key = upstream.key(environ)
        if upstream.sticky:
            self._stick(request, environ)
        exchange = forward(request, pool, record)
        if exchange.status == 101:
            record.switched = True
            return switch_protocols(exchange, environ, pool.timeouts.tunnel)
        exchange.on_trailers = environ.get("lbg.trailers")
        try:
            start_response(exchange.status_line, exchange.headers)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _chosen(self, environ: Environ) -> Upstream:
        name = environ.get("lbg.pool")
        if name is None and self._choose is not None:
            name = self._choose(environ)
        upstream = self._upstreams.get(name) if isinstance(name, str) else None
        if upstream is None:
            environ["lbg.exchange"].gave_up = f"a filter chose the pool {name!r}, which there is not"
            raise LocalReply("filter_error", "A filter of this route chose a pool that there is not.")
        return upstream

    def _stick(self, request: UpstreamRequest, environ: Environ) -> None:
        request.cookies = environ.get("HTTP_COOKIE", "")
        request.secure = self._clients.secure(environ)


def _rewritten(target: bytes, rewrite: Rewrite) -> bytes:
    path = routing_path(target.partition(b"?")[0].decode("latin-1"))
    if path is None:
        raise LocalReply("bad_request", "The path of the request leaves the root.")
    return rewrite.target(target, path)
