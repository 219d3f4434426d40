"""A buffered reader over a socket that tells a clean end from a reset."""

import socket


class EndOfStreamError(Exception):
    """The peer ended the stream before what was asked for had come."""

    def __init__(self, partial: bytes, *, reset: bool) -> None:
        super().__init__(f"{'reset' if reset else 'closed'} by the peer after {partial[-200:]!r}")
        self.partial = partial
        self.reset = reset


class ByteStream:
    """Reads lines and counted bytes from one socket; whatever came too early stays in the buffer."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self._ended = False
        self.reset = False

    def __repr__(self) -> str:
        """Show what waits in the buffer."""
        return f"<ByteStream {len(self._buffer)} buffered, ended={self._ended}>"

    @property
    def buffered(self) -> bytes:
        """What was received and not taken yet."""
        return bytes(self._buffer)

    def fill(self, size: int = 65536) -> bool:
        """Receive once; False when the peer ended the stream."""
        if self._ended:
            return False
        try:
            data = self._sock.recv(size)
        except (ConnectionResetError, BrokenPipeError):
            self.reset = True
            data = b""
        self._ended = not data
        self._buffer += data
        return not self._ended

    def take_until(self, delimiter: bytes, limit: int) -> bytes:
        """Return the bytes before the delimiter, which is consumed; ValueError past `limit` bytes."""
        searched = 0
        while (found := self._buffer.find(delimiter, max(0, searched - len(delimiter)))) < 0:
            searched = len(self._buffer)
            if searched > limit:
                raise ValueError(f"no {delimiter!r} in {limit} bytes: {bytes(self._buffer[:200])!r}")
            self._fill_or_raise()
        taken = bytes(self._buffer[:found])
        del self._buffer[: found + len(delimiter)]
        return taken

    def take(self, count: int) -> bytes:
        """Return exactly `count` bytes."""
        while len(self._buffer) < count:
            self._fill_or_raise()
        return self._cut(count)

    def take_some(self, limit: int) -> bytes:
        """Return between one and `limit` bytes, as soon as there are any."""
        if not self._buffer:
            self._fill_or_raise()
        return self._cut(limit)

    def take_rest(self) -> bytes:
        """Return everything up to the end of the stream."""
        while self.fill():
            pass
        return self._cut(len(self._buffer))

    def _fill_or_raise(self) -> None:
        if not self.fill():
            raise EndOfStreamError(bytes(self._buffer), reset=self.reset)

    def _cut(self, count: int) -> bytes:
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken
