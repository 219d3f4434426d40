"""Request targets and authorities: what is well formed, and the copy that routing looks at."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

# RFC 3986 section 3.2 less userinfo: reg-name or IPv4, or an IP literal, then a port. No comma either:
# that is how a CGI-like server joins two Host fields into one. No escapes of ASCII: a backend that decodes
# them could see another name than routing did.
_AUTHORITY: Final = re.compile(
    r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[89A-Fa-f][0-9A-Fa-f])+(?::[0-9]{1,5})?"
    r"|\[[0-9A-Fa-f:.]+(?:%25[A-Za-z0-9\-._~]+)?\](?::[0-9]{1,5})?"
)
_ABSOLUTE: Final = re.compile(rb"(?i:https?)://([^/?#]*)(.*)", re.DOTALL)
_SLASHES: Final = re.compile(r"/{2,}")
_PARAMETERS: Final = re.compile(r";[^/]*")
_DOTS: Final = frozenset({".", ".."})
_REMEMBERED: Final = 1024
_READINGS: Final = 32
_LONGEST: Final = 4096  # bytes of a path that can be read in more than one way
_AMBIGUOUS: Final = ("//", "/.", ";", "\\", "%2F")

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
    """Return the lower-cased host of an authority, without port and without the dot of the root zone.

    An IPv6 address comes in its shortest form, as the configuration has it.
    """
    if authority.startswith("["):
        return _ipv6_name(authority.rpartition("]")[0])
    return authority.partition(":")[0].lower().rstrip(".")


@lru_cache(maxsize=_REMEMBERED)
def _ipv6_name(literal: str) -> str:
    try:
        return f"[{IPv6Address(literal[1:])}]"
    except ValueError:  # nothing, or an address with a zone
        return literal.lower() + "]"


def routing_path(raw: str) -> str | None:
    """Return the path that routing compares: decoded, slashes merged, dot segments and `;` parameters gone.

    An encoded slash stays `%2F`, since it is data to the backend. None means that the path climbs
    above the root, hides a dot segment behind an encoded slash or a backslash, or holds a NUL. `raw` is
    the path part of a target, without the query.
    """
    if "%" not in raw and "//" not in raw and "/." not in raw and ";" not in raw and "\\" not in raw:
        return raw
    path = unescaped_path(raw)
    if "\0" in path:
        return None
    resolved = _without_dots(_SLASHES.sub("/", _PARAMETERS.sub("", path)))
    if resolved is not None and ".." in resolved.replace("%2F", "/").replace("\\", "/").split("/"):
        return None  # a backend that decodes %2F, as WSGI does, would climb where we saw one segment
    return resolved


def readings(raw: str) -> frozenset[str]:
    """Return the paths that a backend may take `raw` for, none where one of them climbs above the root.

    Backends decode once, `%2F` as well or not, take a backslash for a slash, cut `;` parameters, merge
    slashes and resolve dot segments, each or not and in any order; what holds for all readings cannot be
    slipped past. There are none, either, for a long path or for one with more readings than any
    honest path has, since each of them costs time.
    """
    plain = unescaped_path(raw)
    if not any(mark in plain for mark in _AMBIGUOUS):
        return frozenset({plain})
    if len(raw) > _LONGEST:
        return frozenset()
    todo = [(raw, False)]
    found = set(todo)
    while todo:
        path, decoded = todo.pop()
        for step in _steps(path, decoded=decoded):
            if step is None or len(found) > _READINGS:
                return frozenset()
            if step not in found:
                found.add(step)
                todo.append(step)
    return frozenset(path for path, decoded in found if decoded)


def _steps(path: str, *, decoded: bool) -> Iterator[tuple[str, bool] | None]:
    if not decoded and "%" in path:
        yield unescaped_path(path), True
        yield unquote_to_bytes(path.encode("latin-1")).decode("latin-1"), True
    elif not decoded:
        yield path, True
    if "\\" in path:
        yield path.replace("\\", "/"), decoded
    if ";" in path:
        yield _PARAMETERS.sub("", path), decoded
    if "//" in path:
        yield _SLASHES.sub("/", path), decoded
    if "/." in path:
        resolved = _without_dots(path)
        yield None if resolved is None else (resolved, decoded)


def unescaped_path(raw: str) -> str:
    """Return the path with its escapes decoded but for `%2F`, and all else as it came."""
    if "%" not in raw:
        return raw
    return unquote_to_bytes(re.sub("%2[fF]", "%252F", raw).encode("latin-1")).decode("latin-1")


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
