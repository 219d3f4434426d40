"""How a message's body is delimited (RFC 9112 section 6), decided without I/O."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lbg.http.headers import Fields

LAST_CHUNK: Final = b"0\r\n\r\n"


class Framing(Enum):
    """What tells the reader of a body where it ends."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


def has_no_body(method: str, status: int) -> bool:
    """Return whether a response carries no body whatever its fields say (RFC 9112 section 6.3)."""
    return method == "HEAD" or status in {204, 304} or status < 200


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk; it must not be empty, which would be the last one."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Fields) -> bytes:
    """Return the end of a chunked body with its trailer section."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n" + b"".join(b"%b: %b\r\n" % field for field in trailers) + b"\r\n"
