"""`access`: who may come, by address, and for which paths and methods."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from lbg.errors import LocalReply
from lbg.http.target import readings, routing_path
from lbg.proxy.cgi import target_of
from lbg.routing.conditions import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import AccessConfig
    from lbg.filters.tools import Environ, StartResponse, Tools
    from lbg.http.forwarded import Network

_REMEMBERED: Final = 4096  # clients
_BITS: Final = {IPv4Address: 32, IPv6Address: 128}
_MAPPED: Final = 96  # bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2)


class Access:
    """Refuses with `denied` what the rules do not let in."""

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: AccessConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._reply = tools.reply
        only_allowed = bool(config.allow) and not config.deny
        default = config.default == "allow" if config.default is not None else not only_allowed
        networks = Networks(config.allow, config.deny, default=default)
        matters = bool(config.allow or config.deny) or not default
        self._allows = lru_cache(_REMEMBERED)(networks.allow) if matters else None
        # HEAD tells what GET would, and routes treat them as one.
        also = {"HEAD"} if "GET" in config.deny_methods else set()
        self._methods = frozenset(config.deny_methods) | also
        self._paths = tuple((routing_path(path) or path).rstrip("/") + "/" for path in config.deny_paths)
        self._pattern = re.compile(config.deny_path_regex, re.DOTALL) if config.deny_path_regex else None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        if self._allows is not None and not self._allows(environ["lbg.exchange"].client):
            return self._deny("This client is not allowed here.", environ, start_response)
        if self._methods and environ["REQUEST_METHOD"] in self._methods:
            return self._deny("This method is not allowed here.", environ, start_response)
        if (self._paths or self._pattern is not None) and self._is_denied(environ):
            return self._deny("This path is closed.", environ, start_response)
        return self._app(environ, start_response)

    def _deny(self, detail: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        return self._reply(LocalReply("denied", detail), environ, start_response)

    def _is_denied(self, environ: Environ) -> bool:
        path = environ["lbg.exchange"].path
        target: bytes = environ.get("lbg.raw_target") or target_of(environ)
        raw = target.partition(b"?")[0].decode("latin-1")
        if raw == path and "%" not in raw and "\\" not in raw:
            return self._holds(path)
        others = readings(raw)
        return not others or any(map(self._holds, {path, *others}))

    def _holds(self, path: str) -> bool:
        if self._paths and (path + "/").startswith(self._paths):
            return True
        return self._pattern is not None and self._pattern.search(text_of(path)) is not None


class Networks:
    """Which addresses are let in: the smallest network that holds one decides, and of equal ones `deny`.

    `default` is for an address in none of them, and for what is no address.
    """

    def __init__(self, allow: Iterable[Network], deny: Iterable[Network], *, default: bool) -> None:
        self._default = default
        verdicts: dict[tuple[type, int], dict[int, bool]] = {}
        for networks, verdict in ((allow, True), (deny, False)):
            for network in networks:
                kind, length, prefix = _prefix(network)
                verdicts.setdefault((kind, length), {})[prefix] = verdict
        # One look-up for each length there is, however many networks have it.
        self._lengths = {
            kind: tuple(
                (_BITS[kind] - length, found)
                for (each, length), found in sorted(verdicts.items(), key=lambda item: -item[0][1])
                if each is kind
            )
            for kind in (IPv4Address, IPv6Address)
        }

    def allow(self, client: str) -> bool:
        """Return whether `client`, an address or "unix:", may come."""
        try:
            address = ip_address(client)
        except ValueError:
            return self._default
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        number = int(address)
        for shift, verdicts in self._lengths[type(address)]:
            verdict = verdicts.get(number >> shift)
            if verdict is not None:
                return verdict
        return self._default


def _prefix(network: Network) -> tuple[type[IPv4Address | IPv6Address], int, int]:
    """Return what kind of address a network holds, the length of its prefix and the prefix as a number."""
    length, number = network.prefixlen, int(network.network_address)
    kind: type[IPv4Address | IPv6Address] = IPv4Address
    if isinstance(network, IPv6Network):
        if network.network_address.ipv4_mapped and length >= _MAPPED:
            length, number = length - _MAPPED, int(network.network_address.ipv4_mapped)
        else:
            kind = IPv6Address
    return kind, length, number >> (_BITS[kind] - length)
