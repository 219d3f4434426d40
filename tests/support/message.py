"""A strict reading of HTTP/1 fields and chunks (RFC 9112), written apart from the product's own."""

import re
from collections.abc import Callable, Iterable

from tests.support.byte_stream import ByteStream

Fields = list[tuple[bytes, bytes]]
"""Names and values in the order, case and number in which they came."""

MAX_HEAD = 1 << 21
"""Far above any limit under test, so that the peer's limit is the one that is seen."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*((?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)[ \t]*")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) (HTTP/1\.[01])")
_STATUS_LINE = re.compile(rb"(HTTP/1\.[01]) ([1-9][0-9][0-9]) ([\t\x20-\x7e\x80-\xff]*)")


class MalformedMessageError(Exception):
    """The peer sent bytes that RFC 9112 does not allow it to send."""


def read_head(stream: ByteStream) -> bytes:
    """Take one message head without its closing empty line; the bytes are as received."""
    return stream.take_until(b"\r\n\r\n", MAX_HEAD)


def split_head(head: bytes) -> tuple[bytes, Fields]:
    """Return the start line and the fields."""
    start, *lines = head.split(b"\r\n")
    return start, parse_fields(lines)


def parse_request_line(line: bytes) -> tuple[str, bytes, str]:
    """Return method, target and version."""
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise MalformedMessageError(f"request line {line!r}")
    return match[1].decode(), match[2], match[3].decode()


def parse_status_line(line: bytes) -> tuple[str, int, str]:
    """Return version, status and reason phrase."""
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise MalformedMessageError(f"status line {line!r}")
    return match[1].decode(), int(match[2]), match[3].decode("latin-1")


def parse_fields(lines: Iterable[bytes]) -> Fields:
    """Return the fields of these lines; no folding, no space before the colon, no control characters."""
    fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise MalformedMessageError(f"field line {line!r}")
        fields.append((match[1], match[2]))
    return fields


def values(fields: Fields, name: str) -> list[str]:
    """Return every value of a field, in order."""
    wanted = name.lower().encode()
    return [value.decode("latin-1") for key, value in fields if key.lower() == wanted]


def tokens(fields: Fields, name: str) -> list[str]:
    """Return the lower-cased members of a comma-separated list field."""
    members = ",".join(values(fields, name)).split(",")
    return [member.strip().lower() for member in members if member.strip()]


def body_length(fields: Fields) -> int | None:
    """Return Content-Length, None for chunked and -1 where neither is given."""
    lengths, codings = values(fields, "content-length"), tokens(fields, "transfer-encoding")
    if codings:
        if lengths:
            raise MalformedMessageError("Transfer-Encoding and Content-Length together")
        if codings[-1] != "chunked" or codings.count("chunked") != 1:
            raise MalformedMessageError(f"Transfer-Encoding {codings}")
        return None
    if not lengths:
        return -1
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise MalformedMessageError(f"Content-Length {lengths}")
    return int(lengths[0])


def read_counted(stream: ByteStream, length: int, sink: Callable[[bytes], None]) -> None:
    """Pass exactly `length` body bytes to the sink as they come."""
    while length:
        data = stream.take_some(length)
        sink(data)
        length -= len(data)


def read_chunked(stream: ByteStream, sink: Callable[[bytes], None]) -> Fields:
    """Pass a chunked body to the sink as it comes and return its trailers."""
    while True:
        line = stream.take_until(b"\r\n", MAX_HEAD)
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise MalformedMessageError(f"chunk size line {line!r}")
        size = int(match[1], 16)
        if size == 0:
            return _read_trailers(stream)
        read_counted(stream, size, sink)
        end = stream.take(2)
        if end != b"\r\n":
            raise MalformedMessageError(f"{end!r} where the chunk of {size} bytes should end")


def _read_trailers(stream: ByteStream) -> Fields:
    lines = []
    while line := stream.take_until(b"\r\n", MAX_HEAD):
        lines.append(line)
    return parse_fields(lines)
