"""Content codings: bytes in as they come, bytes out whenever they are to leave.

What a body under way holds is bounded by the windows below, whatever the level: measured, gzip takes
0.15 MB, zstd 0.6 MB, brotli 0.8 MB and 1.5 MB at level 9. With the windows that level 9 stands for,
zstd took 11 MB and brotli 33 MB.
"""

from __future__ import annotations

import sys
import zlib
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

_GZIP_WINDOW: Final = 16 + 15  # 32 KiB; the 16 asks zlib for a gzip header and trailer
_ZSTD_WINDOW: Final = 17  # 128 KiB, as in Caddy; RFC 9659 lets a client refuse more than 8 MiB
_ZSTD_TABLES: Final = 16  # 2^n entries; the 2^19 of level 5 made a body of 5 kB cost 143 us instead of 53
_BROTLI_WINDOW: Final = 16  # 64 KiB


class Encoder(Protocol):
    """Encodes one body. Any of these may give `b""`."""

    def feed(self, data: bytes | memoryview, /) -> bytes:
        """Take in `data` and return what there is to send so far."""

    def flush(self) -> bytes:
        """Return what was held back, so that a client can decode all that was fed."""

    def finish(self) -> bytes:
        """Return the end of the body."""


if TYPE_CHECKING:
    Maker = Callable[[int], Encoder]


class Gzip:
    """RFC 1952."""

    __slots__ = ("_compressor", "feed", "finish")

    def __init__(self, level: int) -> None:
        self._compressor: Any = zlib.compressobj(level, zlib.DEFLATED, _GZIP_WINDOW)
        self.feed = self._compressor.compress
        self.finish = self._compressor.flush

    def flush(self) -> bytes:
        """Return what was held back."""
        data: bytes = self._compressor.flush(zlib.Z_SYNC_FLUSH)
        return data


class Brotli:
    """RFC 7932."""

    __slots__ = ("_compressor", "feed", "finish", "flush")

    def __init__(self, level: int) -> None:
        import brotli

        self._compressor: Any = brotli.Compressor(quality=level, lgwin=_BROTLI_WINDOW)
        self.feed = self._compressor.process
        self.flush = self._compressor.flush
        self.finish = self._compressor.finish


class Zstd:
    """RFC 8878."""

    __slots__ = ("_compressor", "feed", "finish")

    def __init__(self, level: int) -> None:
        zstd = zstd_module()
        parameter = zstd.CompressionParameter
        options = {
            parameter.compression_level: level,
            parameter.window_log: _ZSTD_WINDOW,
            parameter.hash_log: _ZSTD_TABLES,
            parameter.chain_log: _ZSTD_TABLES,
        }
        self._compressor: Any = zstd.ZstdCompressor(options=options)
        self.feed = self._compressor.compress
        self.finish = self._compressor.flush

    def flush(self) -> bytes:
        """Return what was held back."""
        data: bytes = self._compressor.flush(self._compressor.FLUSH_BLOCK)
        return data


def zstd_module() -> Any:
    """Return the module of the standard library, or its backport (PEP 784). Raises ImportError."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


_MAKERS: Final[dict[str, Maker]] = {"zstd": Zstd, "br": Brotli, "gzip": Gzip}


def encoder_of(coding: str) -> Maker | None:
    """Return what makes an encoder of a level from 1 to 9, None when its library is not installed."""
    make = _MAKERS[coding]
    try:
        make(1)
    except ImportError:
        return None
    return make
