"""Decoders of content codings, for bodies whole and cut."""

import zlib
from typing import Any

import brotli

from lbg.filters.encoders import zstd_module

CODINGS = ("zstd", "br", "gzip")


class Decoder:
    """Decodes as a client does, piece by piece; `ended` tells whether the coding's own end came."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._decoder: Any = {
            "gzip": lambda: zlib.decompressobj(31),
            "br": brotli.Decompressor,
            "zstd": lambda: zstd_module().ZstdDecompressor(),
        }[coding]()

    def feed(self, data: bytes) -> bytes:
        """Return what `data` and all before it make readable."""
        decoded: bytes = (
            self._decoder.process(data) if self._coding == "br" else self._decoder.decompress(data)
        )
        return decoded

    @property
    def ended(self) -> bool:
        """Whether the encoded body is whole."""
        return bool(self._decoder.is_finished() if self._coding == "br" else self._decoder.eof)


def decoded(coding: str, data: bytes) -> bytes:
    """Return a body that must be whole."""
    decoder = Decoder(coding)
    body = decoder.feed(data)
    assert decoder.ended, "the encoded body has no end"
    return body
