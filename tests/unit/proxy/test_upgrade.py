"""Protocol switches through the proxy."""

from collections.abc import Iterator
from typing import Any

import gevent
import pytest

from lbg.net.stream import Stream
from lbg.server.client import Client
from lbg.server.response import Response
from tests.unit.net.stream_pair import read_all, read_exactly, stream_pair
from tests.unit.proxy.proxies import Proxy, proxy
from tests.unit.server.services import TickedService
from tests.unit.upstream.scripted_endpoint import read_head

SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\n"
WISH = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nX-A: 1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as made:
        yield made


def ask(front: Proxy, ours: Stream, rest: bytes = b"") -> Any:
    """Ask for a switch in a greenlet of its own, on the connection whose near end is `ours`."""
    client = Client(ours, Response(ours, TickedService(None)))
    client.request.rest = rest

    def run() -> None:
        environ: dict[str, Any] = {"lbg.client": client}
        front.handler.handle(_environ() | environ, lambda *_: pytest.fail("answered as HTTP"))

    return gevent.spawn(run)


def _environ() -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "9.9.9.9",
        "wsgi.url_scheme": "http",
        "lbg.headers": [(b"Host", b"a"), *WISH],
        "lbg.raw_target": b"/ws",
    }


def shouting(stream: Stream) -> None:
    """Switch, greet, and answer in capitals until the other side ends."""
    read_head(stream)
    stream.send(SWITCH + b"hi ")
    while data := stream.recv(100):
        stream.send(data.upper())
    stream.close()


def test_a_switch_is_passed_on_and_bytes_go_both_ways(ends: tuple[Stream, Stream]) -> None:
    ours, theirs = ends
    with proxy(shouting) as front:
        running = ask(front, ours)
        assert read_exactly(theirs, len(HEAD) + 3) == HEAD + b"hi "
        theirs.send(b"hello")
        assert read_exactly(theirs, 5) == b"HELLO"
        theirs.end_writing()
        assert read_all(theirs) == b""
        running.get()
        assert front.in_flight() == 0


def test_bytes_the_client_sent_ahead_are_not_lost(ends: tuple[Stream, Stream]) -> None:
    ours, theirs = ends
    with proxy(shouting) as front:
        ask(front, ours, rest=b"ahead")
        assert read_exactly(theirs, len(HEAD) + 8) == HEAD + b"hi AHEAD"
        theirs.end_writing()
        read_all(theirs)


def test_a_tunnel_counts_in_flight_until_it_ends(ends: tuple[Stream, Stream]) -> None:
    ours, theirs = ends
    with proxy(shouting) as front:
        running = ask(front, ours)
        read_exactly(theirs, len(HEAD))
        assert front.in_flight() == 1
        theirs.close()
        running.get()
        assert front.in_flight() == 0


def test_the_connection_of_a_tunnel_is_not_kept(ends: tuple[Stream, Stream]) -> None:
    ours, theirs = ends
    with proxy(shouting) as front:
        running = ask(front, ours)
        theirs.end_writing()
        read_all(theirs)
        running.get()
        assert len(front.endpoints[0].idle) == 0


def test_a_server_that_cannot_hand_out_its_socket_is_a_500() -> None:
    with proxy(SWITCH) as front:
        answered = front.ask(b"/ws", *WISH)
        assert (answered.status, answered.reason) == ("500 Internal Server Error", "internal")
        assert front.in_flight() == 0


def test_a_refused_switch_is_an_answer_like_others() -> None:
    with proxy(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno") as front:
        assert front.ask(b"/ws", *WISH).body == b"no"


def test_a_switch_without_a_protocol_is_a_bad_response() -> None:
    with proxy(b"HTTP/1.1 101 Switching Protocols\r\n\r\n") as front:
        assert front.ask(b"/ws", *WISH).reason == "bad_response"
