"""Reading an answer as it comes, where `RawClient.read_response` would wait for its end."""

from __future__ import annotations

from tests.support import message
from tests.support.byte_stream import ByteStream
from tests.support.client import RawClient
from tests.support.message import Fields


class StreamedResponse:
    """One answer whose head has come; its body is taken piece by piece.

    The client must have read nothing beyond the head before: this has a buffer of its own.
    """

    def __init__(self, client: RawClient) -> None:
        self._stream = ByteStream(client.socket)
        line, self.headers = message.split_head(message.read_head(self._stream))
        self.version, self.status, self.reason = message.parse_status_line(line)
        self.trailers: Fields = []

    def __repr__(self) -> str:
        """Show the status and what waits unread."""
        return f"<StreamedResponse {self.status} unread={self._stream.buffered[:60]!r}>"

    def chunk(self) -> bytes:
        """Return the data of the next chunk; `b""` is the last one, whose trailers are then known."""
        size = int(self._stream.take_until(b"\r\n", message.MAX_HEAD), 16)
        if size == 0:
            while line := self._stream.take_until(b"\r\n", message.MAX_HEAD):
                self.trailers += message.parse_fields([line])
            return b""
        data = self._stream.take(size)
        if self._stream.take(2) != b"\r\n":
            raise message.MalformedMessageError("a chunk that does not end where it said")
        return data

    def data(self, length: int, *, chunked: bool) -> bytes:
        """Return the next `length` bytes of the body, however they are cut."""
        if not chunked:
            return self._stream.take(length)
        data = b""
        while len(data) < length:
            piece = self.chunk()
            if not piece:
                raise message.MalformedMessageError(f"the body ends after {data!r}")
            data += piece
        return data

    def receive(self, limit: int = 1 << 20) -> bytes:
        """Return the next bytes from the wire."""
        return self._stream.take_some(limit)
