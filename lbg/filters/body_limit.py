"""`body_limit`: no request body larger than so many bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbg.errors import LocalReply, RequestError
from lbg.http.input_lines import InputLines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lbg.config.filters import BodyLimitConfig
    from lbg.filters.tools import Environ, StartResponse, Tools


class BodyLimit:
    """Refuses with `body_too_large`: by Content-Length at once, a chunked body when it passes the limit."""

    def __init__(
        self,
        app: Callable[[Environ, StartResponse], Iterable[bytes]],
        config: BodyLimitConfig,
        tools: Tools,
    ) -> None:
        self._app = app
        self._reply = tools.reply
        self._limit = config.limit

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, as a WSGI application."""
        length = environ.get("CONTENT_LENGTH")
        if length:
            if length.isdecimal() and _exceeds(length, self._limit):
                cause = LocalReply("body_too_large", _detail(self._limit))
                return self._reply(cause, environ, start_response)
        elif "HTTP_TRANSFER_ENCODING" in environ:
            source = environ["wsgi.input"]
            limited = LimitedStream if hasattr(source, "read_some") else LimitedInput
            environ["wsgi.input"] = limited(source, self._limit)
        return self._app(environ, start_response)


def _exceeds(digits: str, limit: int) -> bool:
    # int() refuses thousands of digits.
    digits = digits.lstrip("0")
    return len(digits) > 19 or int(digits or "0") > limit


def _detail(limit: int) -> str:
    return f"The request body is larger than {limit} bytes."


class LimitedInput(InputLines):
    """A PEP 3333 input that raises RequestError once more than `limit` bytes were read of it."""

    def __init__(self, source: Any, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._left = limit

    def read(self, size: int | None = -1, /) -> bytes:
        """Return `size` bytes, fewer only at the end; everything without a size."""
        return self._counted(self._source.read(self._most(size)))

    def readline(self, size: int | None = -1, /) -> bytes:
        """Return bytes to the next line feed, at most `size` of them."""
        return self._counted(self._source.readline(self._most(size)))

    def _most(self, size: int | None) -> int:
        # A byte more than is allowed tells that there is more, and no more than that is kept.
        most = max(self._left + 1, 0)
        return most if size is None or size < 0 else min(size, most)

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            raise RequestError("body_too_large", _detail(self._limit))
        return data


class LimitedStream(LimitedInput):
    """The same for the input of our server, which also gives bytes as they come."""

    @property
    def complete(self) -> bool:
        """Whether the last byte has come from the client."""
        complete: bool = self._source.complete
        return complete

    @property
    def trailers(self) -> list[tuple[bytes, bytes]]:
        """The trailer section, known once the body was read."""
        trailers: list[tuple[bytes, bytes]] = self._source.trailers
        return trailers

    def ready(self) -> bytes | None:
        """Return the whole body when all of it has come, None otherwise."""
        data = self._source.ready()
        return None if data is None else self._counted(data)

    def read_some(self) -> bytes:
        """Return what has come, after waiting for something to come; `b""` is the end."""
        return self._counted(self._source.read_some())

    def wait_for_bytes(self, seconds: float) -> None:
        """Wait until the client sends something, at most `seconds`."""
        self._source.wait_for_bytes(seconds)

    def answer_continue(self) -> None:
        """Send the 100 a client awaits before its body, once."""
        self._source.answer_continue()
