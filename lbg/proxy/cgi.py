"""Field lines and target from plain CGI keys, for servers that do not give them raw (PEP 3333)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lbg.errors import LocalReply
from lbg.http.target import is_authority, split_absolute

if TYPE_CHECKING:
    from lbg.http.headers import Fields


def fields_of(environ: dict[str, Any]) -> Fields:
    """Return the request's fields; order, case and repeats are lost under such a server.

    Raises LocalReply for a Host that is missing, doubled or malformed.
    """
    fields: Fields = []
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            name = key[5:]
        elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            name = key
        else:
            continue
        fields.append((name.replace("_", "-").title().encode("latin-1"), value.encode("latin-1")))
    host = environ.get("HTTP_HOST")
    if host is None:
        if environ.get("SERVER_PROTOCOL") != "HTTP/1.0":
            raise LocalReply("bad_request", "The request has no Host.")
    elif not is_authority(host):
        raise LocalReply("bad_request", "The Host of the request is malformed.")
    return fields


def target_of(environ: dict[str, Any]) -> bytes:
    """Return the request target, as received where the server tells, else put together again."""
    raw = environ.get("RAW_URI") or environ.get("REQUEST_URI")
    if raw:
        target: bytes = raw.encode("latin-1")
        absolute = split_absolute(target)
        return absolute[1] if absolute else target
    path = quote(
        environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""),
        safe="/:@!$&'()*+,;=~",
        encoding="latin-1",
    )
    query = environ.get("QUERY_STRING", "")
    return (f"{path}?{query}" if query else path or "/").encode("latin-1")
