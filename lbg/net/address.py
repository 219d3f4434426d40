"""Addresses of endpoints and listeners, read from their text form; nothing is looked up or opened here."""

import json
import re
import socket
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Literal

Family = Literal["tcp", "unix"]
Sockaddr = tuple[Any, ...] | str
"""What `connect` takes: host and port, or the path of a unix socket."""

HTTP_PORT = 80
# sockaddr_un.sun_path has 108 bytes on Linux, the last of them NUL: unix(7).
MAX_SOCKET_PATH = 107

# RFC 1123 labels, and "_" as in the service names of Docker Compose.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
# A name that ends in a number can only be meant as IPv4; getaddrinfo would read "127.1" or "0x7f" as one.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?")
_PORT = re.compile(r"[0-9]{1,5}")
_REACHED_BY = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class SocketAddress:
    """One place to connect to or listen on: `host` and `port` for tcp, `path` for unix.

    An IPv6 host stands without brackets, in its shortest form.
    """

    family: Family
    host: str
    port: int
    path: str

    @property
    def text(self) -> str:
        """The canonical identity: "127.0.0.1:8000", "[::1]:8000", "unix:/run/app.sock"."""
        if self.family == "unix":
            return f"unix:{self.path}"
        return f"{_bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Address(SocketAddress):
    """The address of one endpoint."""

    @property
    def authority(self) -> str:
        """What a Host field names this endpoint: the default port left out, "localhost" for a unix socket."""
        if self.family == "unix":
            return "localhost"
        return _bracketed(self.host) if self.port == HTTP_PORT else self.text

    @property
    def url(self) -> str:
        """The canonical form that `parse_endpoint_url` reads back to an equal address."""
        return self.text if self.family == "unix" else f"http://{self.authority}"

    @property
    def literal(self) -> list[tuple[int, Sockaddr]]:
        """The socket family and what `connect` takes, in a list; empty for a name to be looked up."""
        if self.family == "unix":
            return [(socket.AF_UNIX, self.path)]
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, self.host)
            except OSError:
                continue
            return [(family, (self.host, self.port))]
        return []


