"""Reading from a stream: bytes, the end, deadlines, closing meanwhile."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from gevent.event import Event

from lbg.errors import StreamTimeout
from lbg.net.stream import Stream
from tests.unit.net.stream_pair import overdue, stream_pair
from tests.unit.net.without_loop import forbid_loop


@pytest.fixture
def pair() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


def test_bytes_are_read_in_order(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    theirs.sock.send(b"abc")
    assert (ours.recv(2), ours.recv(2)) == (b"ab", b"c")


def test_reading_waits_for_bytes(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    reading = gevent.spawn(ours.recv, 10)
    gevent.idle()
    assert not reading.ready()
    theirs.sock.send(b"late")
    assert reading.get() == b"late"


def test_the_end_reads_as_no_bytes(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    theirs.close()
    assert ours.recv(10) == b""


def test_what_came_before_the_end_is_read_first(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    theirs.sock.send(b"last")
    theirs.close()
    assert (ours.recv(10), ours.recv(10)) == (b"last", b"")


def test_a_wait_that_passes_its_deadline_ends(pair: tuple[Stream, Stream]) -> None:
    ours, _ = pair
    reading = gevent.spawn(ours.recv, 10)
    gevent.idle()
    overdue(ours)
    with pytest.raises(StreamTimeout):
        reading.get()


def test_a_wait_that_is_cancelled_before_its_deadline_goes_on(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    reading = gevent.spawn(ours.recv, 10)
    gevent.idle()
    ours.expire()
    gevent.idle()
    theirs.sock.send(b"x")
    assert reading.get() == b"x"


def test_a_wait_without_reading_takes_no_bytes(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    theirs.sock.send(b"x")
    ours.wait_readable()
    assert ours.recv(1) == b"x"


def test_closing_ends_the_wait_of_another_greenlet(pair: tuple[Stream, Stream]) -> None:
    ours, _ = pair
    reading = gevent.spawn(ours.recv, 10)
    gevent.idle()
    ours.close()
    with pytest.raises(StreamTimeout):
        reading.get()
    assert ours.closed


def test_closing_twice_is_closing_once(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.close()
    ours.close()
    assert ours.closed
    assert theirs.recv(1) == b""


@pytest.mark.parametrize("use", [lambda ours: ours.recv(1), Stream.wait_readable])
def test_a_wait_on_what_is_closed_raises_and_never_reaches_the_loop(
    pair: tuple[Stream, Stream], use: Callable[[Stream], object]
) -> None:
    ours, _ = pair
    ours.close()
    forbid_loop(ours)
    with pytest.raises((OSError, StreamTimeout, ValueError)):
        use(ours)


def test_arming_what_is_closed_never_reaches_the_loop(pair: tuple[Stream, Stream]) -> None:
    ours, _ = pair
    ours.close()
    forbid_loop(ours)
    with suppress(OSError, StreamTimeout, ValueError):
        ours.arm(print)


def test_a_peek_takes_nothing_and_never_waits(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    assert ours.peek() is None
    theirs.sock.send(b"xy")
    assert (ours.peek(), ours.peek(), ours.recv(9)) == (b"x", b"x", b"xy")
    theirs.close()
    assert ours.peek() == b""


def test_an_armed_stream_calls_back_when_it_turns_readable(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    readable = Event()
    ours.arm(readable.set)
    gevent.idle()
    assert not readable.is_set()
    theirs.sock.send(b"x")
    assert readable.wait(timeout=10)
    ours.disarm()


def test_a_disarmed_stream_calls_nobody_and_reads_again(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    calls: list[str] = []
    ours.arm(calls.append, "readable")
    ours.disarm()
    theirs.sock.send(b"x")
    gevent.idle()
    assert (calls, ours.recv(1)) == ([], b"x")


def test_a_deadline_does_not_end_the_watch_of_an_armed_stream(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    readable = Event()
    ours.arm(readable.set)
    overdue(ours)
    theirs.sock.send(b"x")
    assert readable.wait(timeout=10)
    ours.disarm()


def test_reading_takes_the_watch_back(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    calls: list[str] = []
    ours.arm(calls.append, "readable")
    theirs.sock.send(b"xy")
    assert ours.recv(1) == b"x"
    gevent.idle()
    assert (calls, ours.armed) == ([], False)


def test_the_repr_tells_descriptor_and_what_is_held(pair: tuple[Stream, Stream]) -> None:
    ours, _ = pair
    ours.send(b"abc")
    assert repr(ours) == f"<Stream fd={ours.sock.fileno()} deadline=inf held=3>"
