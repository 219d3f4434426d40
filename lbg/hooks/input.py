"""The request body on its way through a middleware: ours as it reads it, and its own as we read that."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from lbg.hooks.guard import stay_at
from lbg.http.input_lines import InputLines

if TYPE_CHECKING:
    from lbg.hooks.guard import Guard


class _Input(InputLines):
    """The methods of PEP 3333 over one function that calls those of the source."""

    __slots__ = ("_source",)

    def __init__(self, source: Any) -> None:
        self._source = source

    @abstractmethod
    def _call(self, method: str, *args: Any) -> Any:
        """Call a method of the source."""

    def read(self, *size: int | None) -> bytes:
        """Return `size` bytes, fewer only at the end; everything without a size."""
        data: bytes = self._call("read", *size)
        return data

    def readline(self, *size: int | None) -> bytes:
        """Return bytes to the next line feed, at most `size` of them."""
        line: bytes = self._call("readline", *size)
        return line


class OwnInput(_Input):
    """Our input in the hands of a hook: waiting for the client is not the hook's time.

    `begun` says that something was read of it.
    """

    __slots__ = ("begun",)

    def __init__(self, source: Any) -> None:
        super().__init__(source)
        self.begun = False

    def _call(self, method: str, *args: Any) -> Any:
        self.begun = True
        function = getattr(self._source, method)
        stay = stay_at(sys._getframe())  # whichever hook reads: the body may have changed hands
        return function(*args) if stay is None else stay.outside(function, *args)


class HookInput(_Input):
    """The input that a hook put in place of ours, contained. Raises HookFailed.

    `length` is the bytes it has to give, None if that is not known.
    """

    __slots__ = ("_guard", "_left")

    def __init__(self, source: Any, guard: Guard, length: int | None) -> None:
        super().__init__(source)
        self._guard = guard
        self._left = length

    def _call(self, method: str, *args: Any) -> Any:
        wanted = args[0] if args else None
        if self._left is not None:
            size = self._left if wanted is None or wanted < 0 else min(wanted, self._left)
            args = (size,)
            if not size:
                return b""
        data = self._guard.call(_do, self._source, method, args)
        if not isinstance(data, bytes):
            raise self._guard.fail(f"gave {type(data).__name__} as request body, expected bytes")
        if self._left is not None:
            self._left -= len(data)
            if self._left < 0 or not data:
                relation = "more" if data else "fewer"
                raise self._guard.fail(f"gave {relation} bytes of request body than its CONTENT_LENGTH says")
        return data


def _do(source: Any, method: str, args: tuple[Any, ...]) -> Any:
    return getattr(source, method)(*args)
