"""Request bodies moved by the kernel."""

from collections.abc import Iterator

import gevent
import pytest

from lbg.errors import ClientGone, RequestError, StreamTimeout
from lbg.http.headers import EnvironKeys
from lbg.net import splice
from lbg.net.stream import Stream
from lbg.server.body import RequestInput
from lbg.server.environ import fill_environ
from lbg.server.parser import RequestParser
from tests.unit.net.stream_pair import fill, overdue, read_exactly, stream_pair
from tests.unit.server.requests import PLAIN

pytestmark = pytest.mark.skipif(not splice.AVAILABLE, reason="needs splice(2), which only Linux has")

SIZE = 4 * splice.WORTHWHILE
BODY = bytes(range(256)) * (SIZE // 256)


@pytest.fixture
def client() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


@pytest.fixture
def upstream() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


def begun(
    client: tuple[Stream, Stream], first: bytes = b"", *, size: int = SIZE
) -> tuple[RequestInput, RequestParser]:
    """Return the input of an upload whose head and first bytes have come, and its parser."""
    parser = RequestParser(65536)
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, first))
    request = parser.next()
    assert request is not None
    fill_environ({}, request, EnvironKeys(underscores=False))
    return RequestInput(client[0], parser, request, 30.0, 0), parser


@pytest.mark.parametrize("first", [b"", BODY[:100]])
def test_the_rest_of_a_large_body_goes_past_the_process(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream], first: bytes
) -> None:
    source, _ = begun(client, first)
    if first:
        assert source.read_some() == first
    gevent.spawn(client[1].send, BODY[len(first) :])
    reading = gevent.spawn(read_exactly, upstream[1], SIZE - len(first))
    assert source.relay_to(upstream[0], 60.0) == SIZE - len(first)
    assert first + reading.get() == BODY
    assert (source.complete, source.read()) == (True, b"")


def test_the_next_request_is_read_after_a_relay(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, parser = begun(client)
    gevent.spawn(client[1].send, BODY + PLAIN.raw)
    gevent.spawn(read_exactly, upstream[1], SIZE)
    source.relay_to(upstream[0], 60.0)
    parser.feed(client[0].recv(65536))
    following = parser.next()
    assert following is not None
    assert following.target == PLAIN.target


def test_bytes_already_read_are_never_overtaken(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, _ = begun(client, BODY[:100])
    assert source.relay_to(upstream[0], 60.0) == 0
    source.read(1)
    assert source.relay_to(upstream[0], 60.0) == 0
    assert source.read_some() == BODY[1:100]


def test_a_small_body_is_read(client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]) -> None:
    source, _ = begun(client, size=splice.WORTHWHILE - 1)
    assert source.relay_to(upstream[0], 60.0) == 0


def test_a_client_that_waits_is_answered_100_first(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, _ = begun(client)
    source.awaited = True
    relaying = gevent.spawn(source.relay_to, upstream[0], 60.0)
    assert read_exactly(client[1], 25) == b"HTTP/1.1 100 Continue\r\n\r\n"
    relaying.kill()


def test_a_client_that_leaves_within_its_body_is_gone(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, _ = begun(client)
    client[1].sock.send(BODY[:1000])
    client[1].close()
    with pytest.raises(ClientGone):
        source.relay_to(upstream[0], 60.0)


def test_a_body_that_stops_coming_is_a_timeout(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, _ = begun(client)
    relaying = gevent.spawn(source.relay_to, upstream[0], 60.0)
    gevent.idle()
    overdue(client[0])
    with pytest.raises(RequestError) as caught:
        relaying.get()
    assert caught.value.reason.code == "client_body_timeout"


def test_an_endpoint_that_takes_no_more_is_not_the_clients_fault(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, _ = begun(client)
    fill(upstream[0])
    client[1].sock.send(BODY[:1000])
    relaying = gevent.spawn(source.relay_to, upstream[0], 60.0)
    gevent.idle()
    overdue(upstream[0])
    with pytest.raises(StreamTimeout):
        relaying.get()


def test_an_endpoint_that_left_is_an_os_error(
    client: tuple[Stream, Stream], upstream: tuple[Stream, Stream]
) -> None:
    source, _ = begun(client)
    client[1].sock.send(BODY[:1000])
    upstream[1].close()
    with pytest.raises(OSError):
        source.relay_to(upstream[0], 60.0)
