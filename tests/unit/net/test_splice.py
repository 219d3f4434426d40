"""Bytes from stream to stream through a kernel pipe."""

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import ExitStack

import gevent
import pytest

from lbg.errors import StreamTimeout
from lbg.net import splice
from lbg.net.splice import Pipe, borrowed_pipe
from lbg.net.stream import Stream
from tests.unit.net.stream_pair import fill, overdue, read_exactly, stream_pair

pytestmark = pytest.mark.skipif(not splice.AVAILABLE, reason="needs splice(2), which only Linux has")


@pytest.fixture
def source() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


@pytest.fixture
def sink() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


def test_what_fills_the_pipe_drains_into_the_sink(
    source: tuple[Stream, Stream], sink: tuple[Stream, Stream], pipe: Pipe
) -> None:
    source[1].sock.send(b"abcdef")
    assert pipe.fill(source[0], 4) == pipe.held == 4
    pipe.drain(sink[0], more=False)
    assert (pipe.held, sink[1].recv(10), source[0].recv(10)) == (0, b"abcd", b"ef")


def test_filling_waits_for_the_source(source: tuple[Stream, Stream], pipe: Pipe) -> None:
    filling = gevent.spawn(pipe.fill, source[0], 10)
    gevent.idle()
    assert not filling.ready()
    source[1].sock.send(b"x")
    assert filling.get() == 1


def test_the_end_of_the_source_fills_nothing(source: tuple[Stream, Stream], pipe: Pipe) -> None:
    source[1].close()
    assert pipe.fill(source[0], 10) == 0


def test_filling_ends_at_the_deadline_of_the_source(source: tuple[Stream, Stream], pipe: Pipe) -> None:
    filling = gevent.spawn(pipe.fill, source[0], 10)
    gevent.idle()
    overdue(source[0])
    with pytest.raises(StreamTimeout):
        filling.get()


def test_draining_waits_for_a_slow_sink(
    source: tuple[Stream, Stream], sink: tuple[Stream, Stream], pipe: Pipe
) -> None:
    filled = fill(sink[0])
    source[1].sock.send(b"x" * 1000)
    pipe.fill(source[0], 1000)
    draining = gevent.spawn(pipe.drain, sink[0], more=False)
    gevent.idle()
    assert not draining.ready()
    assert read_exactly(sink[1], filled + 1000)[filled:] == b"x" * 1000
    draining.get()
    assert pipe.held == 0


def test_draining_ends_at_the_deadline_of_the_sink(
    source: tuple[Stream, Stream], sink: tuple[Stream, Stream], pipe: Pipe
) -> None:
    fill(sink[0])
    source[1].sock.send(b"x" * 1000)
    pipe.fill(source[0], 1000)
    draining = gevent.spawn(pipe.drain, sink[0], more=False)
    gevent.idle()
    overdue(sink[0])
    with pytest.raises(StreamTimeout):
        draining.get()


def test_what_the_sink_holds_goes_first(
    source: tuple[Stream, Stream], sink: tuple[Stream, Stream], pipe: Pipe
) -> None:
    sink[0].send(b"head ")
    source[1].sock.send(b"body")
    pipe.fill(source[0], 4)
    pipe.drain(sink[0], more=False)
    assert read_exactly(sink[1], 9) == b"head body"


def test_a_sink_that_left_is_an_os_error(
    source: tuple[Stream, Stream], sink: tuple[Stream, Stream], pipe: Pipe
) -> None:
    source[1].sock.send(b"x")
    pipe.fill(source[0], 1)
    sink[1].close()
    with pytest.raises(OSError):
        pipe.drain(sink[0], more=False)


def test_an_empty_pipe_is_lent_again() -> None:
    with borrowed_pipe() as first:
        pass
    with borrowed_pipe() as second:
        assert second is first


def test_two_loans_at_once_are_two_pipes() -> None:
    with borrowed_pipe() as first, borrowed_pipe() as second:
        assert first is not second


def test_a_pipe_that_holds_bytes_of_one_client_is_not_lent_to_another(source: tuple[Stream, Stream]) -> None:
    source[1].sock.send(b"secret")
    with borrowed_pipe() as first:
        first.fill(source[0], 6)
    with borrowed_pipe() as second:
        assert second is not first
        assert second.held == 0


def open_descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_spare_pipes_are_few() -> None:
    before = open_descriptors()
    with ExitStack() as loans:
        for _ in range(40):
            loans.enter_context(borrowed_pipe())
    assert open_descriptors() <= before + 2 * 8


def test_a_pipe_is_as_large_as_the_system_allows(pipe: Pipe) -> None:
    f_getpipe_sz = 1032
    assert fcntl.fcntl(pipe._writer, f_getpipe_sz) >= 65536


def test_no_permission_for_a_large_pipe_leaves_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    Pipe().close()
