"""Request targets and authorities: what is well formed, and the copy that routing looks at."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import unquote_to_bytes

# RFC 3986 section 3.2 less userinfo: reg-name or IPv4, or an IP literal, then a port. No comma either:
# that is how a CGI-like server joins two Host fields into one.
_AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+(?::[0-9]{1,5})?"
    r"|\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9\-._~]+)?\](?::[0-9]{1,5})?"
)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
_SLASHES: Final = re.compile(r"/{2,}")
_PARAMETERS: Final = re.compile(r";[^/]*")
_DOTS: Final = frozenset({".", ".."})
_REMEMBERED: Final = 1024

_known_authorities: Final[set[str]] = set()


def is_authority(value: str) -> bool:
    """Return whether `value` can stand in Host: a name or address, and a port up to 65535."""
    if value in _known_authorities:
        return True
    if not _AUTHORITY.fullmatch(value):
        return False
    literal, bracket, port = value.rpartition("]")
    if bracket and not _is_ipv6(literal[1:]):
        return False
    if ":" in port and int(port.rpartition(":")[2]) > 65535:
        return False
    if len(_known_authorities) < _REMEMBERED:
        _known_authorities.add(value)
    return True


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text.replace("%25", "%", 1))
    except ValueError:
        return False
    return True


def split_absolute(target: bytes) -> tuple[bytes, bytes] | None:
    """Return (authority, origin-form) of an absolute-form target, None for others (RFC 9112 3.2.2)."""
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return None
    rest = match[2]
    return match[1], rest if rest.startswith(b"/") else b"/" + rest


def host_name(authority: str) -> str:
    """Return the lower-cased host of an authority, without port and without the dot of the root zone."""
    host = authority.rpartition("]")[0] + "]" if authority.startswith("[") else authority.partition(":")[0]
    return host.lower().rstrip(".")


def routing_path(raw: str) -> str | None:
    """Return the path that routing compares: decoded, slashes merged, dot segments and `;` parameters gone.

    An encoded slash stays `%2F`, since it is data to the backend. None means that the path climbs
    above the root, hides a dot segment behind an encoded slash, or holds a NUL. `raw` is the path part
    of a target, without the query.
    """
    if "%" not in raw and "//" not in raw and "/." not in raw and ";" not in raw:
        return raw
    kept = re.sub("%2[fF]", "%252F", raw)
    path = unquote_to_bytes(kept.encode("latin-1")).decode("latin-1")
    if "\0" in path:
        return None
    resolved = _without_dots(_SLASHES.sub("/", _PARAMETERS.sub("", path)))
    if resolved is not None and ".." in resolved.replace("%2F", "/").split("/"):
        return None  # a backend that decodes %2F, as WSGI does, would climb where we saw one segment
    return resolved


def _without_dots(path: str) -> str | None:
    segments: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            if not segments:
                return None
            segments.pop()
        elif part != ".":
            segments.append(part)
    if parts and parts[-1] in _DOTS:
        segments.append("")
    return "/" + "/".join(segments)
