"""Noticing the end of a response under servers that do not tell of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Environ = dict[str, Any]
StartResponse = Any


class Observed:
    """A response body that tells when it is closed, as our own server does."""

    def __init__(self, environ: Environ, start_response: StartResponse) -> None:
        self._environ = environ
        self._start_response = start_response
        self._body: Iterable[bytes] = ()
        self._status = 0
        self._sent = 0
        self._closed = False

    @classmethod
    def call(
        cls,
        application: Callable[[Environ, StartResponse], Iterable[bytes]],
        environ: Environ,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Return what `application` returns, so that `lbg.finished` is told of its end."""
        observed = cls(environ, start_response)
        try:
            body = application(environ, observed._start)
        except BaseException:
            observed.close()
            raise
        if not hasattr(body, "__iter__"):  # the server's own word for a connection that was taken over
            observed._status = 101
            observed.close()
            return body
        observed._body = body
        return observed

    def _start(self, status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
        self._status = int(status[:3])
        return self._start_response(status, headers, *more)

    def __iter__(self) -> Iterator[bytes]:
        for data in self._body:
            self._sent += len(data)
            yield data

    def close(self) -> None:
        """End the body, and tell; once."""
        if self._closed:
            return
        self._closed = True
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        finally:
            self._environ["lbg.finished"](self._environ, self._status, self._sent)
