"""Encoded bodies: readable as they come, whole only when the original is."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import gevent
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import Sent, UpstreamError
from lbg.filters.compress import Answer
from lbg.filters.compressed_body import CompressedBody, Encoding, WrongLengthError
from lbg.filters.encoders import Gzip
from tests.unit.filters.decoding import Decoder, decoded

CUT = UpstreamError("upstream_cut_body", "connection closed within the body", sent=Sent.ANSWERED)


def encoding_of(length: int | None = None) -> Encoding:
    """Return a fresh gzip encoding."""
    return Encoding(Gzip(5), length)


def body_of(body: Iterable[bytes], encoding: Encoding | None) -> CompressedBody:
    """Return a body whose head said that it is to be encoded so."""
    return CompressedBody(body, cast("Answer", SimpleNamespace(encoding=encoding)))


@settings(deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=8), st.booleans())
def test_each_piece_can_be_read_as_it_comes(pieces: list[bytes], known: bool) -> None:
    client = Decoder("gzip")
    encoded = iter(body_of(iter(pieces), encoding_of(sum(map(len, pieces)) if known else None)))
    for piece in pieces:
        assert client.feed(next(encoded)) == piece
    assert client.feed(b"".join(encoded)) == b""
    assert client.ended is bool(b"".join(pieces) or not known)


def test_the_empty_first_piece_that_lets_the_head_leave_passes() -> None:
    assert next(iter(body_of(iter([b"", b"body"]), encoding_of()))) == b""


def test_a_body_of_known_length_ends_with_its_last_piece() -> None:
    encoded = list(body_of([b"bo", b"dy"], encoding_of(4)))
    assert decoded("gzip", b"".join(encoded[:2])) == b"body"
    assert b"".join(encoded[2:]) == b""


def test_an_empty_body_of_unknown_length_is_an_empty_encoded_one() -> None:
    assert decoded("gzip", b"".join(body_of([], encoding_of()))) == b""


def _cut() -> Iterator[bytes]:
    yield b"half of "
    raise CUT


def test_a_body_that_is_cut_has_no_end() -> None:
    got: list[bytes] = []
    with pytest.raises(UpstreamError) as caught:
        got.extend(body_of(_cut(), encoding_of()))
    assert caught.value is CUT
    client = Decoder("gzip")
    assert client.feed(b"".join(got)) == b"half of "
    assert not client.ended


@pytest.mark.parametrize("pieces", [[], [b"bod"], [b"b", b""]])
def test_a_body_shorter_than_its_length_has_no_end(pieces: list[bytes]) -> None:
    got: list[bytes] = []
    with pytest.raises(WrongLengthError, match="Content-Length was 4, the body had"):
        got.extend(body_of(pieces, encoding_of(4)))
    client = Decoder("gzip")
    client.feed(b"".join(got))
    assert not client.ended


def test_a_body_longer_than_its_length_is_refused() -> None:
    with pytest.raises(WrongLengthError, match="longer than its Content-Length 4"):
        list(body_of([b"bo", b"dy!"], encoding_of(4)))


def test_a_body_without_encoding_passes_as_it_is() -> None:
    assert list(body_of([b"", b"bo", b"dy"], None)) == [b"", b"bo", b"dy"]


class Closing:
    """A body that counts how often it is closed."""

    closed = 0

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"body"])

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_close_closes_the_original_once() -> None:
    original = Closing()
    body = body_of(original, encoding_of())
    list(body)
    assert original.closed == 0
    body.close()
    assert original.closed == 1


def test_a_body_that_cannot_be_closed_needs_not() -> None:
    body_of([b"body"], encoding_of()).close()


@pytest.mark.parametrize("pieces", [[b"x" * 1_000_000], [b"x" * 10_000] * 100])
def test_others_run_while_a_large_body_is_encoded(pieces: list[bytes]) -> None:
    turns = 0

    def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    other = gevent.spawn(others)
    try:
        encoded = b"".join(body_of(iter(pieces), encoding_of(1_000_000)))
    finally:
        other.kill()
    assert decoded("gzip", encoded) == b"x" * 1_000_000
    assert turns >= 12


class Noting:
    """An encoder that notes how much it is fed at a time."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def feed(self, data: Any) -> bytes:
        """Note the size."""
        self.sizes.append(len(data))
        return b""

    def flush(self) -> bytes:
        """Give nothing."""
        return b""

    finish = flush


def test_a_large_piece_is_encoded_in_steps() -> None:
    encoder = Noting()
    list(body_of([b"x" * 200_000], Encoding(encoder, None)))
    assert encoder.sizes == [65536, 65536, 65536, 200_000 - 3 * 65536]
