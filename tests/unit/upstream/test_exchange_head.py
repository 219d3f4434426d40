"""Which response fields reach the client, and how the body is framed."""

import pytest

from lbg.errors import Sent, UpstreamError
from lbg.http.framing import Framing
from tests.unit.http.test_request_rules import HOP_BY_HOP
from tests.unit.upstream.responses import answer, answer_to, connection_to, refusal

OK = b"HTTP/1.1 200 OK\r\n"


def headers(*lines: bytes, underscores: bool = False) -> list[tuple[str, str]]:
    """Return the headers that pass of a response with these field lines."""
    head = OK + b"".join(line + b"\r\n" for line in lines) + b"Content-Length: 0\r\n\r\n"
    passed = answer(head, underscores=underscores).exchange.headers
    assert passed[-1] == ("Content-Length", "0")
    return passed[:-1]


def test_order_case_and_repeats_are_kept() -> None:
    assert headers(b"B: 1", b"a: 2", b"B: 3", b"SERVER: x") == [
        ("B", "1"),
        ("a", "2"),
        ("B", "3"),
        ("SERVER", "x"),
    ]


@pytest.mark.parametrize(
    "name", [name for name in HOP_BY_HOP if name not in {b"Transfer-Encoding", b"Connection", b"Upgrade"}]
)
def test_a_hop_by_hop_field_ends_here(name: bytes) -> None:
    assert headers(b"A: 1", name + b": 1", name.upper() + b": 1") == [("A", "1")]


def test_upgrade_and_connection_end_here() -> None:
    assert headers(b"Upgrade: h2", b"Connection: x-gone, Keep-Alive") == []


def test_what_connection_names_ends_here_in_any_case_and_place() -> None:
    lines = (b"X-Gone: 1", b"A: 1", b"Connection: x-gone, X-Also", b"x-GONE: 2", b"X-Also: 1", b"B: 1")
    assert headers(*lines) == [("A", "1"), ("B", "1")]


def test_connection_cannot_remove_the_length() -> None:
    passed = answer(OK + b"Connection: content-length\r\nContent-Length: 2\r\n\r\nok")
    assert passed.exchange.headers == [("Content-Length", "2")]
    assert passed.body() == b"ok"


def test_names_with_underscores_end_here_unless_allowed() -> None:
    assert headers(b"X_A: 1") == []
    assert headers(b"X_A: 1", underscores=True) == [("X_A", "1")]


def test_values_keep_their_bytes() -> None:
    assert headers(b"A: caf\xe9 \xc3\xa9") == [("A", "caf\xe9 \xc3\xa9")]


def test_trailer_passes_where_trailers_can() -> None:
    chunked = answer(OK + b"Trailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert chunked.exchange.headers == [("Trailer", "X-T")]


@pytest.mark.parametrize(
    ("method", "response", "framing"),
    [
        ("GET", OK + b"Content-Length: 5\r\n\r\n", Framing.LENGTH),
        ("GET", OK + b"Content-Length: 0\r\n\r\n", Framing.NONE),
        ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n", Framing.CHUNKED),
        ("GET", OK + b"Transfer-Encoding: CHUNKED\r\n\r\n", Framing.CHUNKED),
        ("GET", OK + b"\r\n", Framing.CLOSE),
        ("GET", b"HTTP/1.0 200 OK\r\n\r\n", Framing.CLOSE),
        ("HEAD", OK + b"Content-Length: 5\r\n\r\n", Framing.NONE),
        ("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", Framing.NONE),
        ("HEAD", OK + b"\r\n", Framing.NONE),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", Framing.NONE),
        ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", Framing.NONE),
        ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Framing.NONE),
    ],
)
def test_the_framing_of_a_response(method: str, response: bytes, framing: Framing) -> None:
    assert answer(response, method=method).exchange.framing is framing


def test_the_length_of_a_head_only_response_is_told() -> None:
    assert answer(OK + b"Content-Length: 5\r\n\r\n", method="HEAD").exchange.headers == [
        ("Content-Length", "5")
    ]


@pytest.mark.parametrize(
    "coding",
    [
        b"gzip",
        b"gzip, chunked",
        b"chunked, chunked",
        b"identity",
        b"chunked;q=1",
        b"xchunked",
        b"",
        b'"chunked"',
    ],
)
def test_a_coding_we_cannot_take_off_is_refused(coding: bytes) -> None:
    failure = refusal(OK + b"Transfer-Encoding: " + coding + b"\r\n\r\n")
    assert (failure.reason.code, failure.sent) == ("bad_response", Sent.WRITTEN)


def test_two_codings_in_two_fields_are_refused() -> None:
    assert (
        refusal(OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n").reason.code
        == "bad_response"
    )


def test_a_refused_response_spoils_its_connection() -> None:
    connection = connection_to(OK + b"Transfer-Encoding: gzip\r\n\r\n")
    with pytest.raises(UpstreamError):
        answer_to("GET", connection)
    assert connection.spoiled


def test_a_switch_nobody_asked_for_is_refused() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"
    assert refusal(switch).reason.code == "bad_response"


def test_a_switch_that_was_asked_for_gives_protocol_stream_and_first_bytes() -> None:
    switch = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-A: 1\r\n\r\n"
    )
    connection = connection_to(switch + b"first")
    exchange = answer_to("GET", connection, upgrades=True).exchange
    assert (exchange.status, exchange.upgrade, exchange.headers) == (101, "websocket", [("X-A", "1")])
    assert exchange.tunnel() == (connection.stream, b"first")


def test_a_switched_connection_never_serves_http_again() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    answered = answer_to("GET", connection_to(switch), upgrades=True)
    answered.exchange.close()
    assert not answered.reusable


def test_the_repr_tells_status_and_framing() -> None:
    text = repr(answer(OK + b"Content-Length: 5\r\n\r\n").exchange)
    assert text.startswith("<Exchange 200 length <Connection ")
