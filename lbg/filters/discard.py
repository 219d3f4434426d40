"""Answers that nobody wants to read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gevent

from lbg.errors import UpstreamError
from lbg.http.framing import Framing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbg.upstream.exchange import Exchange

_LIMIT: Final = 65536  # bytes read so that the connection can be used again; for more, a new one is cheaper
_PATIENCE: Final = 1.0  # seconds


def discard(exchange: Exchange) -> None:
    """End an exchange without waiting for its body; the connection is kept if the rest comes soon."""
    if exchange.framing is Framing.NONE or exchange.length > _LIMIT:
        exchange.close()
        return
    body = iter(exchange)
    if len(next(body, b"")) == exchange.length:
        exchange.close()
    else:
        gevent.spawn(_read_soon, exchange, body)


def _read_soon(exchange: Exchange, body: Iterator[bytes]) -> None:
    try:
        with gevent.Timeout(_PATIENCE, False):
            read_out(exchange, body, _LIMIT)
    except UpstreamError:
        return  # the endpoint was judged, and the exchange has ended


def read_out(exchange: Exchange, body: Iterator[bytes], limit: int) -> None:
    """Read what is left of a body, but not much more than `limit` bytes, and end the exchange.

    Raises UpstreamError.
    """
    try:
        for data in body:
            limit -= len(data)
            if limit < 0:
                break
    finally:
        exchange.close()
