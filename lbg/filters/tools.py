"""What a filter may use of the rest of lbg."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from lbg.errors import LocalReply
    from lbg.proxy.client import Clients
    from lbg.proxy.record import Record
    from lbg.proxy.request_head import HeadBuilder
    from lbg.state.buckets import Buckets
    from lbg.upstream.exchange import Exchange
    from lbg.upstream.pool import Pool
    from lbg.upstream.request import UpstreamRequest

Environ = dict[str, Any]
StartResponse = Any


@dataclass(frozen=True, slots=True)
class Tools:
    """Made for one filter of one route.

    `name` tells it from all others and stays the same over reloads; `reply` answers with a local reply;
    `send` forwards a request of lbg's own to a pool and raises LbgError.
    """

    name: str
    route: str
    reply: Callable[[LocalReply, Environ, StartResponse], Iterable[bytes]]
    send: Callable[[UpstreamRequest, Pool, Record], Exchange]
    pools: Mapping[str, Pool]
    heads: HeadBuilder
    clients: Clients
    buckets: Buckets
