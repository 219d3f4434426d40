"""Local replies: the answers lbg makes itself, in the form the client asked for."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lbg.errors import LocalReply

_EXTRA_PHRASES: Final = {499: "Client Closed Request"}

_PAGE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{status} {title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;padding:0 1rem}}
code{{color:#666}}</style></head>
<body><h1>{status} {title}</h1><p>{detail}</p>
<p><code>{reason}</code> <code>{request_id}</code></p></body>
</html>
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer as WSGI wants it."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True)
class Page:
    """The content of a file that is sent in place of our own words."""

    body: bytes
    content_type: str


def status_line(status: int) -> str:
    """Return the status with its phrase: `502 Bad Gateway`."""
    phrase = _EXTRA_PHRASES.get(status)
    if phrase is None:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
    return f"{status} {phrase}"


def accepted(environ: Mapping[str, object]) -> str:
    """Return what a request accepts, "" where its environ does not tell; a filter may have spoilt it."""
    value = environ.get("HTTP_ACCEPT")
    return value if isinstance(value, str) else ""


def make_reply(cause: LocalReply, accept: str, request_id: str, page: Page | None = None) -> Reply:
    """Return the reply for `cause`: a problem document (RFC 9457), a page or a line, by `accept`.

    `page` takes the place of our own page and line; who prefers JSON still gets the problem document.

    `Proxy-Status` (RFC 9209) carries the error type and our reason code, never an address of ours.
    """
    status = status_line(cause.status)
    kind = preferred(accept)
    if page is not None and (kind != "application/json" or "json" in page.content_type):
        return Reply(status, _headers(cause, page.content_type, len(page.body), request_id), page.body)
    if kind == "application/json":
        kind = "application/problem+json"
        body = json.dumps(
            {
                "type": "about:blank",
                "title": status[4:],
                "status": cause.status,
                "detail": cause.detail,
                "reason": cause.reason.code,
                "request_id": request_id,
            }
        )
    elif kind == "text/html":
        body = _PAGE.format(
            status=cause.status,
            title=status[4:],
            detail=html.escape(cause.detail),
            reason=cause.reason.code,
            request_id=html.escape(request_id),
        )
    else:
        body = f"{status}\n{cause.detail}\nreason: {cause.reason.code}\n"
        if request_id:
            body += f"request id: {request_id}\n"
    content = body.encode("utf-8")
    charset = "" if kind == "application/problem+json" else "; charset=utf-8"
    return Reply(status, _headers(cause, kind + charset, len(content), request_id), content)


def _headers(cause: LocalReply, content_type: str, length: int, request_id: str) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(length)),
        ("Cache-Control", "no-store"),
        ("Proxy-Status", f'lbg; error={cause.reason.proxy_error}; details="{cause.reason.code}"'),
        *cause.headers,
    ]
    if request_id:
        headers.append(("X-Request-Id", request_id))
    return headers


def preferred(accept: str) -> str:
    """Return the type of local reply that an `Accept` value ranks first; text when it says nothing of use."""
    best, best_weight = "text/plain", 0.0
    for item in accept.lower().split(","):
        media, _, parameters = item.strip().partition(";")
        kind = _OFFERED.get(media.strip())
        weight = _weight(parameters)
        if kind is not None and weight > best_weight:
            best, best_weight = kind, weight
    return best


_OFFERED: Final = {
    "application/json": "application/json",
    "application/problem+json": "application/json",
    "text/html": "text/html",
    "application/xhtml+xml": "text/html",
    "text/plain": "text/plain",
}


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
