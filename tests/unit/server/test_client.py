"""What an application may do with the connection: interim responses, taking it over."""

import socket
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from lbg.errors import ClientGone, StreamTimeout
from lbg.net.stream import Stream
from lbg.server.client import Client
from lbg.server.response import Response
from lbg.server.takeover import take_over
from tests.unit.net.scripted_stream import ScriptedStream, as_stream
from tests.unit.net.stream_pair import read_exactly, stream_pair
from tests.unit.server.services import TickedService


def client_on(stream: ScriptedStream, version: str = "1.1") -> Client:
    client = Client(as_stream(stream), Response(as_stream(stream), TickedService(None)))
    client.request.version = version
    return client


def test_an_interim_response_is_sent_with_its_fields() -> None:
    stream = ScriptedStream()
    client_on(stream).send_interim(103, [(b"Link", b"</a>"), (b"Link", b"</b>")])
    assert stream.sent == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"


def test_an_old_client_gets_none() -> None:
    stream = ScriptedStream()
    client_on(stream, "1.0").send_interim(103, [])
    assert stream.sent == b""


def test_none_is_sent_behind_the_final_head() -> None:
    stream = ScriptedStream()
    response = Response(as_stream(stream), TickedService(None))
    client = Client(as_stream(stream), response)
    client.request.version = "1.1"
    response.start("200 OK", [])
    response.write(b"")
    stream.sent = b""
    client.send_interim(103, [])
    assert stream.sent == b""


def test_a_100_nobody_awaits_is_not_sent() -> None:
    stream = ScriptedStream()
    client_on(stream).send_interim(100, [])
    assert stream.sent == b""


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), StreamTimeout()])
def test_a_client_that_left_is_gone(error: Exception) -> None:
    with pytest.raises(ClientGone):
        client_on(ScriptedStream(refuses=error)).send_interim(103, [])


def test_taking_the_stream_gives_the_bytes_that_came_behind_the_request_once() -> None:
    stream = ScriptedStream()
    client = client_on(stream)
    client.request.rest = b"first"
    stream.armed = True
    assert client.take() == (as_stream(stream), b"first")
    assert (client.taken, client.request.rest, stream.armed) == (True, b"", False)


def test_our_server_hands_its_stream_over() -> None:
    stream = ScriptedStream()
    client = client_on(stream)
    client.request.rest = b"first"
    taken = take_over({"lbg.client": client})
    assert taken is not None
    assert (taken.stream, taken.rest, list(taken.handled)) == (as_stream(stream), b"first", [])


def test_most_servers_hand_nothing_over() -> None:
    assert take_over({}) is None


def test_a_tls_socket_is_not_taken_over() -> None:
    assert take_over({"gunicorn.socket": SimpleNamespace(unwrap=None)}) is None


@pytest.fixture
def stock() -> Iterator[tuple[socket.socket, socket.socket]]:
    ends = socket.socketpair()
    yield ends
    for end in ends:
        end.close()


def test_the_stock_worker_keeps_its_own_copy_of_the_socket(
    stock: tuple[socket.socket, socket.socket],
) -> None:
    from gunicorn.workers.base_async import ALREADY_HANDLED

    taken = take_over({"gunicorn.socket": stock[0]})
    assert taken is not None
    assert taken.handled is ALREADY_HANDLED
    taken.stream.send(b"hello")
    taken.stream.flush()
    assert stock[1].recv(10) == b"hello"
    taken.stream.close()
    assert stock[0].fileno() >= 0


def test_what_is_sent_on_a_taken_stream_reaches_the_client() -> None:
    with stream_pair() as (ours, theirs):
        client = Client(ours, Response(ours, TickedService(None)))
        stream, _ = client.take()
        assert isinstance(stream, Stream)
        stream.send(b"raw")
        assert read_exactly(theirs, 3) == b"raw"
