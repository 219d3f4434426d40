"""Writing to a stream: small pieces late, large ones at once, always in order."""

from collections.abc import Iterator

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import StreamTimeout
from lbg.net.stream import SMALL, Stream
from tests.unit.net.stream_pair import fill, overdue, read_all, read_exactly, stream_pair


@pytest.fixture
def pair() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


def test_a_small_piece_leaves_at_the_end_of_the_turn(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"ab")
    ours.send(b"c")
    assert theirs.peek() is None
    assert theirs.recv(10) == b"abc"


def test_a_large_piece_leaves_at_once_and_after_what_was_held(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"small")
    ours.send(b"x" * (SMALL + 1))
    assert theirs.peek() == b"s"
    assert read_exactly(theirs, SMALL + 6) == b"small" + b"x" * (SMALL + 1)


def test_small_pieces_that_add_up_leave_at_once(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"x" * SMALL)
    assert theirs.peek() is None
    ours.send(b"y")
    assert theirs.peek() == b"x"


def test_nothing_is_sent_for_no_bytes(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"")
    gevent.idle()
    assert theirs.peek() is None


def test_flushing_does_not_wait_for_the_end_of_the_turn(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"abc")
    ours.flush()
    assert theirs.peek() == b"a"


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 3 * SMALL), st.sampled_from(["send", "flush", "turn"])), max_size=12)
)
def test_pieces_of_any_size_arrive_whole_and_in_order(pieces: list[tuple[int, str]]) -> None:
    with stream_pair() as (ours, theirs):
        reading = gevent.spawn(read_all, theirs)
        sent = b""
        for index, (size, then) in enumerate(pieces):
            data = bytes([index]) * size
            ours.send(data)
            sent += data
            if then == "flush":
                ours.flush()
            elif then == "turn":
                gevent.idle()
        ours.end_writing()
        assert reading.get() == sent


def test_a_writer_waits_for_a_slow_reader(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    filled = fill(ours)
    writing = gevent.spawn(ours.send, b"x" * (SMALL + 1))
    gevent.idle()
    assert not writing.ready()
    assert read_exactly(theirs, filled + SMALL + 1)[filled:] == b"x" * (SMALL + 1)
    writing.get()


def test_a_small_piece_for_a_slow_reader_waits_without_its_writer(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    filled = fill(ours)
    ours.send(b"later")
    gevent.idle()
    assert read_exactly(theirs, filled + 5)[filled:] == b"later"


def test_pieces_behind_one_that_waits_keep_their_order(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    filled = fill(ours)
    ours.send(b"1")
    gevent.idle()
    writing = gevent.spawn(ours.send, b"2")
    gevent.idle()
    assert read_exactly(theirs, filled + 2)[filled:] == b"12"
    writing.get()


def test_a_write_that_passes_its_deadline_ends(pair: tuple[Stream, Stream]) -> None:
    ours, _ = pair
    fill(ours)
    writing = gevent.spawn(ours.send, b"x" * (SMALL + 1))
    gevent.idle()
    overdue(ours)
    with pytest.raises(StreamTimeout):
        writing.get()


def test_a_large_write_to_who_has_left_raises(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    theirs.close()
    with pytest.raises(OSError):
        ours.send(b"x" * (SMALL + 1))


def test_a_small_write_to_who_has_left_is_told_to_the_reader(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    theirs.close()
    ours.send(b"x")
    gevent.idle()
    assert ours.unwritten
    assert ours.recv(1) == b""


def test_what_was_written_is_not_called_unwritten(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"x")
    gevent.idle()
    theirs.close()
    assert not ours.unwritten


def test_the_end_of_writing_leaves_the_other_way_open(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"last")
    ours.end_writing()
    assert read_all(theirs) == b"last"
    theirs.send(b"answer")
    assert ours.recv(10) == b"answer"


def test_closing_drops_what_is_held(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    ours.send(b"never")
    ours.close()
    assert read_all(theirs) == b""


def test_closing_while_a_held_piece_waits_ends_it(pair: tuple[Stream, Stream]) -> None:
    ours, theirs = pair
    filled = fill(ours)
    ours.send(b"never")
    gevent.idle()
    ours.close()
    assert len(read_all(theirs)) == filled
