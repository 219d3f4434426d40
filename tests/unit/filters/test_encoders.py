"""Encoders: what goes in comes out again, at once when asked for."""

import os
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.filters.encoders import Encoder, encoder_of
from tests.unit.filters.decoding import CODINGS, Decoder, decoded


def encoder(coding: str, level: int = 5) -> Encoder:
    """Return a fresh encoder."""
    make = encoder_of(coding)
    assert make is not None
    return make(level)


@pytest.mark.parametrize("coding", CODINGS)
@settings(deadline=None, max_examples=50)
@given(pieces=st.lists(st.binary(max_size=300), max_size=8), level=st.integers(1, 9), flushed=st.booleans())
def test_a_body_comes_out_as_it_went_in(coding: str, pieces: list[bytes], level: int, flushed: bool) -> None:
    one = encoder(coding, level)
    encoded = b""
    for piece in pieces:
        encoded += one.feed(piece) + (one.flush() if flushed else b"")
    assert decoded(coding, encoded + one.finish()) == b"".join(pieces)


@pytest.mark.parametrize("coding", CODINGS)
def test_what_was_flushed_can_be_read_before_the_end(coding: str) -> None:
    one, client = encoder(coding), Decoder(coding)
    for piece in (b"first", b"second" * 1000, b"x"):
        assert client.feed(one.feed(piece) + one.flush()) == piece
    assert not client.ended
    assert client.feed(one.finish()) == b""
    assert client.ended


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("level", [1, 5, 9])
def test_text_becomes_much_smaller_at_every_level(coding: str, level: int) -> None:
    one, text = encoder(coding, level), b"".join(b"line %d of a text\n" % number for number in range(5000))
    encoded = one.feed(text) + one.finish()
    assert len(encoded) < len(text) / 4
    assert decoded(coding, encoded) == text


@pytest.mark.parametrize("coding", CODINGS)
def test_what_cannot_be_compressed_hardly_grows(coding: str) -> None:
    one, noise = encoder(coding), os.urandom(100_000)
    assert len(one.feed(noise) + one.finish()) < len(noise) * 1.01


def test_the_zstd_window_is_one_that_every_client_must_take() -> None:
    # The byte after the magic number and the frame header descriptor, RFC 8878 section 3.1.1.1.2.
    one = encoder("zstd", 9)
    window = (one.feed(b"x" * 1_000_000) + one.flush())[5]
    assert 1 << (10 + (window >> 3)) <= 8 << 20


@pytest.mark.parametrize(("coding", "modules"), [("br", ["brotli"]), ("zstd", ["compression", "backports"])])
def test_a_coding_whose_library_is_missing_has_no_encoder(
    coding: str, modules: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    assert encoder_of(coding) is None
    assert encoder_of("gzip") is not None
