"""A request body that is kept while somebody else reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.http.input_lines import InputLines

if TYPE_CHECKING:
    from collections.abc import Callable


def tee(
    source: Any, length: int | None, limit: int, done: Callable[[bytes | None], object]
) -> TeeInput | TeeStream:
    """Return an input that reads `source` and calls `done` once: with the body when all of it was read.

    `length` is the Content-Length, None for a chunked body. `done` gets None as soon as there are more
    than `limit` bytes, and no call when the body is not read to its end.
    """
    kind = TeeStream if hasattr(source, "read_some") else TeeInput
    return kind(source, length, limit, done)


class TeeInput(InputLines):
    """A PEP 3333 input; see `tee`."""

    def __init__(
        self, source: Any, length: int | None, limit: int, done: Callable[[bytes | None], object]
    ) -> None:
        self._source = source
        self._length = length
        self._limit = limit
        self._done: Callable[[bytes | None], object] | None = done
        self._kept: list[bytes] = []
        self._size = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end; everything without a size."""
        data: bytes = self._source.read(size)
        return self._noted(data, ended=size is None or size < 0 or not (data or size == 0))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return bytes to the next line feed, at most `size` of them."""
        data: bytes = self._source.readline(size)
        return self._noted(data, ended=not (data or size == 0))

    def _noted(self, data: bytes, *, ended: bool) -> bytes:
        done = self._done
        if done is None:
            return data
        self._size += len(data)
        if self._size > self._limit:
            self._done, self._kept = None, []
            done(None)
            return data
        if data:
            self._kept.append(data)
        # Another server's input also ends where the client left.
        if ended if self._length is None else self._size == self._length:
            self._done, kept = None, self._kept
            self._kept = []
            done(b"".join(kept))
        return data


class TeeStream(TeeInput):
    """The same for the input of our server, which also gives bytes as they come."""

    @property
    def complete(self) -> bool:
        """Whether the last byte has come from the client."""
        complete: bool = self._source.complete
        return complete

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """The trailer section, known once the body was read."""
        trailers: list[tuple[bytes, bytes]] = self._source.trailers
        return trailers

    def ready(self) -> bytes | None:
        """Return the whole body when all of it has come, None otherwise."""
        data: bytes | None = self._source.ready()
        return None if data is None else self._noted(data, ended=True)

    def read_some(self) -> bytes:
        """Return what has come, after waiting for something to come; `b""` is the end."""
        data: bytes = self._source.read_some()
        return self._noted(data, ended=not data)

    def wait_for_bytes(self, seconds: float) -> None:
        """Wait until the client sends something, at most `seconds`."""
        self._source.wait_for_bytes(seconds)

    def answer_continue(self) -> None:
        """Send the 100 a client awaits before its body, once."""
        self._source.answer_continue()
