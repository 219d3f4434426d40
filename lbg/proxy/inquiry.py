"""A request that nobody sends: method, URL and header fields, to ask what would become of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from lbg.config.fields import TOKEN
from lbg.config.problems import shown
from lbg.errors import LbgError
from lbg.http.headers import EnvironKeys
from lbg.http.target import host_name, is_authority, split_absolute
from lbg.proxy.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable

Environ = dict[str, Any]

_VISIBLE: Final = re.compile(r"[!-~]+")
_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_NO_ROUTE: Final = frozenset({"CONNECT", "TRACE"})


class BadInquiry(LbgError):
    """What was asked cannot be a request; the message is one sentence."""


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A request as routing sees it. `dropped` are the names of fields that lbg never looks at."""

    host: str
    raw_path: str
    environ: Environ
    dropped: tuple[str, ...]

    @classmethod
    def of(
        cls,
        method: str,
        url: str,
        headers: Iterable[str] = (),
        client: str = "",
        *,
        underscores: bool = False,
    ) -> Inquiry:
        """Return the request for a URL, or a path with the Host among `headers`, which are "Name: value".

        `client` is its address, "" where that is not known; with `underscores` names with "_" pass.
        Raises BadInquiry.
        """
        scheme, authority, target = _parts(url)
        environ: Environ = {
            "REQUEST_METHOD": _method(method),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "QUERY_STRING": target.partition("?")[2],
            "REMOTE_ADDR": _client(client),
            "wsgi.url_scheme": scheme,
            "lbg.raw_target": target.encode("latin-1"),
            "lbg.exchange": Record("none"),
        }
        environ["lbg.exchange"].client = client
        dropped = _add_fields(environ, headers, EnvironKeys(underscores=underscores))
        host = authority or environ.get("HTTP_HOST", "")
        if host:
            if not is_authority(host):
                raise BadInquiry(f"{shown(host)} cannot be a host")
            environ["HTTP_HOST"] = host
        return cls(host_name(host), target.partition("?")[0], environ, dropped)


def _method(method: str) -> str:
    if not TOKEN.fullmatch(method):
        raise BadInquiry(f'expected a method such as "GET", got {shown(method)}')
    method = method.upper()
    if method in _NO_ROUTE:
        raise BadInquiry(f"{method} takes no route, lbg answers it with 405")
    return method


def _parts(url: str) -> tuple[str, str, str]:
    """Return scheme, authority and target of a URL, without authority for a path."""
    if not _VISIBLE.fullmatch(url):
        raise BadInquiry(f"expected a URL of visible ASCII characters, others as %XX, got {shown(url)}")
    if "#" in url:
        raise BadInquiry(f'no client sends what follows "#" in a URL, got {shown(url)}')
    if url.startswith("/") or url == "*":
        return "http", "", url
    parts = split_absolute(url.encode("ascii"))
    if parts is None or not parts[0]:
        raise BadInquiry(f'expected a URL such as "http://host/path", or a path, got {shown(url)}')
    return url.partition(":")[0].lower(), parts[0].decode("ascii"), parts[1].decode("ascii")


def _client(client: str) -> str:
    if client:
        try:
            ip_address(client)
        except ValueError:
            raise BadInquiry(f'expected an address such as "192.0.2.1", got {shown(client)}') from None
    return client


def _add_fields(environ: Environ, headers: Iterable[str], keys: EnvironKeys) -> tuple[str, ...]:
    """Add the fields as a server does; return the names of those it drops."""
    dropped = []
    for header in headers:
        name, colon, value = header.partition(":")
        value = value.strip(" \t")
        if not colon or not TOKEN.fullmatch(name):
            raise BadInquiry(f'expected a header field such as "Name: value", got {shown(header)}')
        text = value.encode("utf-8", "surrogateescape").decode("latin-1")
        if not _VALUE.fullmatch(text):
            raise BadInquiry(f"the value of {name} holds control characters")
        key = keys[name.encode("ascii")]
        if key is None:
            dropped.append(name)
        elif key not in environ:
            environ[key] = text
        elif key == "HTTP_HOST":
            raise BadInquiry("a request has one Host, not several")
        else:
            environ[key] += f"{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
    return tuple(dropped)
