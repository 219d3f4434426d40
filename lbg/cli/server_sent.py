"""Server-sent events as they come over a connection (WHATWG HTML, section 9.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(frozen=True, slots=True)
class Message:
    """One block: the id to come back with, "" when it has none, and the data, "" when it has none."""

    id: str
    data: str


def messages(pieces: Iterable[bytes]) -> Iterator[Message]:
    """Yield each whole message, however the stream was cut to pieces; a half one at the end is dropped."""
    number = ""
    data: list[str] = []
    for line in _lines(pieces):
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id":
            number = value
        elif name == "data":
            data.append(value)
        elif not line and (number or data):
            yield Message(number, "\n".join(data))
            number, data = "", []


def _lines(pieces: Iterable[bytes]) -> Iterator[str]:
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode("utf-8", "replace")