@dataclass(frozen=True, slots=True)
class Bind(SocketAddress):
    """The address of one listener, its `text` as gunicorn's `bind` wants it; port 0 takes a free port."""

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect: a unix socket, a loopback address or `localhost`."""
        if self.family == "unix" or self.host == "localhost":
            return True
        try:
            return _ip(self.host).is_loopback
        except ValueError:
            return False

    @property
    def authority_from_here(self) -> str:
        """How a client on this machine writes it in a URL; a wildcard is reached by loopback."""
        return replace(self, host=_REACHED_BY.get(self.host, self.host)).text


def parse_endpoint_url(text: str) -> Address:
    """Read "http://host:port" or "unix:/path"; the port defaults to 80.

    Raises ValueError with one sentence. A user name or password in `text` is never repeated in it.
    """
    if text.startswith("unix:"):
        return Address("unix", "", 0, _socket_path(text))
    if "@" in text:
        raise ValueError("an endpoint URL cannot carry a user name or password")
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(f"expected http://host:port or unix:/path, got {json.dumps(text)}")
    if scheme.lower() == "https":
        raise ValueError("https endpoints are not supported yet, expected http://host:port or unix:/path")
    if scheme.lower() != "http":
        raise ValueError(f"expected the scheme http or unix, got {json.dumps(scheme)}")
    host, port = _split(_authority_of(rest))
    if not host:
        raise ValueError(f"expected a host after http://, got {json.dumps(text)}")
    return Address("tcp", parse_host(host), HTTP_PORT if port is None else _port(port, 1), "")


def parse_bind(text: str) -> Bind:
    """Read "host:port", "[v6]:port", ":port" (every IPv4 address) or "unix:/path".

    Raises ValueError with one sentence.
    """
    if text.startswith("unix:"):
        return Bind("unix", "", 0, _socket_path(text))
    host, port = (text, None) if "/" in text else _split(text)
    if port is None:
        raise ValueError(f'expected host:port, such as "0.0.0.0:8080", or unix:/path, got {json.dumps(text)}')
    return Bind("tcp", parse_host(host) if host else "0.0.0.0", _port(port, 0), "")  # noqa: S104


def parse_host(text: str) -> str:
    """Return a name, an IPv4 address or a bracketed IPv6 address in canonical form, without brackets.

    Raises ValueError with one sentence.
    """
    if text.startswith("["):
        return _ipv6(text)
    host = text.lower()
    if not host.isascii():
        raise ValueError(f"expected the xn-- form of the international name {json.dumps(text)}")
    if _NUMERIC_END.fullmatch(host):
        return _ipv4(host)
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise ValueError(f"expected a host name or an IP address, got {json.dumps(text)}")
    return host


def _ip(host: str) -> IPv4Address | IPv6Address:
    return IPv6Address(host) if ":" in host else IPv4Address(host)


def _ipv4(host: str) -> str:
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise ValueError(f"expected a host name or an IPv4 address, got {json.dumps(host)}") from None


def _ipv6(host: str) -> str:
    if "%" in host:
        raise ValueError("an IPv6 address with a zone, such as %eth0, is not supported")
    try:
        return str(IPv6Address(host[1:-1] if host.endswith("]") else host))
    except ValueError:
        raise ValueError(f"expected an IPv6 address in brackets, got {json.dumps(host)}") from None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _authority_of(rest: str) -> str:
    """Return the authority of what follows "http://", which may be followed by "/" only."""
    rest, hash_mark, _ = rest.partition("#")
    if hash_mark:
        raise ValueError("an endpoint URL cannot have a fragment")
    rest, question_mark, _ = rest.partition("?")
    if question_mark:
        raise ValueError("an endpoint URL cannot have a query")
    authority, _, path = rest.partition("/")
    if path:
        raise ValueError(f"an endpoint URL cannot have a path, got {json.dumps('/' + path)}")
    return authority


def _split(authority: str) -> tuple[str, str | None]:
    """Split host from port, None where there is no colon; the host keeps its brackets."""
    if authority.startswith("["):
        address, closing, tail = authority.partition("]")
        if not closing:
            raise ValueError(f"expected an IPv6 address in brackets, got {json.dumps(authority)}")
        if tail and not tail.startswith(":"):
            raise ValueError(f"expected a colon and a port after the bracket, got {json.dumps(tail)}")
        return f"{address}]", tail[1:] if tail else None
    if authority.count(":") > 1:
        raise ValueError(
            f"expected an IPv6 address in brackets, such as [::1]:8000, got {json.dumps(authority)}"
        )
    host, colon, port = authority.partition(":")
    return host, port if colon else None


def _port(text: str, lowest: int) -> int:
    if not _PORT.fullmatch(text) or not lowest <= int(text) <= 65535:
        raise ValueError(f"expected a port from {lowest} to 65535, got {json.dumps(text)}")
    return int(text)


def _socket_path(text: str) -> str:
    path = text.removeprefix("unix:")
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(
            f"expected an absolute path after unix:, such as unix:/run/app.sock, got {json.dumps(text)}"
        )
    if not path.isprintable():
        raise ValueError(f"expected a socket path of printable characters, got {json.dumps(path)}")
    if len(path.encode()) > MAX_SOCKET_PATH:
        raise ValueError(
            f"expected a socket path of at most {MAX_SOCKET_PATH} bytes, got {len(path.encode())}"
        )
    return path


def canonical_endpoint(text: str) -> str | None:
    """Return the canonical address for what a person calls an endpoint, None when it is no address."""
    try:
        return parse_endpoint_url(
            text if "://" in text or text.startswith("unix:") else f"http://{text}"
        ).text
    except ValueError:
        return None
