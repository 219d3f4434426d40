"""Response bodies: given as they come, in any pieces, never cut without a word."""

from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import Sent, StreamTimeout, UpstreamError
from lbg.http.framing import chunk, last_chunk
from tests.unit.net.scripted_stream import ScriptedStream
from tests.unit.upstream.responses import Answered, answer, pieces_at

HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH_4 = HEAD + b"Content-Length: 4\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSE = HEAD + b"\r\n"


def failure_of(answered: Answered) -> tuple[bytes, UpstreamError]:
    """Return the body up to the failure, and the failure."""
    got: list[bytes] = []
    with pytest.raises(UpstreamError) as caught:
        got.extend(answered.exchange)
    return b"".join(got), caught.value


def framed(body: list[bytes], kind: str) -> bytes:
    """Return a whole response with `body`."""
    if kind == "length":
        return HEAD + b"Content-Length: %d\r\n\r\n" % sum(map(len, body)) + b"".join(body)
    if kind == "chunked":
        return CHUNKED + b"".join(map(chunk, filter(None, body))) + last_chunk([])
    return UNTIL_CLOSE + b"".join(body)


@settings(deadline=None)
@given(
    st.lists(st.binary(max_size=50), max_size=5),
    st.sampled_from(["length", "chunked", "close"]),
    st.lists(st.integers(0, 500), max_size=6),
)
def test_a_body_is_the_same_in_any_framing_and_any_pieces(
    body: list[bytes], kind: str, cuts: list[int]
) -> None:
    answered = answer(*pieces_at(framed(body, kind), cuts))
    assert answered.body() == b"".join(body)
    assert answered.reusable is (kind != "close")


def test_the_head_can_leave_before_the_body_comes() -> None:
    answered = answer(LENGTH_4, b"body")
    assert next(iter(answered.exchange)) == b""


def test_a_body_that_came_with_its_head_is_given_at_once() -> None:
    answered = answer(LENGTH_4 + b"body")
    assert list(answered.exchange) == [b"body"]


def test_each_piece_is_given_as_it_comes() -> None:
    answered = answer(CHUNKED, b"2\r\nab\r\n", b"1\r\nc\r\n", b"0\r\n\r\n")
    assert [data for data in answered.exchange if data] == [b"ab", b"c"]


def test_a_response_without_a_body_gives_none() -> None:
    assert answer(HEAD + b"Content-Length: 5\r\n\r\n", method="HEAD").body() == b""
    assert answer(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n").body() == b""


def test_the_connection_is_given_back_with_the_last_piece_not_after_it() -> None:
    answered = answer(LENGTH_4 + b"body")
    next(iter(answered.exchange))
    assert answered.lease.ends == [None]


@pytest.mark.parametrize(
    "script",
    [
        [LENGTH_4 + b"bod", b""],
        [LENGTH_4, b""],
        [LENGTH_4, b"b", ConnectionResetError(104, "Connection reset by peer")],
        [CHUNKED, b""],
        [CHUNKED, b"4\r\nbo", b""],
        [CHUNKED, b"4\r\nbody\r\n", b""],
        [CHUNKED, b"4\r\nbody\r\n0\r\n", b""],
        [CHUNKED, b"4\r\nbodyXX", b""],
        [CHUNKED, b"4\r\nbody\r\nzz\r\n"],
        [CHUNKED, b"4\r\nbody\r\n", ConnectionResetError(104, "Connection reset by peer")],
        [UNTIL_CLOSE, b"body", ConnectionResetError(104, "Connection reset by peer")],
    ],
)
def test_a_body_cut_short_raises(script: list[bytes | Exception]) -> None:
    answered = answer(*script)
    got, failure = failure_of(answered)
    assert b"body".startswith(got)
    assert (failure.reason.code, failure.sent) == ("upstream_cut_body", Sent.ANSWERED)
    assert answered.lease.ends == [failure]


@pytest.mark.parametrize("head", [LENGTH_4, CHUNKED, UNTIL_CLOSE])
def test_a_body_that_stops_coming_raises(head: bytes) -> None:
    answered = answer(head, StreamTimeout())
    _, failure = failure_of(answered)
    assert (failure.reason.code, failure.sent) == ("read_timeout", Sent.ANSWERED)
    assert answered.lease.ends == [failure]


def test_a_bad_chunk_right_behind_the_head_is_noticed() -> None:
    with pytest.raises(UpstreamError):
        answer(CHUNKED + b"zz\r\n").body()


def test_each_read_of_the_body_has_its_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 200.0, 300.0])
    monkeypatch.setattr("lbg.upstream.exchange.monotonic", lambda: next(times))
    answered = answer(LENGTH_4, b"bo", b"dy")
    answered.body()
    stream = cast("ScriptedStream", answered.connection.stream)
    assert stream.deadlines[1:] == [160.0, 260.0]


def test_trailers_are_told_before_the_body_ends() -> None:
    answered = answer(CHUNKED, b"1\r\na\r\n", b"0\r\nX-T: 1\r\nContent-Type: a/b\r\nx_u: 2\r\nx-t: 3\r\n\r\n")
    body = iter(answered.exchange)
    assert [next(body), next(body), next(body, None)] == [b"", b"a", None]
    assert answered.trailers == [(b"X-T", b"1"), (b"x-t", b"3")]


def test_a_body_without_trailers_tells_none() -> None:
    answered = answer(CHUNKED + b"0\r\n\r\n")
    answered.body()
    assert answered.trailers == []


@pytest.mark.parametrize("endless", [b"X-T: " + b"t" * 1000 + b"\r\n", b"x" * 1000])
def test_a_trailer_section_without_end_is_cut(endless: bytes) -> None:
    start = b"0\r\n" if endless.startswith(b"X") else b"1;"
    answered = answer(CHUNKED, start, *[endless] * 600)
    _, failure = failure_of(answered)
    assert failure.reason.code == "upstream_cut_body"


def test_a_connection_that_ends_with_the_body_is_no_failure_without_a_length() -> None:
    answered = answer(UNTIL_CLOSE, b"bo", b"dy", b"")
    assert answered.body() == b"body"
    assert answered.lease.ends == [None]
