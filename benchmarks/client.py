"""A small blocking HTTP/1.1 client over a raw socket, which counts every byte and keeps none."""

import re
import socket
from dataclasses import dataclass, field
from pathlib import Path

TIMEOUT = 30.0
MAX_HEAD = 65536
SHORT = 64
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)


class WrongAnswerError(Exception):
    """A proxy answered something else than it was asked for."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, in bytes; `text` is the first of the body, whole when it is short."""

    status: int
    head_size: int
    body_size: int
    text: bytes = field(repr=False)

    @property
    def size(self) -> int:
        return self.head_size + self.body_size


class Client:
    """One connection to a port of the loopback."""

    def __init__(self, port: int, buffer_size: int = 65536) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(buffer_size))
        self._port = port

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def get(self, path: str, close: bool = False) -> Answer:
        """Fetch the path and drop its body."""
        self._send_head("GET", path, "Connection: close\r\n" if close else "")
        return self._receive()

    def upload(self, path: str, file: Path) -> Answer:
        """Send the file as the request body, with its Content-Length."""
        self._send_head("POST", path, f"Content-Length: {file.stat().st_size}\r\n")
        with file.open("rb") as body:
            self._socket.sendfile(body)
        return self._receive()

    def _send_head(self, method: str, path: str, fields: str) -> None:
        self._socket.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{fields}\r\n".encode()
        )

    def _receive(self) -> Answer:
        head, text = self._read_head()
        declared = CONTENT_LENGTH.search(head)
        if not declared:
            raise WrongAnswerError("the answer has no Content-Length")
        size = int(declared[1])
        while len(text) < min(size, SHORT):
            more = self._socket.recv(min(size - len(text), SHORT))
            if not more:
                raise WrongAnswerError(f"the answer ended {size - len(text)} bytes early")
            text += more
        if len(text) > size:
            raise WrongAnswerError(f"{len(text) - size} bytes follow the answer")
        self._drop(size - len(text))
        return Answer(int(head.split(maxsplit=2)[1]), len(head) + 4, size, text)

    def _read_head(self) -> tuple[bytes, bytes]:
        """The head without its empty line, and what of the body came with it."""
        received = b""
        while b"\r\n\r\n" not in received:
            more = self._socket.recv(4096)
            if not more or len(received) > MAX_HEAD:
                raise WrongAnswerError(f"the answer has no whole head: {received[:80]!r}")
            received += more
        head, _, rest = received.partition(b"\r\n\r\n")
        return head, rest

    def _drop(self, count: int) -> None:
        while count > 0:
            dropped = self._socket.recv_into(self._buffer, min(count, len(self._buffer)))
            if dropped == 0:
                raise WrongAnswerError(f"the answer ended {count} bytes early")
            count -= dropped


def check(answer: Answer, body_size: int) -> None:
    """Raise `WrongAnswerError` unless the answer is a 200 with a body of that size."""
    if answer.status != 200:
        raise WrongAnswerError(f"status {answer.status} instead of 200")
    if answer.body_size != body_size:
        raise WrongAnswerError(f"a body of {answer.body_size} bytes instead of {body_size}")
