"""The key of a request: what limits, splits and hashing tell clients apart by."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from lbg.hooks.guard import Guard, HookFailed
from lbg.hooks.reference import load
from lbg.http.keys import parse_key
from lbg.http.target import host_name
from lbg.proxy.fields import cgi_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.proxy.record import Record

Environ = dict[str, Any]

_HOST_BITS: Final = 64  # of an IPv6 address, that one client has to itself (RFC 6177, RFC 4291 section 2.5.4)


def key_of(spec: str) -> Callable[[Environ], bytes | None]:
    """Return the function that takes the key from an environ; it returns None where there is none.

    `spec` is as in the configuration: `client_ip` (IPv6 by /64), `header:NAME`, `cookie:NAME`,
    `query:NAME`, `path`, `host`, `route`, or `package.module:function`, whose failure counts as no key.
    Raises HookError for a function that cannot be loaded.
    """
    key = parse_key(spec)
    match key.kind:
        case "client_ip":
            return lambda environ: client_network(environ["lbg.exchange"].client)
        case "path":
            return lambda environ: _text(environ["lbg.exchange"].path)
        case "host":
            return lambda environ: _text(host_name(environ.get("HTTP_HOST", "")))
        case "route":
            return _route
        case "header":
            name = cgi_key(key.name)
            return lambda environ: _text(environ.get(name))
        case "cookie":
            return lambda environ: _text(cookie(environ.get("HTTP_COOKIE", ""), key.name))
        case "query":
            return lambda environ: _text(parameter(environ.get("QUERY_STRING", ""), key.name))
    return _function(key.name)


def _text(value: str | None) -> bytes | None:
    # The bytes that came (PEP 3333); what a filter of the user put there may be no bytes.
    return value.encode("latin-1", "backslashreplace") if value else None


def _route(environ: Environ) -> bytes | None:
    record: Record = environ["lbg.exchange"]
    return record.route.name.encode() if record.route is not None else None


def client_network(address: str) -> bytes:
    """Return what stands for the client: its IPv4 address, or the /64 of its IPv6 address."""
    # An IPv4 address has one spelling here, given by the kernel or by `Forwarding.client`.
    return _network(address) if ":" in address else address.encode("utf-8", "replace")


@lru_cache(maxsize=4096)
def _network(address: str) -> bytes:
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:  # a peer on a Unix socket is "unix:"
        return address.encode("utf-8", "replace")
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped).encode("ascii")
    network = int(parsed) >> _HOST_BITS << _HOST_BITS
    return f"{IPv6Address(network)}/64".encode("ascii")


def cookie(text: str, name: str) -> str | None:
    """Return the first value of a cookie in a Cookie field (RFC 6265 section 5.4)."""
    if name not in text:
        return None
    found = _cookie_pattern(name).search(text)
    return found[1].rstrip() if found else None


@lru_cache(maxsize=1024)
def _cookie_pattern(name: str) -> re.Pattern[str]:
    # One search, since a field of 64 KB may hold tens of thousands of semicolons.
    return re.compile(rf"(?:^|;)[ \t]*{re.escape(name)}=([^;]*)")


def parameter(query: str, name: str) -> str | None:
    """Return the first value of a parameter in a query string, decoded.

    All three are as PEP 3333 writes bytes. `&` alone separates parameters, as the URL standard says.
    """
    if not query:
        return None
    found = _parameter_pattern(name).search(query)
    return decoded(found[1] or "") if found else None


@lru_cache(maxsize=1024)
def _parameter_pattern(name: str) -> re.Pattern[str]:
    # One search again: to decode every name of a long query would cost a hundred times as much.
    return re.compile(rf"(?:^|&){parameter_name(name)}(?:=([^&]*)|(?=&|\Z))")


def parameter_name(name: str) -> str:
    """Return a pattern for what stands for `name` in a query: each character as it is or escaped."""
    return "".join(map(_either, name))


def _either(character: str) -> str:
    escape = "%" + "".join(f"[{digit}{digit.lower()}]" for digit in f"{ord(character):02X}")
    if character in "&=":
        return escape
    plain = r"\+" if character == " " else re.escape(character)
    return escape if character == "+" else f"(?:{plain}|{escape})"


def decoded(text: str) -> str:
    """Return a name or value of a query string without its escapes; malformed ones stay."""
    if "%" in text or "+" in text:
        return unquote_plus(text, encoding="latin-1")
    return text


def _function(reference: str) -> Callable[[Environ], bytes | None]:
    function = load(reference)
    guard = Guard(f'key "{reference}"')

    def as_bytes(environ: Environ) -> bytes | None:
        value = function(environ)
        if value is not None and not isinstance(value, bytes):
            value = str(value).encode("utf-8", "surrogateescape")
        return value or None

    def key(environ: Environ) -> bytes | None:
        try:
            found: bytes | None = guard.call(as_bytes, environ)
        except HookFailed:  # counted and logged there
            return None
        return found

    return key
