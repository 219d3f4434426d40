"""Two connected streams without a network."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import gevent

from lbg.net.stream import Stream


def connected() -> tuple[Stream, Stream]:
    """Return both ends of a socket pair as streams."""
    ends = socket.socketpair()
    for end in ends:
        end.setblocking(False)
    return Stream(ends[0]), Stream(ends[1])


@contextmanager
def stream_pair() -> Iterator[tuple[Stream, Stream]]:
    """Lend both ends of a socket pair as streams; both are closed at the end."""
    ends = connected()
    try:
        yield ends
    finally:
        for end in ends:
            end.close()
        gevent.idle()  # gevent closes a socket that somebody waits on in the next turn of its loop


def read_all(stream: Stream) -> bytes:
    """Return what the other side writes until it ends."""
    data = b""
    while more := stream.recv(65536):
        data += more
    return data


def read_exactly(stream: Stream, count: int) -> bytes:
    """Return the next `count` bytes of the other side."""
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        assert more, f"ended after {data!r}"
        data += more
    return data


def fill(stream: Stream) -> int:
    """Write until the kernel takes no more; return how many bytes that were."""
    count = 0
    while True:
        try:
            count += stream.sock.send(b"f" * 65536)
        except BlockingIOError:
            return count


def overdue(stream: Stream) -> None:
    """Let the deadline of `stream` pass and the timer notice."""
    stream.deadline = 0.0
    stream.expire()
