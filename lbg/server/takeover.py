"""Getting hold of the client's stream to speak another protocol, under our server and the stock one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lbg.net.stream import Socket, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Takeover:
    """The stream, the bytes that already came for the new protocol, and what the application returns."""

    stream: Stream
    rest: bytes
    handled: Iterable[bytes]


def take_over(environ: dict[str, Any]) -> Takeover | None:
    """Return the client's stream, None under a server that does not hand it out (most do not)."""
    client = environ.get("lbg.client")
    if client is not None:
        stream, rest = client.take()
        return Takeover(stream, rest, ())
    sock = environ.get("gunicorn.socket")
    if sock is None or hasattr(sock, "unwrap"):  # TLS: the raw socket would bypass it
        return None
    from gunicorn.workers.base_async import ALREADY_HANDLED

    copy = Socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))
    copy.setblocking(False)
    return Takeover(Stream(copy), b"", ALREADY_HANDLED)
