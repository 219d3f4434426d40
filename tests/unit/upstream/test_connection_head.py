"""Response heads: read in any pieces, refused when they are no HTTP, timed out, cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.net.outbox import OUTBOX
from lbg.upstream.connection import MAX_HEAD, MAX_INTERIM, Connection
from tests.unit.net.stream_pair import stream_pair
from tests.unit.upstream.responses import answer, bytewise, connection_to, pieces_at, refusal

RESPONSE = (
    b"HTTP/1.1 200 Fine\r\nServer: a\r\nSet-Cookie: b=1\r\nset-cookie: c=2\r\nContent-Length: 4\r\n\r\nbody"
)
HEADERS = [("Server", "a"), ("Set-Cookie", "b=1"), ("set-cookie", "c=2"), ("Content-Length", "4")]


@pytest.mark.parametrize("at", range(1, len(RESPONSE)))
def test_a_response_cut_into_two_pieces_anywhere_is_the_same(at: int) -> None:
    answered = answer(RESPONSE[:at], RESPONSE[at:])
    assert answered.exchange.status_line == "200 Fine"
    assert answered.exchange.headers == HEADERS
    assert answered.body() == b"body"
    assert answered.reusable


def test_a_response_byte_by_byte_is_the_same() -> None:
    answered = answer(*bytewise(RESPONSE))
    assert (answered.exchange.status_line, answered.exchange.headers) == ("200 Fine", HEADERS)
    assert (answered.body(), answered.reusable) == (b"body", True)


INTERIM = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + RESPONSE


@settings(deadline=None)
@given(st.lists(st.integers(0, len(INTERIM)), max_size=6))
def test_interim_responses_come_before_the_final_one_in_any_pieces(cuts: list[int]) -> None:
    connection = connection_to(*pieces_at(INTERIM, cuts))
    connection.begin(head_only=False)
    interim = []
    while not connection.status:
        connection.read_head()
        interim += connection.interim
        connection.interim = []
    assert interim == [(103, [(b"Link", b"</a>")]), (100, [])]
    assert (connection.status, connection.phrase) == (200, b"Fine")
    assert [name for name, _ in connection.fields] == [
        b"Server",
        b"Set-Cookie",
        b"set-cookie",
        b"Content-Length",
    ]


def test_an_interim_response_is_there_before_the_final_one_comes() -> None:
    connection = connection_to(b"HTTP/1.1 100 Continue\r\n\r\n", StreamTimeout())
    connection.begin(head_only=False)
    connection.read_head()
    assert (connection.interim, connection.status) == ([(100, [])], 0)


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (b"HTTP/1.1 200\r\n", "200 "),
        (b"HTTP/1.1 200 \r\n", "200 "),
        (b"HTTP/1.0 404 Not Found\r\n", "404 Not Found"),
        (b"HTTP/1.1 999 Odd thing\r\n", "999 Odd thing"),
        (b"HTTP/1.1 200 Sch\xf6n\r\n", "200 Schön"),
    ],
)
def test_the_status_line_is_kept(head: bytes, line: str) -> None:
    assert answer(head + b"Content-Length: 0\r\n\r\n").exchange.status_line == line


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        ((b"SSH-2.0-OpenSSH_9.6p1 Debian-3\r\n",), '"SSH-2.0-OpenSSH_9.6p1 De…"'),
        ((b"\x15\x03\x03\x00\x02\x02F",), '"\\x15\\x03\\x03\\x00\\x02\\x02F"'),
        ((b"HT", b"TQ\r\n"), '"HTTQ\\r\\n"'),
    ],
)
def test_what_is_no_http_is_told_by_how_it_began(pieces: tuple[bytes, ...], shown: str) -> None:
    told = refusal(*pieces).detail
    assert told == f"invalid response: not HTTP, it began with {shown} (the wrong port?)"


@pytest.mark.parametrize(
    "response",
    [
        b"hello\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.2 200 OK\r\n\r\n",
        b"HTTP/0.9 200 OK\r\n\r\n",
        b"RTSP/1.0 200 OK\r\n\r\n",
        b"HTTP/1.1 000 Nothing\r\n\r\n",
        b"HTTP/1.1 099 Low\r\n\r\n",
        b"HTTP/1.1 20 Short\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nNo colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\x00\r\n\r\n",
        b"HTTP/1.1 200 OK\nA: b\n\n",
        b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
@pytest.mark.parametrize("pieces", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_what_is_no_http_is_a_bad_response(response: bytes, pieces: object) -> None:
    assert callable(pieces)
    failure = refusal(*pieces(response))
    assert (failure.reason.code, failure.sent) == ("bad_response", Sent.WRITTEN)


def test_a_head_without_end_is_refused() -> None:
    line = b"X-A: " + b"a" * 1000 + b"\r\n"
    failure = refusal(b"HTTP/1.1 200 OK\r\n", *[line] * (MAX_HEAD // len(line) + 2))
    assert "larger than" in failure.detail


def test_a_head_below_the_limit_passes() -> None:
    line = b"X-A: " + b"a" * 1000 + b"\r\n"
    many = MAX_HEAD // len(line) - 1
    answered = answer(b"HTTP/1.1 204 OK\r\n", *[line] * many, b"\r\n")
    assert len(answered.exchange.headers) == many


def test_interim_responses_without_end_are_refused() -> None:
    flood = b"HTTP/1.1 102 Processing\r\n\r\n" * (MAX_INTERIM + 1)
    assert "interim" in refusal(flood).detail


def read_head_of(connection: Connection) -> UpstreamError:
    connection.begin(head_only=False)
    with pytest.raises(UpstreamError) as caught:
        connection.read_head()
    return caught.value


@pytest.mark.parametrize(
    ("served", "reason", "reused"), [(0, "upstream_reset", False), (3, "upstream_reset_reused", True)]
)
@pytest.mark.parametrize(
    "end", [b"", ConnectionResetError(104, "Connection reset by peer")], ids=["end", "reset"]
)
def test_a_connection_closed_before_any_byte(
    served: int, reason: str, reused: bool, end: bytes | Exception
) -> None:
    failure = read_head_of(connection_to(end, served=served))
    assert (failure.reason.code, failure.reused, failure.sent) == (reason, reused, Sent.WRITTEN)


def test_a_request_that_was_never_written_says_so() -> None:
    connection = connection_to(b"", served=1)
    connection.stream.unwritten = True
    assert read_head_of(connection).sent is Sent.NOTHING


@pytest.mark.parametrize("served", [0, 3])
@pytest.mark.parametrize("length", [1, 9, 17, 30, 60])
def test_a_head_that_breaks_off_is_a_bad_response(length: int, served: int) -> None:
    failure = read_head_of(connection_to(RESPONSE[:length], b"", served=served))
    assert (failure.reason.code, failure.sent) == ("bad_response", Sent.WRITTEN)
    assert "in the middle" in failure.detail


@pytest.mark.parametrize("begun", [[], [b"HTTP/1.1 200"]])
def test_a_head_that_does_not_come_in_time(begun: list[bytes]) -> None:
    failure = read_head_of(connection_to(*begun, StreamTimeout(), served=1))
    assert (failure.reason.code, failure.sent, failure.reused) == ("response_timeout", Sent.WRITTEN, True)


def test_the_repr_tells_progress_and_use() -> None:
    answered = answer(RESPONSE)
    assert repr(answered.connection) == "<Connection fd=1000000 COMPLETE status=200 served=0 spoiled=False>"


def test_a_request_written_in_part_is_not_called_unwritten() -> None:
    with stream_pair() as (ours, theirs):
        connection = Connection(ours)
        ours.begin_message()
        ours.send(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
        theirs.recv(1000)
        theirs.close()
        ours.send(b"3\r\nabc\r\n")
        OUTBOX.flush()
        assert read_head_of(connection).sent is Sent.WRITTEN
