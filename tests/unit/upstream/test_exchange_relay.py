"""Response bodies moved by the kernel."""

from collections.abc import Iterator

import gevent
import pytest

from lbg.errors import StreamTimeout, UpstreamError
from lbg.net import splice
from lbg.net.stream import Stream
from lbg.upstream.connection import Connection
from tests.unit.net.stream_pair import fill, overdue, read_exactly, stream_pair
from tests.unit.upstream.responses import Answered, answer_to

pytestmark = pytest.mark.skipif(not splice.AVAILABLE, reason="needs splice(2), which only Linux has")

SIZE = 4 * splice.WORTHWHILE
BODY = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def upstream() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


@pytest.fixture
def client() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


def begun(upstream: tuple[Stream, Stream], head: bytes, first: bytes = b"") -> Answered:
    """Return an exchange whose head and first body bytes have come, the first piece handed on."""
    upstream[1].sock.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + first)
    answered = answer_to("GET", Connection(upstream[0]))
    assert next(iter(answered.exchange)) == first
    return answered


def with_length(upstream: tuple[Stream, Stream], first: bytes = b"") -> Answered:
    return begun(upstream, b"Content-Length: %d\r\n" % SIZE, first)


@pytest.mark.parametrize("first", [b"", BODY[:100]])
def test_the_rest_of_a_large_body_goes_past_the_process(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream], first: bytes
) -> None:
    answered = with_length(upstream, first)
    gevent.spawn(upstream[1].send, BODY[len(first) :])
    reading = gevent.spawn(read_exactly, client[1], SIZE - len(first))
    assert answered.exchange.relay_to(client[0]) == SIZE - len(first)
    assert first + reading.get() == BODY
    assert answered.reusable


def test_the_connection_reads_its_next_response_after_a_relay(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream]
) -> None:
    answered = with_length(upstream)
    gevent.spawn(upstream[1].send, BODY)
    gevent.spawn(read_exactly, client[1], SIZE)
    answered.exchange.relay_to(client[0])
    upstream[1].send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno")
    following = answer_to("GET", answered.connection)
    assert (following.exchange.status, following.body()) == (404, b"no")


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: %d\r\n" % (splice.WORTHWHILE - 1), b"Transfer-Encoding: chunked\r\n", b""],
    ids=["small", "chunked", "until close"],
)
def test_other_bodies_are_iterated(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream], head: bytes
) -> None:
    answered = begun(upstream, head)
    assert answered.exchange.relay_to(client[0]) == 0
    assert answered.lease.ends == []


def test_bytes_already_read_are_never_overtaken(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream]
) -> None:
    answered = with_length(upstream)
    answered.connection.pieces = [b"waiting"]
    assert answered.exchange.relay_to(client[0]) == 0


def test_a_body_cut_short_raises(upstream: tuple[Stream, Stream], client: tuple[Stream, Stream]) -> None:
    answered = with_length(upstream)
    upstream[1].sock.send(BODY[:1000])
    upstream[1].close()
    with pytest.raises(UpstreamError) as caught:
        answered.exchange.relay_to(client[0])
    assert caught.value.reason.code == "upstream_cut_body"
    assert answered.lease.ends == [caught.value]
    assert read_exactly(client[1], 1000) == BODY[:1000]


def test_a_body_that_stops_coming_raises(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream]
) -> None:
    answered = with_length(upstream)
    relaying = gevent.spawn(answered.exchange.relay_to, client[0])
    gevent.idle()
    overdue(upstream[0])
    with pytest.raises(UpstreamError) as caught:
        relaying.get()
    assert caught.value.reason.code == "read_timeout"
    assert answered.lease.ends == [caught.value]


def test_a_client_that_takes_no_more_is_not_the_endpoints_fault(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream]
) -> None:
    answered = with_length(upstream)
    fill(client[0])
    upstream[1].sock.send(BODY[:1000])
    relaying = gevent.spawn(answered.exchange.relay_to, client[0])
    gevent.idle()
    overdue(client[0])
    with pytest.raises(StreamTimeout):
        relaying.get()
    answered.exchange.close()
    assert answered.lease.ends == [None]
    assert not answered.reusable


def test_a_client_that_left_is_an_os_error(
    upstream: tuple[Stream, Stream], client: tuple[Stream, Stream]
) -> None:
    answered = with_length(upstream)
    upstream[1].sock.send(BODY[:1000])
    client[1].close()
    with pytest.raises(OSError):
        answered.exchange.relay_to(client[0])
    answered.exchange.close()
    assert not answered.reusable
