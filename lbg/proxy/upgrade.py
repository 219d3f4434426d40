"""Switching protocols: after a 101 from the endpoint, bytes go both ways until one side ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lbg.errors import LocalReply, StreamTimeout
from lbg.net.tunnel import relay_both_ways
from lbg.server.takeover import take_over

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbg.upstream.exchange import Exchange

OPEN: Final[set[Exchange]] = set()
"""The exchanges of this process that are tunnels now."""


def switch_protocols(exchange: Exchange, environ: dict[str, Any], idle_timeout: float) -> Iterable[bytes]:
    """Pass the 101 on and tunnel until either side ends or nothing moves for `idle_timeout` seconds.

    Raises LocalReply when the server underneath cannot hand out its socket.
    """
    client = take_over(environ)
    if client is None:
        exchange.close()
        raise LocalReply("internal", "This server cannot switch protocols.")
    head = [f"HTTP/1.1 {exchange.status_line}\r\n"]
    head += [f"{name}: {value}\r\n" for name, value in exchange.headers]
    head += [f"Upgrade: {exchange.upgrade}\r\n", "Connection: Upgrade\r\n\r\n"]
    upstream, first = exchange.tunnel()
    OPEN.add(exchange)
    try:
        client.stream.send("".join(head).encode("latin-1") + first)
        if client.rest:
            upstream.send(client.rest)
        relay_both_ways(client.stream, upstream, idle_timeout)
    except (OSError, StreamTimeout):
        client.stream.close()
    finally:
        OPEN.discard(exchange)
        exchange.close()
    return client.handled
