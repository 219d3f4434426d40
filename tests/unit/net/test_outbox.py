"""The outbox: one burst a turn, each stream once, failures kept apart."""

from collections.abc import Callable
from typing import Any, cast

import gevent
import pytest

from lbg.net.outbox import Outbox
from lbg.net.stream import Stream

BURST = 64


class Held:
    """A stream as the outbox sees it."""

    def __init__(self, log: list["Held"], then: Callable[[], object] = lambda: None) -> None:
        self._log = log
        self._then = then

    def write_held(self) -> None:
        """Note that it was this stream's turn."""
        self._log.append(self)
        self._then()


@pytest.fixture
def written() -> list[Held]:
    return []


def add(outbox: Outbox, *streams: Any) -> None:
    for stream in streams:
        outbox.add(cast("Stream", stream))


def test_streams_write_at_the_end_of_the_turn_in_the_order_they_came(written: list[Held]) -> None:
    outbox, streams = Outbox(), [Held(written) for _ in range(3)]
    add(outbox, *streams)
    assert written == []
    gevent.idle()
    assert written == streams


def test_a_stream_writes_once_for_each_time_it_was_added(written: list[Held]) -> None:
    outbox, stream = Outbox(), Held(written)
    add(outbox, stream)
    gevent.idle()
    gevent.idle()
    assert written == [stream]
    add(outbox, stream)
    gevent.idle()
    assert written == [stream, stream]


def test_a_full_burst_does_not_wait(written: list[Held]) -> None:
    outbox = Outbox()
    add(outbox, *(Held(written) for _ in range(BURST - 1)))
    assert written == []
    add(outbox, Held(written))
    assert len(written) == BURST


def test_streams_behind_a_full_burst_write_at_the_end_of_the_turn(written: list[Held]) -> None:
    outbox, last = Outbox(), Held(written)
    add(outbox, *(Held(written) for _ in range(BURST)), last)
    assert last not in written
    gevent.idle()
    assert written.count(last) == 1


def test_a_stream_added_while_the_burst_goes_out_is_in_the_next(written: list[Held]) -> None:
    outbox, late = Outbox(), Held(written)
    first = Held(written, then=lambda: add(outbox, late))
    add(outbox, first)
    outbox.flush()
    assert written == [first]
    gevent.idle()
    assert written == [first, late]
