"""`mirror`: sends copies of requests to another pool, while nobody waits for them."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from io import BytesIO
from random import random
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final, Literal, get_args

import gevent

from lbg.errors import LbgError, LocalReply
from lbg.filters.discard import read_out
from lbg.filters.minutely import Minutely
from lbg.filters.tee import tee
from lbg.http.target import routing_path
from lbg.proxy.cgi import target_of
from lbg.proxy.fields import fields, remove_field
from lbg.proxy.record import Record
from lbg.routing.rewrite import Rewrite
from lbg.upstream.body import RequestBody

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import MirrorConfig
    from lbg.filters.tools import Environ, StartResponse, Tools
    from lbg.http.forwarded import Peer
    from lbg.http.headers import Fields
    from lbg.routing.route import Route
    from lbg.upstream.request import UpstreamRequest

log = logging.getLogger("lbg.filters")

_MARK: Final = "X-Lbg-Mirror"
_MARK_KEY: Final = "HTTP_X_LBG_MIRROR"
_MARK_LINE: Final = b"X-Lbg-Mirror: 1\r\n"
# The copy has its own framing, and nobody to wait for or to switch protocols with.
_NOT_COPIED: Final = frozenset(
    {b"content-length", b"transfer-encoding", b"trailer", b"te", b"expect", b"upgrade", b"max-forwards"}
)
_MAX_DIGITS: Final = 18  # of a Content-Length
_ANSWER: Final = 1 << 20  # bytes of an answer that are read; what has more loses its connection


Outcome = Literal["answered", "failed", "too_large", "left_out"]

COPIES: Final[Counter[tuple[str, ...]]] = Counter()
"""What all mirrors of this process have counted, by route, pool and outcome."""


@dataclass(slots=True)
class Counts:
    """What became of the requests that were to be copied, in this worker."""

    answered: int = 0
    failed: int = 0
    too_large: int = 0
    left_out: int = 0  # as many copies as there may be were under way


@dataclass(frozen=True, slots=True)
class Copy:
    """A request as it was at this place; others change the environ after it."""

    method: str
    target: bytes
    fields: Fields
    peer: Peer
    request_id: str
    client_host: str | None
    has_body: bool
    trace: bytes


class Mirror:
    """Copies a share of the requests, with bodies up to `max_body`; `counts` tells what became of them.

    The copy goes when the original's body has been read to its end, with what the filters before this one
    made of the request. Its answer is thrown away, and what fails is only counted.
    """

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: MirrorConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._config = config
        self._tools = tools
        self._pool = tools.pools[config.pool]
        self._pending = 0
        self._route: Route | None = None
        self._rewrite: Rewrite | None = None
        self._left_out = Minutely()
        self.counts = Counts()
        for outcome in get_args(Outcome):
            COPIES[tools.route, config.pool, outcome] += 0  # so that the first one is an increase

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        if _MARK_KEY in environ:
            remove_field(environ, _MARK)  # only we say so
        if random() < self._config.share and not _switches(environ):  # noqa: S311 - no secret
            self._copy(environ)
        return self._app(environ, start_response)

    def _copy(self, environ: Environ) -> None:
        """Send a copy now, or as soon as the body has been read."""
        if self._is_full():
            return
        length = environ.get("CONTENT_LENGTH") or "0"
        if not (length.isascii() and length.isdigit()) or len(length) > _MAX_DIGITS:
            return  # under another server; it will not be forwarded either
        size = None if "HTTP_TRANSFER_ENCODING" in environ else int(length)
        if size is not None and size > self._config.max_body:
            self._count("too_large")
            return
        copy = self._copied(environ)
        if copy is None:
            return
        if size == 0:
            self._launch(copy, b"")
        else:
            environ["wsgi.input"] = tee(
                environ["wsgi.input"], size, self._config.max_body, lambda body: self._read(copy, body)
            )

    def _read(self, copy: Copy, body: bytes | None) -> None:
        """Go on with a request whose body has been read; None is one that was too large."""
        if body is None:
            self._count("too_large")
        elif not self._is_full():
            self._launch(copy, body)

    def _copied(self, environ: Environ) -> Copy | None:
        """Return the request as it is now, None for one that will be refused."""
        record: Record = environ["lbg.exchange"]
        try:
            present = fields(environ)
        except LocalReply:
            return None
        target = self._target(environ, record)
        if target is None:
            return None
        return Copy(
            environ["REQUEST_METHOD"],
            target,
            [field for field in present if field[0].lower() not in _NOT_COPIED],
            self._tools.clients.peer(environ),
            record.request_id,
            environ.get("lbg.client_host"),
            has_body=bool(environ.get("CONTENT_LENGTH")) or "HTTP_TRANSFER_ENCODING" in environ,
            trace=record.trace_context.own_lines() if record.trace_context is not None else b"",
        )

    def _target(self, environ: Environ, record: Record) -> bytes | None:
        """Return the target with what the route does to it, None for one that climbs above the root."""
        target: bytes = environ.get("lbg.raw_target") or target_of(environ)
        if record.route is not None and record.route is not self._route:
            self._route = record.route
            self._rewrite = Rewrite.of(record.route.config)
        if self._rewrite is None:
            return target
        path = routing_path(target.partition(b"?")[0].decode("latin-1"))
        return None if path is None else self._rewrite.target(target, path)

    def _is_full(self) -> bool:
        """Return whether as many copies as there may be are under way; then one more is left out."""
        if self._pending < self._config.max_pending:
            return False
        self._count("left_out")
        untold = self._left_out.count(monotonic_ns())
        if untold:
            log.warning(
                "%s: copies for pool %s left out: %d; %d are under way, which is max_pending",
                self._tools.name,
                self._pool.name,
                untold,
                self._pending,
            )
        return True

    def _launch(self, copy: Copy, body: bytes) -> None:
        self._pending += 1
        gevent.spawn(self._send, copy, body)

    def _send(self, copy: Copy, body: bytes) -> None:
        own = Record(copy.request_id)
        try:
            exchange = self._tools.send(self._request(copy, body), self._pool, own)
            read_out(exchange, iter(exchange), _ANSWER)
            self._count("answered")
        except LbgError as failure:
            self._count("failed")
            log.debug(
                "%s: a copy failed at pool %s: %s", self._tools.name, self._pool.name, own.story() or failure
            )
        finally:
            self._pending -= 1

    def _count(self, outcome: Outcome) -> None:
        setattr(self.counts, outcome, getattr(self.counts, outcome) + 1)
        COPIES[self._tools.route, self._config.pool, outcome] += 1

    def _request(self, copy: Copy, body: bytes) -> UpstreamRequest:
        heads, pool = self._tools.heads, self._pool
        head = heads.read(copy.fields)
        head.heed_filters({"lbg.client_host": copy.client_host})
        if copy.has_body:
            head.lines.append(b"Content-Length: %d\r\n" % len(body))
        head.lines.append(_MARK_LINE)
        request_id = heads.request_id(head, copy.request_id) if copy.peer.trusted else copy.request_id
        request = heads.build(copy.method, copy.target, head, copy.peer, request_id)
        request.trace = copy.trace
        if not pool.keep_host:
            request.host = None
        request.ends = monotonic() + min(self._config.timeout, pool.total_timeout or self._config.timeout)
        if body:
            request.body = RequestBody(_Whole(body), len(body), len(body))
        return request


class _Whole(BytesIO):
    """The input of a body that is there."""

    def ready(self) -> bytes:
        """Return it."""
        return self.read()


def _switches(environ: Environ) -> bool:
    """Return whether the connection may become one for another protocol; h2c never does."""
    upgrade = environ.get("HTTP_UPGRADE")
    return (
        upgrade is not None
        and upgrade.strip().lower() != "h2c"
        and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
    )
