"""Responses: heads, broken applications, bodies of the wrong size, trailers."""

import sys
from collections.abc import Iterator

import pytest

from lbg.net.stream import Stream
from lbg.server.parser import Request
from lbg.server.response import BrokenResponse, Headers, Response
from tests.unit.net.scripted_stream import ScriptedStream, as_stream
from tests.unit.server.services import TickedService
from tests.unit.server.test_response_framing import respond

OLD_DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


class Begun(Response):
    """A response to a plain GET, with what it wrote at hand."""

    def __init__(self, version: str = "1.1") -> None:
        self.scripted = ScriptedStream()
        super().__init__(as_stream(self.scripted), TickedService(None))
        self.again(version)

    def again(self, version: str = "1.1") -> None:
        """Turn to the next request on the connection."""
        self.scripted.sent = b""
        request = Request()
        request.method, request.version, request.complete, request.keep_alive = "GET", version, True, True
        self.begin(request)


def answer(*headers: tuple[str, str], status: str = "200 OK") -> None:
    """Send a response with these headers and no body."""
    response = Begun()
    response.start(status, [*headers, ("Content-Length", "0")])
    try:
        response.send_all([])
    finally:
        assert response.scripted.sent.count(b"\r\n\r\n") <= 1


def test_order_case_and_repeats_of_headers_are_kept() -> None:
    headers = [("B", "1"), ("a", "2"), ("B", "3"), ("SET-cookie", "x")]
    assert respond("200 OK", [*headers, ("Content-Length", "0")], []).headers[:4] == headers


def test_a_response_without_a_date_gets_ours() -> None:
    assert respond("200 OK", [], []).values("date") == ["Mon, 01 Jan 2024 00:00:00 GMT"]


def test_the_date_of_the_application_stays() -> None:
    assert respond("200 OK", [("dAtE", OLD_DATE)], []).values("date") == [OLD_DATE]


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "TE",
        "Transfer-Encoding",
        "Upgrade",
        "transfer-encoding",
    ],
)
def test_the_application_has_no_say_in_the_connection(name: str) -> None:
    written = respond("200 OK", [(name, "x"), ("Content-Length", "0")], [])
    assert [key for key, _ in written.headers] == ["Content-Length", "Date"]


@pytest.mark.parametrize(
    "header",
    [
        ("X-A", "a\r\nX-Evil: 1"),
        ("X-A", "a\nX-Evil: 1"),
        ("X-A", "a\rX-Evil: 1"),
        ("X-A", "a\r\n\r\n<script>"),
        ("X-A", "a\x00b"),
        ("X-A\r\nX-Evil", "1"),
        ("X-A: 1\r\nX-Evil", "1"),
        ("Date", f"{OLD_DATE}\r\nX-Evil: 1"),
        ("X-A", "trailing\n"),
    ],
)
def test_a_header_that_would_forge_another_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(BrokenResponse, match="line break or NUL"):
        answer(header)


@pytest.mark.parametrize("status", ["200 OK\r\nX-Evil: 1", "200 OK\n", "200 O\x00K"])
def test_a_status_that_would_forge_a_header_is_refused(status: str) -> None:
    with pytest.raises(BrokenResponse):
        answer(status=status)


def test_line_breaks_that_cancel_out_are_refused() -> None:
    with pytest.raises(BrokenResponse):
        answer(("X-A", "a\r\nb: c"), ("X-B", "d"))


@pytest.mark.parametrize("length", ["-5", "+5", "5.0", "5 5", "0x5", "", "five", "1_0", "\u0665"])
def test_a_malformed_length_never_reaches_the_client(length: str) -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", length)])
    with pytest.raises((BrokenResponse, ValueError)):
        response.send_all([b"hello"])
    assert response.scripted.sent == b""


def test_two_lengths_never_reach_the_client() -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", "5"), ("content-length", "6")])
    with pytest.raises(BrokenResponse):
        response.send_all([b"hello"])
    assert response.scripted.sent == b""


def test_text_that_is_not_latin_1_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        answer(("X-A", "\u20ac"))


@pytest.mark.parametrize(("body", "sent"), [([b"abcd"], b""), ([b"abc", b"d"], b"abc")])
def test_a_body_longer_than_promised_is_cut_at_the_promise(body: list[bytes], sent: bytes) -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", "3")])
    with pytest.raises(BrokenResponse, match="longer than its Content-Length 3"):
        response.send_all(body)
    assert response.scripted.sent.partition(b"\r\n\r\n")[2] == sent


@pytest.mark.parametrize("body", [[], [b"ab"], [b"", b""]])
def test_a_body_shorter_than_promised_is_an_error(body: list[bytes]) -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", "3")])
    with pytest.raises(BrokenResponse, match="Content-Length was 3"):
        response.send_all(body)


