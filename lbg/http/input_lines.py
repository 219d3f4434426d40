"""The lines of a request body (PEP 3333 `wsgi.input`), for whatever reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class InputLines(ABC):
    """`readlines` and iteration, over `readline`."""

    __slots__ = ()

    @abstractmethod
    def readline(self, size: int | None = -1, /) -> bytes:
        """Return bytes to the next line feed, at most `size` of them."""

    def readlines(self, hint: int | None = -1, /) -> list[bytes]:
        """Return lines until the end, or until they hold `hint` bytes."""
        lines: list[bytes] = []
        size = 0
        for line in self:
            lines.append(line)
            size += len(line)
            if hint and 0 < hint <= size:
                break
        return lines

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")
