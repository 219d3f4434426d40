"""`wsgi.input`: what PEP 3333 says of reading, compared with a file in memory."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.framing import chunk, last_chunk
from lbg.server.body import EMPTY, RequestInput
from tests.unit.server.inputs import input_of
from tests.unit.upstream.responses import pieces_at

LINES = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r\n", b"\x00" * 20, b"defgh"]), max_size=20).map(
    b"".join
)
SIZES = st.one_of(st.none(), st.integers(-1, 30))
CALLS = st.lists(st.tuples(st.sampled_from(["read", "readline", "readlines", "next"]), SIZES), max_size=10)
CUTS = st.lists(st.integers(0, 300), max_size=8)


def framed(body: bytes, sizes: list[int]) -> bytes:
    """Return a request with `body`: in chunks of these sizes, or with its length when there are none."""
    if not sizes:
        return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    message = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    at = 0
    for size in (*sizes, len(body)):
        if body[at : at + size]:
            message += chunk(body[at : at + size])
        at += size
    return message + last_chunk([])


def call(source: RequestInput | BytesIO, name: str, size: int | None) -> object:
    """Call one of the four ways to read."""
    if name == "next":
        return next(iter(source), b"")
    return getattr(source, name)(size)


@settings(deadline=None, max_examples=300)
@given(LINES, st.lists(st.integers(1, 30), max_size=5), CUTS, CALLS)
def test_it_reads_like_a_file_in_memory(
    body: bytes, chunks: list[int], cuts: list[int], calls: list[tuple[str, int | None]]
) -> None:
    source, model = input_of(*pieces_at(framed(body, chunks), cuts)), BytesIO(body)
    for name, size in calls:
        assert call(source, name, size) == call(model, name, size), (name, size)
    assert source.read() == model.read()
    assert source.read() == b""
    assert source.read_some() == b""


@settings(deadline=None)
@given(LINES, st.lists(st.integers(1, 30), max_size=5), CUTS)
def test_iterating_gives_the_lines(body: bytes, chunks: list[int], cuts: list[int]) -> None:
    assert list(input_of(*pieces_at(framed(body, chunks), cuts))) == list(BytesIO(body))


@settings(deadline=None)
@given(LINES, CUTS, st.lists(st.integers(0, 5), max_size=4))
def test_some_bytes_now_and_the_rest_later_are_the_whole(
    body: bytes, cuts: list[int], sizes: list[int]
) -> None:
    source = input_of(*pieces_at(framed(body, []), cuts))
    got = b""
    for size in sizes:
        got += source.read(size)
        got += source.read_some()
    assert got + source.read() == body


def test_a_body_that_came_with_its_head_is_ready() -> None:
    source = input_of(framed(b"body", []))
    assert (source.complete, source.ready(), source.read()) == (True, b"body", b"")


def test_a_body_under_way_is_not_ready() -> None:
    message = framed(b"body", [])
    source = input_of(message[:-1], message[-1:])
    assert (source.ready(), source.complete) == (None, False)
    assert source.read() == b"body"
    assert source.complete


def test_a_body_that_was_begun_is_not_ready() -> None:
    source = input_of(framed(b"body", []))
    assert source.read(1) == b"b"
    assert source.ready() is None
    assert source.read_some() == b"ody"


def test_trailers_are_known_once_the_body_was_read() -> None:
    message = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\n\r\n"
    source = input_of(message[:-10], message[-10:])
    assert source.read() == b"a"
    assert source.trailers == [(b"X-T", b"1")]


@pytest.mark.parametrize("name", ["read", "readline"])
@pytest.mark.parametrize("size", [None, -1, 0, 5])
def test_a_request_without_a_body_reads_as_empty(name: str, size: int | None) -> None:
    assert getattr(EMPTY, name)(size) == b""
    assert getattr(EMPTY, name)() == b""


def test_a_request_without_a_body_has_no_lines() -> None:
    assert (list(EMPTY), EMPTY.readlines(), EMPTY.readlines(5)) == ([], [], [])
    EMPTY.answer_continue()