def test_a_body_that_fails_has_no_last_chunk() -> None:
    def failing() -> Iterator[bytes]:
        yield b"abc"
        raise KeyError

    response = Begun()
    response.start("200 OK", [])
    with pytest.raises(KeyError):
        response.send_all(failing())
    assert response.scripted.sent.endswith(b"\r\n\r\n3\r\nabc\r\n")


def test_an_empty_first_piece_sends_the_head_at_once() -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", "3")])
    response.write(b"")
    assert response.begun
    assert response.scripted.sent.endswith(b"\r\n\r\n")


def test_empty_pieces_do_not_end_a_chunked_body() -> None:
    assert respond("200 OK", [], [b"", b"a", b"", b"b"]).body == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


def test_no_pieces_are_an_empty_body() -> None:
    assert respond("200 OK", [], []).body == b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 20_000])
def test_head_and_first_bytes_arrive_in_order_whatever_their_size(size: int) -> None:
    assert respond("200 OK", [("Content-Length", str(size))], [b"x" * size]).body == b"x" * size


def test_a_body_before_start_response_is_an_error() -> None:
    with pytest.raises(BrokenResponse, match="start_response was not called"):
        Begun().send_all([b"abc"])


def test_a_second_start_response_is_an_error() -> None:
    response = Begun()
    response.start("200 OK", [])
    with pytest.raises(BrokenResponse, match="called twice"):
        response.start("200 OK", [])


def failed() -> tuple[object, object, object]:
    try:
        raise KeyError("from the application")
    except KeyError:
        return sys.exc_info()


def test_an_error_page_may_replace_a_head_not_sent() -> None:
    response = Begun()
    response.start("200 OK", [])
    response.start("500 Oops", [("Content-Length", "0")], failed())
    response.send_all([])
    assert response.scripted.sent.startswith(b"HTTP/1.1 500 Oops\r\n")


def test_an_error_behind_a_head_that_was_sent_is_raised() -> None:
    response = Begun()
    response.start("200 OK", [])
    response.write(b"abc")
    with pytest.raises(KeyError, match="from the application"):
        response.start("500 Oops", [], failed())


def test_start_response_gives_the_old_write() -> None:
    response = Begun()
    write = response.start("200 OK", [("Content-Length", "3")])
    write(b"abc")
    assert response.scripted.sent.endswith(b"abc")


def test_trailers_follow_a_chunked_body() -> None:
    response = Begun()
    response.start("200 OK", [])
    response.set_trailers([(b"X-T", b"1")])
    response.send_all([b"a"])
    assert response.scripted.sent.endswith(b"1\r\na\r\n0\r\nX-T: 1\r\n\r\n")


@pytest.mark.parametrize("headers", [[("Content-Length", "1")], []])
def test_trailers_of_one_response_never_follow_the_next(headers: Headers) -> None:
    response = Begun()
    response.start("200 OK", headers)
    response.set_trailers([(b"X-T", b"1")])
    response.send_all([b"a"])
    response.again()
    response.start("200 OK", [])
    response.send_all([b"b"])
    assert response.scripted.sent.endswith(b"1\r\nb\r\n0\r\n\r\n")


def test_a_length_of_one_response_says_nothing_of_the_next() -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", "3")])
    response.send_all([b"abc"])
    response.again()
    response.start("200 OK", [])
    response.send_all([b"defg"])
    assert response.scripted.sent.endswith(b"4\r\ndefg\r\n0\r\n\r\n")


class Relayed(list[bytes]):
    """A body that moves what is left of its length past the process."""

    def __init__(self, *pieces: bytes, moves: int) -> None:
        super().__init__(pieces)
        self.moves = moves
        self.sinks: list[Stream] = []

    def relay_to(self, sink: Stream) -> int:
        """Note who asked."""
        self.sinks.append(sink)
        return self.moves


def test_the_rest_of_a_body_of_known_length_is_relayed() -> None:
    body = Relayed(b"", moves=3)
    response = Begun()
    response.start("200 OK", [("Content-Length", "3")])
    response.send_all(body)
    assert body.sinks == [as_stream(response.scripted)]
    assert response.scripted.sent.endswith(b"\r\n\r\n")


def test_a_relay_that_moves_too_little_is_an_error() -> None:
    response = Begun()
    response.start("200 OK", [("Content-Length", "3")])
    with pytest.raises(BrokenResponse):
        response.send_all(Relayed(b"a", moves=1))


@pytest.mark.parametrize(
    ("headers", "version"), [([], "1.1"), ([], "1.0"), ([("Content-Length", "1")], "1.1")]
)
def test_a_body_that_must_be_framed_or_is_whole_is_not_relayed(headers: Headers, version: str) -> None:
    body = Relayed(b"a", moves=0)
    response = Begun(version)
    response.start("200 OK", headers)
    response.send_all(body)
    assert body.sinks == []


def test_each_write_gives_the_client_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbg.server.response.monotonic", lambda: 1000.0)
    response = Begun()
    response.start("200 OK", [])
    response.write(b"a")
    assert response.scripted.deadline == 1060.0
