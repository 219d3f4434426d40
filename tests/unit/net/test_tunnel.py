"""Two streams joined: bytes both ways, half-closes, errors, silence."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.net.stream import Stream
from lbg.net.tunnel import relay_both_ways
from tests.unit.net.stream_pair import fill, overdue, read_all, read_exactly, stream_pair


@dataclass
class Tunnel:
    """A tunnel under way: its two outer ends, the inner ones it relays between, its greenlet."""

    client: Stream
    upstream: Stream
    inner: tuple[Stream, Stream]
    running: Any


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    with stream_pair() as (client, near), stream_pair() as (far, upstream):
        running = gevent.spawn(relay_both_ways, near, far, 60.0)
        gevent.idle()
        yield Tunnel(client, upstream, (near, far), running)
        running.kill()


def test_bytes_go_both_ways(tunnel: Tunnel) -> None:
    tunnel.client.send(b"ping")
    assert read_exactly(tunnel.upstream, 4) == b"ping"
    tunnel.upstream.send(b"pong")
    assert read_exactly(tunnel.client, 4) == b"pong"


def test_the_end_of_one_side_is_passed_on_and_the_other_way_stays_open(tunnel: Tunnel) -> None:
    tunnel.client.send(b"last")
    tunnel.client.end_writing()
    assert read_all(tunnel.upstream) == b"last"
    tunnel.upstream.send(b"answer")
    assert read_exactly(tunnel.client, 6) == b"answer"
    tunnel.upstream.end_writing()
    assert read_all(tunnel.client) == b""
    tunnel.running.get()


def test_the_end_of_the_upstream_side_is_passed_on_too(tunnel: Tunnel) -> None:
    tunnel.upstream.end_writing()
    assert read_all(tunnel.client) == b""
    tunnel.client.send(b"still here")
    assert read_exactly(tunnel.upstream, 10) == b"still here"


def test_when_both_sides_ended_both_are_closed(tunnel: Tunnel) -> None:
    tunnel.client.end_writing()
    tunnel.upstream.end_writing()
    tunnel.running.get()
    assert [stream.closed for stream in tunnel.inner] == [True, True]


@pytest.mark.parametrize("side", [0, 1])
def test_silence_beyond_the_limit_closes_both(tunnel: Tunnel, side: int) -> None:
    overdue(tunnel.inner[side])
    tunnel.running.get()
    assert (tunnel.client.recv(1), tunnel.upstream.recv(1)) == (b"", b"")


def test_a_byte_on_one_way_keeps_both_alive(tunnel: Tunnel) -> None:
    for stream in tunnel.inner:
        stream.deadline = 1.0
    tunnel.client.send(b"x")
    assert read_exactly(tunnel.upstream, 1) == b"x"
    assert all(stream.deadline > 1.0 for stream in tunnel.inner)


def test_a_side_that_takes_no_more_closes_both(tunnel: Tunnel) -> None:
    fill(tunnel.inner[1])
    tunnel.client.sock.send(b"x" * 100_000)
    gevent.idle()
    overdue(tunnel.inner[1])
    tunnel.running.get()
    assert [stream.closed for stream in tunnel.inner] == [True, True]


def test_an_error_on_one_side_closes_both(tunnel: Tunnel) -> None:
    tunnel.upstream.close()
    tunnel.client.sock.send(b"x" * 100_000)
    tunnel.client.end_writing()
    tunnel.running.get()
    assert [stream.closed for stream in tunnel.inner] == [True, True]


def test_a_tunnel_that_is_cut_closes_both(tunnel: Tunnel) -> None:
    tunnel.running.kill()
    assert (tunnel.client.recv(1), tunnel.upstream.recv(1)) == (b"", b"")


@settings(deadline=None, max_examples=25)
@given(st.lists(st.binary(max_size=40_000), max_size=5), st.lists(st.binary(max_size=40_000), max_size=5))
def test_any_bytes_pass_unchanged_both_ways_at_once(up: list[bytes], down: list[bytes]) -> None:
    with stream_pair() as (client, near), stream_pair() as (far, upstream):
        running = gevent.spawn(relay_both_ways, near, far, 60.0)
        readers = [gevent.spawn(read_all, client), gevent.spawn(read_all, upstream)]
        for stream, pieces in ((client, up), (upstream, down)):
            for piece in pieces:
                stream.send(piece)
            stream.end_writing()
        assert [reader.get() for reader in readers] == [b"".join(down), b"".join(up)]
        running.get()
