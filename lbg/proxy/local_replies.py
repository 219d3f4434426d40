"""Turns a local reply into bytes and a line of the log, with the error pages of the route."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lbg.errors import ClientGone, LocalReply
from lbg.http.replies import Page, accepted, make_reply
from lbg.proxy.reply_log import ReplyLog

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.proxy.client import Clients
    from lbg.proxy.record import Record

Environ = dict[str, Any]
StartResponse = Any


@dataclass(frozen=True, slots=True)
class LocalReplies:
    """Answers in place of a backend. `pages` has for each route its pages, by `502` or `5xx`."""

    clients: Clients
    pages: Mapping[str, Mapping[str, Page]]
    log: ReplyLog = field(default_factory=ReplyLog)

    def reply(self, cause: LocalReply, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request with `cause`, as a WSGI application would."""
        record: Record = environ["lbg.exchange"]
        record.reason = cause.reason
        record.detail = cause.detail
        self.log.tell(cause, environ, record, self.clients)
        reply = make_reply(cause, accepted(environ), record.request_id, self._page(record, cause.status))
        start_response(reply.status, reply.headers)
        return [reply.body]

    def gone(self, error: ClientGone, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a client that left where the server wants an answer nevertheless; ours does not."""
        if "lbg.client" in environ:
            raise error
        return self.reply(LocalReply("client_gone", str(error), status=400), environ, start_response)

    def _page(self, record: Record, status: int) -> Page | None:
        route = record.route
        pages = self.pages.get(route.name) if route is not None else None
        if not pages:
            return None
        return pages.get(str(status)) or pages.get(f"{status // 100}xx")
