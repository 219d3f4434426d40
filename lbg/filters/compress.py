"""`compress`: encodes response bodies that are worth it, for clients that can read it."""

from __future__ import annotations

import logging
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from lbg.filters.accept_encoding import best_coding
from lbg.filters.compressed_body import CompressedBody, Encoding
from lbg.filters.encoders import encoder_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import CompressConfig
    from lbg.filters.encoders import Maker
    from lbg.filters.tools import Environ, StartResponse, Tools

log = logging.getLogger("lbg.filters")

Headers = list[tuple[str, str]]

_REMEMBERED: Final = 256  # values of Accept-Encoding and Content-Type; longer ones are looked at each time
_LONG: Final = 200
_MAX_DIGITS: Final = 18  # of a Content-Length
# 206 is a part of the body as the backend has it; the others have no body.
_NEVER_STATUS: Final = frozenset({"204", "205", "206", "304"})
# Whoever waits for an event or a message waits for a whole one, and gRPC compresses by itself.
_NEVER_TYPE: Final = re.compile(r"text/event-stream|application/grpc.*", re.DOTALL)
_READ: Final = frozenset(
    {"cache-control", "content-encoding", "content-length", "content-range", "content-type", "vary"}
)
# What is only true of the body that the backend sent (RFC 9110 section 14.3, RFC 9530, RFC 3230).
_UNTRUE: Final = frozenset(
    {
        "accept-ranges",
        "content-digest",
        "content-encoding",
        "content-length",
        "content-md5",
        "digest",
        "repr-digest",
    }
)


class Compress:
    """Encodes with the coding the client ranks first, of equal ones the first that is configured."""

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: CompressConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._makers: dict[str, Maker] = {}
        for coding in config.algorithms:
            make = encoder_of(coding)
            if make is not None:
                self._makers[coding] = make
        if not self._makers:
            names = ", ".join(config.algorithms)
            log.warning("%s: compress does nothing, the library is not installed for: %s", tools.name, names)
        self._level = config.level
        self._min_size = max(config.min_size, 1)
        patterns = "|".join(re.escape(kind).replace(r"\*", "[^/]*") for kind in config.types)
        self._types = re.compile(patterns)
        offered = tuple(self._makers)
        self._coding = _remembering(lambda accepted: best_coding(accepted, offered))
        self._listed = _remembering(self._is_listed)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        accepted = environ.get("HTTP_ACCEPT_ENCODING")
        coding = self._coding(accepted) if accepted else ""
        if coding and "no-transform" in environ.get("HTTP_CACHE_CONTROL", "").lower():
            coding = ""
        answer = Answer(self, coding, start_response, with_body=environ["REQUEST_METHOD"] != "HEAD")
        body = self._app(environ, answer.start)
        if not coding or (answer.started and answer.encoding is None):
            return body
        return CompressedBody(body, answer)

    def make_encoding(self, coding: str, length: int | None) -> Encoding:
        """Return what encodes a body of that length, None when it is not known."""
        return Encoding(self._makers[coding](self._level), length)

    def suits(self, status: str, said: dict[str, str]) -> bool:
        """Return whether a response with these fields may be encoded, for whoever asks for it."""
        kind = said.get("content-type")
        if kind is None or not self._listed(kind):
            return False
        if status[:3] in _NEVER_STATUS or status.startswith("1") or "content-range" in said:
            return False
        if said.get("content-encoding", "identity").strip().lower() != "identity":
            return False
        if "no-transform" in said.get("cache-control", "").lower():  # RFC 9111 section 5.2.2.6
            return False
        length = _length(said)
        return length is None or length >= self._min_size

    def _is_listed(self, content_type: str) -> bool:
        kind = content_type.partition(";")[0].strip().lower()
        return self._types.fullmatch(kind) is not None and _NEVER_TYPE.fullmatch(kind) is None


class Answer:
    """`start_response` for what is inside; `encoding` is what its body is to go through, None for nothing.

    `started` tells that the head is known: some applications call it only when they are iterated.
    """

    __slots__ = ("_coding", "_filter", "_start_response", "_with_body", "encoding", "started")

    def __init__(
        self, owner: Compress, coding: str, start_response: StartResponse, *, with_body: bool
    ) -> None:
        self._filter = owner
        self._coding = coding
        self._start_response = start_response
        self._with_body = with_body
        self.encoding: Encoding | None = None
        self.started = False

    def start(self, status: str, headers: Headers, *exc_info: Any) -> Callable[[bytes], object]:
        """Take status and header fields (PEP 3333 `start_response`)."""
        self.started = True
        self.encoding = None
        said = _said(headers)
        if self._filter.suits(status, said):
            _add_vary(headers, said.get("vary"))
            if self._coding:
                # The answer to HEAD has the fields that GET would get (RFC 9110 section 9.3.2).
                headers[:] = [_weak(field) for field in headers if field[0].lower() not in _UNTRUE]
                headers.append(("Content-Encoding", self._coding))
                if self._with_body:
                    self.encoding = self._filter.make_encoding(self._coding, _length(said))
        write: Callable[[bytes], object] = self._start_response(status, headers, *exc_info)
        encoding = self.encoding
        if encoding is None:
            return write

        def write_encoded(data: bytes) -> None:
            for piece in encoding.encode(data):
                write(piece)

        return write_encoded


def _remembering(function: Callable[[str], Any]) -> Callable[[str], Any]:
    remembered = lru_cache(maxsize=_REMEMBERED)(function)
    return lambda text: remembered(text) if len(text) <= _LONG else function(text)


def _said(headers: Headers) -> dict[str, str]:
    said: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key in _READ:
            said[key] = f"{said[key]}, {value}" if key in said else value
    return said


def _length(said: dict[str, str]) -> int | None:
    """Return the Content-Length, None without one; what is none counts as -1, and the server refuses it."""
    length = said.get("content-length")
    if length is None:
        return None
    return int(length) if length.isascii() and length.isdigit() and len(length) <= _MAX_DIGITS else -1


def _weak(field: tuple[str, str]) -> tuple[str, str]:
    """Return the field, an entity tag as a weak one: two codings of a body are not the same bytes."""
    name, value = field
    return (name, f"W/{value}") if name.lower() == "etag" and value.startswith('"') else field


def _add_vary(headers: Headers, present: str | None) -> None:
    if present is None:
        headers.append(("Vary", "Accept-Encoding"))
        return
    names = {name.strip().lower() for name in present.split(",")}
    if names.isdisjoint({"*", "accept-encoding"}):
        headers[:] = [field for field in headers if field[0].lower() != "vary"]
        headers.append(("Vary", f"{present}, Accept-Encoding"))
