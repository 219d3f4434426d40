"""Cookies that lead a client to the same endpoint again, without a word about where it is."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import digest
from typing import TYPE_CHECKING, Final

from lbg.state.layout import identity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lbg.config.pools import StickyConfig
    from lbg.upstream.endpoint import Endpoint

_BYTES: Final = 16  # 128 bits: nobody guesses one, and no two endpoints have the same
_LOOKED_AT: Final = 16  # places where the name stands in one field: a client may send thousands


class StickyCookies:
    """The cookies of one pool. Every process with the same `secret` makes and knows the same ones.

    A value is an HMAC of the pool and the endpoint's address. It gives no right to anything: who has
    another client's cookie comes to the same endpoint, no more.
    """

    def __init__(self, config: StickyConfig, pool: str, endpoints: Iterable[Endpoint]) -> None:
        self._name = config.cookie
        self._endpoints = {_value(config.secret, pool, one): one for one in endpoints}
        self._values = {endpoint: value for value, endpoint in self._endpoints.items()}
        self._attributes = "; Path=/; HttpOnly; SameSite=Lax"
        if config.ttl:
            self._attributes += f"; Max-Age={config.ttl}"

    def __repr__(self) -> str:
        return f"<StickyCookies {self._name} of {len(self._values)} endpoints>"

    def endpoint(self, cookies: str) -> Endpoint | None:
        """Return the endpoint that the first known value in a Cookie field names, None without one."""
        for value in self._values_in(f";{cookies}"):
            endpoint = self._endpoints.get(value)
            if endpoint is not None:
                return endpoint
        return None

    def _values_in(self, cookies: str) -> Iterator[str]:
        """Yield what the cookies with our name say; `cookies` has a semicolon before each."""
        name, seen = f"{self._name}=", 0
        for _ in range(_LOOKED_AT):
            at = cookies.find(name, seen)
            if at < 0:
                return
            before = cookies[seen:at].rstrip(" \t")
            seen = at + len(name)
            if before.endswith(";"):
                end = cookies.find(";", seen)
                yield cookies[seen : None if end < 0 else end].rstrip(" \t")

    def field(self, endpoint: Endpoint, *, secure: bool) -> tuple[str, str]:
        """Return the Set-Cookie field for a client of `endpoint`; `secure` if the client came over TLS."""
        value = f"{self._name}={self._values[endpoint]}{self._attributes}"
        return "Set-Cookie", f"{value}; Secure" if secure else value


def _value(secret: str, pool: str, endpoint: Endpoint) -> str:
    whole = digest(secret.encode(), identity(pool, endpoint.name).encode(), sha256)
    return urlsafe_b64encode(whole[:_BYTES]).rstrip(b"=").decode("ascii")
