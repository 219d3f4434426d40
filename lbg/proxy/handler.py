"""The proxy as a WSGI application: finds the route of each request and calls what answers it."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from lbg.errors import ClientGone, LocalReply
from lbg.http.forwarded import own_or_given
from lbg.http.target import host_name, routing_path
from lbg.proxy.cgi import target_of
from lbg.proxy.fields import discard_forwarding
from lbg.proxy.forwarder import ALLOW, Forwarder
from lbg.proxy.observed import Observed
from lbg.proxy.record import Record
from lbg.routing.lookup import find_route
from lbg.telemetry.ending import ending

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lbg.proxy.local_replies import LocalReplies
    from lbg.routing.table import Route, RouteTable
    from lbg.telemetry.trace_context import TraceContext

Environ = dict[str, Any]
StartResponse = Any
Observer = Callable[[Environ, Record, int, int, float], None]
"""Told of a request that is over: its environ and record, the status, the bytes sent, the seconds it took."""

_NOT_FORWARDED: Final = frozenset({"CONNECT", "TRACE"})


class ProxyHandler:
    """Answers every request that reaches the public listeners. Never raises what a backend caused.

    `apps` has the WSGI application of each route. What is more than a forwarder finds the client
    and the normalised path in the request's record.
    """

    def __init__(
        self,
        table: RouteTable,
        apps: Mapping[Route, Callable[[Environ, StartResponse], Iterable[bytes]]],
        replies: LocalReplies,
        observers: Sequence[Observer] = (),
        begun: Callable[[Route], None] | None = None,
        trace: Callable[[Environ], TraceContext] | None = None,
    ) -> None:
        """`observers` are told of each request once its response is over, `begun` when it has its route.

        `trace` begins the part of lbg in its trace, if there is to be one.
        """
        self._observers = tuple(observers)
        self._begun = begun
        self._trace = trace
        self._table = table
        self._apps = apps
        self._replies = replies
        only = table.only
        app = apps.get(only) if only is not None else None
        self._only: Route | None = None
        # Who needs neither client nor path is spared finding them.
        if isinstance(app, Forwarder) and app.plain:
            self._only, self._forward = only, app.forward
        # Unique among workers and restarts, and cheap: a random start and a counter.
        prefix = os.urandom(6).hex()
        self._ids = (f"{prefix}{number:08x}" for number in itertools.count(1))

    def handle(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        if self._observers:
            if "lbg.client" not in environ and "lbg.finished" not in environ:
                environ["lbg.finished"] = self._finished
                return Observed.call(self.handle, environ, start_response)
            environ["lbg.finished"] = self._finished
        record = environ["lbg.exchange"] = Record(next(self._ids))
        if self._trace is not None:
            record.trace_context = self._trace(environ)
        try:
            route = record.route = self._route(environ, record)
            if self._begun is not None:
                self._begun(route)
            if route is self._only:
                return self._forward(environ, start_response, record)
            return self._apps[route](environ, start_response)
        except LocalReply as cause:
            return self._replies.reply(cause, environ, start_response)
        except ClientGone as error:
            return self._replies.gone(error, environ, start_response)

    def _finished(self, environ: Environ, status: int, sent: int) -> None:
        """Tell the observers; `sent` are the bytes of the response's body. Called by the server."""
        record: Record = environ["lbg.exchange"]
        if not status or "lbg.cut" in environ or "lbg.fault" in environ:
            status, record.reason = ending(environ, status)
        now = monotonic()
        attempts = record.attempts
        if attempts:
            last = attempts[-1]
            if last.error is None and record.lease is not None:
                last.took = now - last.began
                last.error = record.lease.cut
        for observe in self._observers:
            observe(environ, record, status, sent, now - record.began)

    def _route(self, environ: Environ, record: Record) -> Route:
        method = environ["REQUEST_METHOD"]
        if method in _NOT_FORWARDED:
            raise LocalReply("bad_request", f"{method} is not allowed here.", status=405, headers=(ALLOW,))
        target = environ.get("lbg.raw_target") or _checked(target_of(environ), method)
        if self._only is not None and b"." not in target and b"%" not in target:
            return self._only
        raw_path = target.partition(b"?")[0].decode("latin-1")
        if self._only is not None and routing_path(raw_path) is not None:
            return self._only
        clients = self._replies.clients
        peer = clients.peer(environ)
        record.client = clients.told_by(peer, environ)
        if clients.secure(environ):
            record.scheme = "https"
        if not peer.trusted:
            discard_forwarding(environ)
        else:
            record.request_id = own_or_given(environ.get("HTTP_X_REQUEST_ID", ""), record.request_id)
        host = environ.get("HTTP_HOST")
        route, record.path = find_route(self._table, host_name(host) if host else "", raw_path, environ)
        return route


def _checked(target: bytes, method: str) -> bytes:
    """Return a target that another server let pass. Raises LocalReply for one that ours would not."""
    if b"#" in target or not (target.startswith(b"/") or (target == b"*" and method == "OPTIONS")):
        raise LocalReply("bad_request", "The request target is malformed.")
    return target
