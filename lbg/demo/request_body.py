"""Reading a request body from a stream, which `http.server` leaves to its handlers."""

from email.message import Message
from http import HTTPStatus
from io import BufferedIOBase

_MAX_LINE = 4096  # of a chunk size with its extensions, or of a trailer field


class BodyError(Exception):
    """The body cannot be read; `status` is what to answer before closing."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def read_body(headers: Message, stream: BufferedIOBase, limit: int) -> bytes:
    """Return the whole body. Raises BodyError when it is broken or longer than `limit` bytes."""
    if "Transfer-Encoding" in headers:
        return _chunked(stream, limit)
    return _counted(stream, _size(headers.get("Content-Length", "0"), 10), limit)


def _chunked(stream: BufferedIOBase, limit: int) -> bytes:
    body = b""
    while size := _size(_line(stream).partition(";")[0].strip(), 16):
        body += _counted(stream, size, limit - len(body))
        if _line(stream):
            raise BodyError(HTTPStatus.BAD_REQUEST)
    while _line(stream):
        pass  # trailers
    return body


def _counted(stream: BufferedIOBase, size: int, limit: int) -> bytes:
    if size > limit:
        raise BodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = stream.read(size)
    if len(body) < size:
        raise BodyError(HTTPStatus.BAD_REQUEST)
    return body


def _size(text: str, base: int) -> int:
    try:
        size = int(text, base)
    except ValueError:
        size = -1
    if size < 0:
        raise BodyError(HTTPStatus.BAD_REQUEST)
    return size


def _line(stream: BufferedIOBase) -> str:
    line = stream.readline(_MAX_LINE)
    if not line.endswith(b"\n"):
        raise BodyError(HTTPStatus.BAD_REQUEST)
    return line.decode("latin-1").rstrip("\r\n")
