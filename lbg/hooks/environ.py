"""What a WSGI middleware changed in the environ, brought to the raw fields that go upstream.

Middleware knows the CGI keys of PEP 3333 only; the proxy forwards `lbg.headers`, which keep order,
case and repeats. So the environ from before the middleware is compared with the one it hands on.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from lbg.errors import LocalReply
from lbg.http.headers import connection_options
from lbg.http.target import is_authority

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lbg.http.headers import Fields

Environ = dict[str, Any]

_PLAIN_KEYS: Final = frozenset({"CONTENT_TYPE", "CONTENT_LENGTH"})
FRAMING: Final = ("CONTENT_LENGTH", "HTTP_TRANSFER_ENCODING")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BREAKS: Final = re.compile(r"[\r\n\0]")
_MAX_DIGITS: Final = 18


class Unusable(Exception):
    """A middleware put something into the environ that cannot go upstream; the text follows its name."""


def changed_fields(before: Environ, after: Environ) -> dict[str, str | None]:
    """Return the keys of header fields whose values differ, with the new ones; None: it was removed.

    Raises Unusable for what cannot go upstream, LocalReply for a malformed Host.
    """
    changes: dict[str, str | None] = {}
    for key, value in after.items():
        old = before.get(key)
        if old is not value and _is_field(key) and old != value:
            _check(key, value)
            changes[key] = value if value or key not in _PLAIN_KEYS else None
    if not before.keys() <= after.keys():
        changes |= dict.fromkeys(key for key in before if key not in after and _is_field(key))
    host = changes.get("HTTP_HOST")
    if host is not None and not is_authority(host):
        # What a middleware writes there, such as X-Forwarded-Host, often is the client's own word.
        raise LocalReply("bad_request", "The Host of the request is malformed.")
    return changes


def _is_field(key: str) -> bool:
    return key.startswith("HTTP_") or key in _PLAIN_KEYS


def check_fields(fields: Fields) -> None:
    """Raise Unusable unless all `fields` can go upstream."""
    for name, value in fields:
        if not (isinstance(name, bytes) and isinstance(value, bytes)):
            raise Unusable("put a field into lbg.headers that is not a pair of bytes")
        if _BREAKS.search(value.decode("latin-1")) or not _TOKEN.fullmatch(name.decode("latin-1")):
            raise Unusable("put a field into lbg.headers that cannot be one")


def _check(key: str, value: object) -> None:
    if not _TOKEN.fullmatch(_name(key)):
        raise Unusable(f"set {key!a:.60}, which names no header field")
    if key in {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"}:
        raise Unusable(f"set {key}, which WSGI calls {key[5:]}")
    if not isinstance(value, str):
        raise Unusable(f"set {key} to {type(value).__name__}, expected str")
    if _BREAKS.search(value):
        raise Unusable(f"set {key} to a value with a line break or NUL")
    if not value.isascii() and any(ord(letter) > 255 for letter in value):
        raise Unusable(f"set {key} to a value with characters beyond Latin-1")


def apply(changes: Mapping[str, str | None], fields: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return `fields` with `changes`: a new value stands once, in place of the first of its name."""
    left = {key: value.encode("latin-1") for key, value in changes.items() if value is not None}
    options = False
    result: Fields = []
    for field in fields:
        key = _key(field[0])
        if key not in changes:
            result.append(field)
            options = options or key == "HTTP_CONNECTION"
        elif key in left:
            result.append((field[0], left.pop(key)))
    result += [(_name(key).title().encode("ascii"), value) for key, value in left.items()]
    return _kept(changes, result) if options else result


def _kept(changes: Mapping[str, str | None], fields: Fields) -> Fields:
    """Take what was set out of Connection: its sender could have us remove it (RFC 9110 section 7.6.1)."""
    ours = {_name(key).lower().encode("ascii") for key, value in changes.items() if value is not None}
    result: Fields = []
    for name, value in fields:
        if _key(name) != "HTTP_CONNECTION" or ours.isdisjoint(connection_options(value)):
            result.append((name, value))
            continue
        options = [option.strip() for option in value.split(b",")]
        kept = b", ".join(option for option in options if option.lower() not in ours)
        if kept:
            result.append((name, kept))
    return result


def _name(key: str) -> str:
    return (key if key in _PLAIN_KEYS else key[5:]).replace("_", "-")


@lru_cache(maxsize=1024)
def _key(name: bytes) -> str:
    # A_B and A-B are one name to a CGI-like backend: who changes the one means the other, too.
    key = name.decode("latin-1").upper().replace("-", "_")
    return key if key in _PLAIN_KEYS else f"HTTP_{key}"


def reframe(changes: dict[str, str | None], before: Environ, after: Environ) -> int | None:
    """Say in `after` and `changes` how long the body is that `wsgi.input` gives now, and return that.

    None is a chunked body. A request that had no body gets one by CONTENT_LENGTH only, or by an explicit
    Transfer-Encoding: often an empty input was just wrapped. Raises Unusable.
    """
    digits = after.get("CONTENT_LENGTH") or ""
    coding = after.get("HTTP_TRANSFER_ENCODING") or ""
    length: int | None = 0
    changes |= dict.fromkeys(FRAMING)
    if digits:
        if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS:
            raise Unusable(f"set CONTENT_LENGTH to {digits[:40]!r}")
        length = int(digits)
        changes["CONTENT_LENGTH"] = digits
    elif coding or has_body(before):
        if coding and coding.lower() != "chunked":
            raise Unusable(f"set HTTP_TRANSFER_ENCODING to {coding[:40]!r}")
        length = None
        changes["HTTP_TRANSFER_ENCODING"] = "chunked"
    for key in FRAMING:
        after.pop(key, None)
        if changes[key] is not None:
            after[key] = changes[key]
    return length


def has_body(environ: Environ) -> bool:
    """Return whether the request of `environ` has a body by what its keys say."""
    return environ.get("CONTENT_LENGTH", "0") not in {"", "0"} or "HTTP_TRANSFER_ENCODING" in environ
