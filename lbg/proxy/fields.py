"""The fields of a request as filters see and change them: the raw list and the CGI keys, always both."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lbg.errors import LbgError
from lbg.proxy.cgi import fields_of

if TYPE_CHECKING:
    from lbg.http.headers import Fields

Environ = dict[str, Any]


class BadField(LbgError):
    """A name or value that cannot stand in a header field."""


def fields(environ: Environ) -> Fields:
    """Return the fields that go upstream, a list that may be changed in place."""
    known: Fields | None = environ.get("lbg.headers")
    if known is None:
        known = environ["lbg.headers"] = fields_of(environ)
    return known


def set_field(environ: Environ, name: str, value: str) -> None:
    """Give the field one value, in place of all it has. Raises BadField."""
    raw = _raw(value)
    if name.lower() == "host":
        environ.setdefault("lbg.client_host", environ.get("HTTP_HOST", ""))  # for X-Forwarded-Host
    remove_field(environ, name)
    _add(environ, name, value, raw)


def add_field(environ: Environ, name: str, value: str) -> None:
    """Add a value to the field. Raises BadField."""
    _add(environ, name, value, _raw(value))


def discard_forwarding(environ: Environ) -> None:
    """Forget what a stranger says of whom the request comes from, so that no filter believes it.

    What filters write into such fields then reaches the backend (`Head.vouched`).
    """
    known = fields(environ)
    if any(_says_whence(name) for name, _ in known):
        for name in {name for name, _ in known if _says_whence(name)}:
            environ.pop(cgi_key(name.decode("latin-1")), None)
        known[:] = [field for field in known if not _says_whence(field[0])]


@lru_cache(maxsize=1024)
def _says_whence(name: bytes) -> bool:
    lower = name.lower()
    return lower.startswith(b"x-forwarded-") or lower in {b"x-real-ip", b"forwarded"}


def _add(environ: Environ, name: str, value: str, raw: bytes) -> None:
    if "HTTP_CONNECTION" in environ:
        _keep(environ, name.lower())
    fields(environ).append((name.encode("ascii"), raw))
    key = cgi_key(name)
    before = environ.get(key)
    if before is None:
        environ[key] = value
    else:
        environ[key] = f"{before}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"


def _keep(environ: Environ, name: str) -> None:
    """Take the lower-cased `name` out of Connection.

    The client could have its next hop, us, remove what a filter tells the backend (RFC 9110 section 7.6.1).
    """
    said = environ["HTTP_CONNECTION"]
    if name not in said.lower():
        return
    options = [option.strip() for option in said.split(",")]
    kept = ", ".join(option for option in options if option.lower() != name)
    remove_field(environ, "Connection")
    if kept:
        fields(environ).append((b"Connection", kept.encode("latin-1")))
        environ["HTTP_CONNECTION"] = kept


def remove_field(environ: Environ, name: str) -> None:
    """Take the field away, if it is there."""
    known = fields(environ)  # made while all keys are there
    if environ.pop(cgi_key(name), None) is not None:
        # A_B and A-B are one name to a CGI-like backend: who removes the one means the other, too.
        dashed = name.lower().replace("_", "-").encode("ascii")
        known[:] = [field for field in known if field[0].lower().replace(b"_", b"-") != dashed]


@lru_cache(maxsize=1024)
def cgi_key(name: str) -> str:
    """Return the environ key of a field name (PEP 3333)."""
    key = name.upper().replace("-", "_")
    return key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}"


def _raw(value: str) -> bytes:
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raise BadField("a field value holds characters beyond Latin-1") from None
    # Most values are plain, and one look finds out.
    if not value.isprintable() and (b"\r" in raw or b"\n" in raw or b"\0" in raw):
        raise BadField("a field value holds a line break or NUL")
    return raw
