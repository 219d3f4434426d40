"""A response body that is encoded on its way to the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import gevent

from lbg.errors import LbgError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lbg.filters.compress import Answer
    from lbg.filters.encoders import Encoder

_PIECE: Final = 65536  # bytes encoded at a time: about a millisecond, in which the worker does nothing else


class WrongLengthError(LbgError):
    """The application gave another number of bytes than its Content-Length said."""


class Encoding:
    """One body under way; `length` is what its Content-Length said, None without one."""

    __slots__ = ("_encoder", "_length", "_since_turn", "_taken")

    def __init__(self, encoder: Encoder, length: int | None) -> None:
        self._encoder = encoder
        self._length = length
        self._taken = 0
        self._since_turn = 0

    def encode(self, data: bytes) -> Iterator[bytes]:
        """Give all of `data` encoded, so that the client can decode it at once. Raises WrongLengthError."""
        self._taken += len(data)
        if self._length is not None and self._taken > self._length:
            raise WrongLengthError(f"the body is longer than its Content-Length {self._length}")
        view = memoryview(data)
        for start in range(0, len(data), _PIECE):
            self._let_others_run()
            out = self._encoder.feed(view[start : start + _PIECE])
            self._since_turn += min(_PIECE, len(data) - start)
            if start + _PIECE < len(data):
                yield out
            else:
                # The end with the last bytes is one write less, and nothing more can come.
                yield out + (self._encoder.finish() if self._taken == self._length else self._encoder.flush())

    def _let_others_run(self) -> None:
        if self._since_turn >= _PIECE:
            self._since_turn = 0
            gevent.sleep(0)

    def end(self) -> bytes:
        """Return what ends the body. Raises WrongLengthError."""
        if self._length is None:
            return self._encoder.finish()
        if self._taken < self._length:
            raise WrongLengthError(f"Content-Length was {self._length}, the body had {self._taken} bytes")
        return b""


class CompressedBody:
    """The iterable of a WSGI application, encoded as soon as its head told how.

    What iteration of the original raises passes, and then the encoded body has no end either.
    """

    __slots__ = ("_answer", "_body")

    def __init__(self, body: Iterable[bytes], answer: Answer) -> None:
        self._body = body
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        answer = self._answer
        for data in self._body:
            if data and answer.encoding is not None:
                yield from answer.encoding.encode(data)
            else:
                yield data
        if answer.encoding is not None:
            yield answer.encoding.end()

    def close(self) -> None:
        """End the original."""
        close: Any = getattr(self._body, "close", None)
        if close is not None:
            close()
