"""Turns a local reply into bytes and a line of the log, with the error pages of the route."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbg.errors import ClientGone, LocalReply
from lbg.http.replies import Page, make_reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.proxy.client import Clients
    from lbg.proxy.record import Record

log = logging.getLogger("lbg.proxy")

Environ = dict[str, Any]
StartResponse = Any


@dataclass(frozen=True, slots=True)
class LocalReplies:
    """Answers in place of a backend. `pages` has for each route its pages, by `502` or `5xx`."""

    clients: Clients
    pages: Mapping[str, Mapping[str, Page]]

    def reply(self, cause: LocalReply, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request with `cause`, as a WSGI application would."""
        record: Record = environ["lbg.exchange"]
        record.reason = cause.reason
        record.detail = cause.detail
        level = logging.WARNING if cause.status >= 500 else logging.DEBUG
        if log.isEnabledFor(level):
            self._log(level, cause, environ, record)
        reply = make_reply(
            cause, environ.get("HTTP_ACCEPT", ""), record.request_id, self._page(record, cause.status)
        )
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

    def _log(self, level: int, cause: LocalReply, environ: Environ, record: Record) -> None:
        log.log(
            level,
            "%d %s: %s: %s %s: %s",
            cause.status,
            cause.reason,
            record.client or self.clients.address(environ),
            environ["REQUEST_METHOD"],
            _printable(environ.get("RAW_URI") or environ.get("PATH_INFO", "")),
            record.story() or cause.detail,
            extra={"request_id": record.request_id, "reason": cause.reason.code},
        )


def _printable(text: str) -> str:
    """Return `text` so that it cannot forge a line of the log or a colour on the terminal."""
    return text[:200].encode("unicode_escape").decode("ascii")
