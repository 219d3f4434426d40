"""Where a body ends, and chunks that another parser reads back."""

from typing import Any

import pytest
from httptools import HttpResponseParser
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.framing import LAST_CHUNK, chunk, has_no_body, last_chunk

NAME = st.text("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789-", min_size=1, max_size=20).map(
    lambda text: b"X-" + text.encode()
)
VALUE = st.text("abcdefghijklmnopqrstuvwxyz 0123456789=;,", max_size=30).map(
    lambda text: text.strip().encode()
)


class Collected:
    """What httptools makes of a chunked response."""

    def __init__(self, data: bytes) -> None:
        self.body = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = False
        parser: Any = HttpResponseParser(self)
        parser.feed_data(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        self.complete = True


@settings(deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=6), st.lists(st.tuples(NAME, VALUE), max_size=4)
)
def test_chunks_and_trailers_are_read_back_by_another_parser(
    pieces: list[bytes], trailers: list[tuple[bytes, bytes]]
) -> None:
    message = b"".join(map(chunk, pieces)) + last_chunk(trailers)
    read = Collected(message)
    assert (read.body, read.complete) == (b"".join(pieces), True)
    assert read.fields[1:] == trailers


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=6))
def test_a_body_without_its_last_chunk_is_not_complete(pieces: list[bytes]) -> None:
    assert not Collected(b"".join(map(chunk, pieces))).complete


def test_a_chunk_has_its_size_in_hex() -> None:
    assert chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"


def test_no_trailers_give_the_bare_last_chunk() -> None:
    assert last_chunk([]) == LAST_CHUNK == b"0\r\n\r\n"


@pytest.mark.parametrize("status", [100, 101, 103, 199, 204, 304])
def test_these_statuses_have_no_body(status: int) -> None:
    assert has_no_body("GET", status)


@pytest.mark.parametrize("status", [200, 205, 206, 301, 404, 500])
def test_other_statuses_have_a_body_unless_asked_by_head(status: int) -> None:
    assert not has_no_body("GET", status)
    assert has_no_body("HEAD", status)
