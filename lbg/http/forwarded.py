"""Who the client is, whom we believe about it, and what we tell the backend (RFC 7239, RFC 9110 7.6.3)."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lbg.http.target import is_authority

if TYPE_CHECKING:
    from lbg.http.headers import Fields

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

OURS: Final = frozenset(
    {b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port", b"forwarded"}
)
"""Fields that we write into every request, in lower case."""

_REMEMBERED: Final = 4096  # peers
_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_PORT: Final = re.compile(rb"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection: whether its forwarding fields are believed, and our fields for it."""

    address: bytes
    trusted: bool
    scheme: bytes
    lines: bytes


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What incoming forwarding fields said; only read for trusted peers."""

    chain: list[bytes]
    proto: bytes
    host: bytes
    port: bytes
    rest: Fields


class Forwarding:
    """Builds the forwarding fields of every request; remembers the peers it has seen.

    `via` is our pseudonym in Via, `rfc7239` adds a `Forwarded` field, `trusted` are the networks
    whose forwarding fields are believed.
    """

    def __init__(self, trusted: tuple[Network, ...], via: str, *, rfc7239: bool) -> None:
        self._trusted = trusted
        self._rfc7239 = rfc7239
        self._via = via.encode("ascii")
        self.via_line = b"Via: 1.1 " + self._via + b"\r\n"
        self._peers: dict[tuple[str, str, str], Peer] = {}

    def peer(self, address: str, port: str, scheme: str) -> Peer:
        """Return what is known of the peer at `address` that reached our `port` over `scheme`."""
        key = (address, port, scheme)
        peer = self._peers.get(key)
        if peer is None:
            peer = self._learn(address, port, scheme)
            if len(self._peers) >= _REMEMBERED:
                self._peers.clear()
            self._peers[key] = peer
        return peer

    def _learn(self, address: str, port: str, scheme: str) -> Peer:
        # A peer on a Unix socket has no address; nginx writes it the same way.
        shown = address.encode("ascii", "replace") or b"unix:"
        lines = b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Port: %b\r\n" % (
            shown,
            scheme.encode("ascii"),
            port.encode("ascii"),
        )
        return Peer(shown, self._is_trusted(address), scheme.encode("ascii"), lines + self.via_line)

    def _is_trusted(self, address: str) -> bool:
        if not self._trusted:
            return False
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._trusted)

    def is_loop(self, via: tuple[bytes, ...]) -> bool:
        """Return whether our pseudonym already stands in Via: the request came back to us."""
        for entry in b",".join(via).split(b","):
            words = entry.split()
            if len(words) >= 2 and words[1].lower() == self._via.lower():
                return True
        return False

    def untrusted(self, peer: Peer, host: bytes, request_id: bytes) -> bytes:
        """Return the forwarding lines for a peer whose own were discarded."""
        lines = b"%bX-Forwarded-Host: %b\r\nX-Request-Id: %b\r\n" % (peer.lines, host, request_id)
        if self._rfc7239:
            lines += _rfc7239(peer.address, host, peer.scheme, b"")
        return lines

    def trusted(self, peer: Peer, host: bytes, request_id: bytes, said: Forwarded) -> bytes:
        """Return the forwarding lines for a trusted peer: what it said, continued."""
        defaults = dict(line.split(b": ", 1) for line in peer.lines.split(b"\r\n") if line)
        chain = b", ".join([*said.chain, peer.address])
        lines = (
            b"X-Forwarded-For: %b\r\nX-Forwarded-Proto: %b\r\nX-Forwarded-Port: %b\r\n%b"
            b"X-Forwarded-Host: %b\r\nX-Request-Id: %b\r\n"
        ) % (
            chain,
            said.proto or defaults[b"X-Forwarded-Proto"],
            said.port or defaults[b"X-Forwarded-Port"],
            self.via_line,
            said.host or host,
            request_id,
        )
        before = b", ".join(value for name, value in said.rest if name.lower() == b"forwarded")
        passed = [field for field in said.rest if field[0].lower() != b"forwarded"]
        if self._rfc7239:
            lines += _rfc7239(peer.address, host, said.proto or peer.scheme, before)
        elif before:
            passed.append((b"Forwarded", before))
        return lines + b"".join(b"%b: %b\r\n" % field for field in passed)

    def client(self, peer: Peer, chain: list[bytes]) -> bytes:
        """Return the client's address: the first untrusted one from the right, or the peer itself."""
        client = peer.address
        if not peer.trusted:
            return client
        for entry in reversed(chain):
            address = _bare_address(entry)
            if address is None:
                break  # what stands further left was vouched for by nobody we can name
            client = address.encode("ascii")
            if not self._is_trusted(address):
                break
        return client


def read_forwarded(fields: Fields) -> Forwarded:
    """Return what the forwarding `fields` of a trusted peer say; malformed values count as absent."""
    chain: list[bytes] = []
    single = {b"x-forwarded-proto": b"", b"x-forwarded-host": b"", b"x-forwarded-port": b""}
    rest: Fields = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"x-forwarded-for":
            chain += [entry.strip() for entry in value.split(b",") if entry.strip()]
        elif lower in single:
            single[lower] = single[lower] or value.partition(b",")[0].strip()
        else:
            rest.append((name, value))
    proto = single[b"x-forwarded-proto"].lower()
    port = single[b"x-forwarded-port"]
    host = single[b"x-forwarded-host"]
    return Forwarded(
        chain,
        proto if proto in {b"http", b"https"} else b"",
        host if is_authority(host.decode("latin-1")) else b"",
        port if _PORT.fullmatch(port) else b"",
        rest,
    )


def valid_request_id(value: bytes) -> bool:
    """Return whether an incoming request id may be kept: short, visible ASCII."""
    return _REQUEST_ID.fullmatch(value) is not None


def own_or_given(given: str, own: str) -> str:
    """Return the request id that a trusted peer gave, unless it cannot be kept, or our `own`."""
    return given if given and valid_request_id(given.encode("latin-1")) else own


def _bare_address(entry: bytes) -> str | None:
    """Return the IP address in an X-Forwarded-For entry, which may carry brackets or a port."""
    text = entry.strip(b" \t").decode("latin-1").strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _rfc7239(address: bytes, host: bytes, proto: bytes, before: bytes) -> bytes:
    # RFC 7239 section 6: IPv6 in brackets and quotes, and a peer without an address is "unknown".
    node = address
    if b":" in address:
        node = b"unknown" if address == b"unix:" else b'"[%b]"' % address
    element = b'for=%b;host="%b";proto=%b' % (node, host, proto)
    return b"Forwarded: %b\r\n" % (b"%b, %b" % (before, element) if before else element)
