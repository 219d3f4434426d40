"""Which client a request comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lbg.http.forwarded import Forwarding, Peer

Environ = dict[str, Any]


class Clients:
    """Tells the peer of a request, and the client that trusted peers vouch for."""

    def __init__(self, forwarding: Forwarding) -> None:
        self._forwarding = forwarding

    def peer(self, environ: Environ) -> Peer:
        """Return the other end of the connection."""
        return self._forwarding.peer(
            environ.get("REMOTE_ADDR", ""), environ["SERVER_PORT"], environ["wsgi.url_scheme"]
        )

    def address(self, environ: Environ) -> str:
        """Return the client's address, or "unix:" where there is none."""
        return self.told_by(self.peer(environ), environ)

    def told_by(self, peer: Peer, environ: Environ) -> str:
        """Return the same for one whose `peer` is known."""
        if not peer.trusted:
            return peer.address.decode("ascii")
        chain = environ.get("HTTP_X_FORWARDED_FOR", "").encode("latin-1").split(b",")
        return self._forwarding.client(peer, chain).decode("ascii")

    def secure(self, environ: Environ) -> bool:
        """Return whether the client came by https, here or at a trusted proxy before us."""
        if environ["wsgi.url_scheme"] == "https":
            return True
        said = environ.get("HTTP_X_FORWARDED_PROTO", "").partition(",")[0].strip().lower()
        return said == "https" and self.peer(environ).trusted
