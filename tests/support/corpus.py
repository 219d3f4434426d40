"""The cases of tests/corpus: raw messages with the verdict they must get."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from tests.support.handlers import End

NO_ANSWER = 0
"""Stands in a list of statuses for a connection closed without a byte."""

BYTEWISE_UP_TO = 2048
LARGE_PIECE = 37

Feed = Literal["whole", "lines", "bytes"]
FEEDS: tuple[Feed, ...] = get_args(Feed)
Line = tuple[bytes, bytes]


@dataclass(slots=True)
class Expected:
    """What one received message must look like; empty means unchecked."""

    has: list[Line] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    order: list[bytes] = field(default_factory=list)
    without: list[bytes] = field(default_factory=list)
    trailers: list[Line] = field(default_factory=list)
    body: bytes | None = None


@dataclass(slots=True)
class ExpectedRequest(Expected):
    """What the backend must have received; any of the request lines will do."""

    lines: tuple[bytes, ...] = ()


@dataclass(slots=True)
class ExpectedAnswer(Expected):
    """What the last answer to the client must look like, unless lbg made it itself."""

    framing: tuple[str, ...] = ()
    complete: bool | None = True
    informational: tuple[int, ...] | None = ()
    """The statuses of the 1xx before it, None for whatever they are."""


@dataclass(slots=True)
class Case:
    """One file of the corpus."""

    name: str
    raw: bytes = b""
    note: str = ""
    expect: list[tuple[int, ...]] = field(default_factory=list)
    """For each answer in turn the statuses that are right."""
    reasons: tuple[str, ...] = ()
    connection: str = "any"
    answer: ExpectedAnswer = field(default_factory=ExpectedAnswer)
    methods: tuple[str, ...] = ()

    end: str = "open"
    upstream: list[ExpectedRequest] | Literal["none", "cut", "any"] = "any"

    request_line: bytes = b"GET / HTTP/1.1"
    request_fields: list[Line] = field(default_factory=list)
    request_body: bytes = b""
    reads: str = "all"
    then: End = "close"
    upstream_connection: str = "any"

    def method_of(self, index: int) -> str:
        """Return the method that answer number `index` belongs to: it decides about a body."""
        return self.methods[index] if index < len(self.methods) else "GET"

    def request(self) -> bytes:
        """Return the request that a response case begins with."""
        fields = [(b"Host", b"example.com"), *self.request_fields]
        lines = [self.request_line, *(b"%b: %b" % line for line in fields), b"", b""]
        return b"\r\n".join(lines) + self.request_body


def pieces(raw: bytes, feed: Feed) -> Sequence[bytes]:
    """Cut the bytes as they shall be sent; long messages in small pieces in place of single bytes."""
    if feed == "whole":
        return [raw]
    if feed == "lines":
        return re.findall(rb"[^\n]*\n|[^\n]+", raw)
    size = 1 if len(raw) <= BYTEWISE_UP_TO else LARGE_PIECE
    return [raw[start : start + size] for start in range(0, len(raw), size)]
