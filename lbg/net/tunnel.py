"""Bytes both ways between two streams, once HTTP is over on them."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent

from lbg.errors import StreamTimeout

if TYPE_CHECKING:
    from lbg.net.stream import Stream

_READ: Final = 65536


class _Direction:
    """One way of a tunnel. A byte on either way keeps both alive."""

    def __init__(self, source: Stream, sink: Stream, idle_timeout: float) -> None:
        self._source = source
        self._sink = sink
        self._idle_timeout = idle_timeout

    def run(self) -> None:
        """Copy until the source ends; then tell the sink. An error closes both."""
        source, sink = self._source, self._sink
        try:
            while True:
                source.deadline = sink.deadline = monotonic() + self._idle_timeout
                data = source.recv(_READ)
                if not data:
                    break
                sink.send(data)
            sink.end_writing()
        except (OSError, StreamTimeout):
            source.close()
            sink.close()


def relay_both_ways(client: Stream, upstream: Stream, idle_timeout: float) -> None:
    """Copy until both sides have ended, or nothing moved for `idle_timeout` seconds, then close both.

    A side that ends may still receive: its end is passed on as such (half-close).
    """
    back: Any = gevent.spawn(_Direction(upstream, client, idle_timeout).run)
    try:
        _Direction(client, upstream, idle_timeout).run()
        back.join()
    finally:
        back.kill()
        client.close()
        upstream.close()
