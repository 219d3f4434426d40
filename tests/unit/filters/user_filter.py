"""A filter made of a user's middleware, between a strict WSGI server and a stand-in for the proxy."""

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from lbg.errors import LocalReply
from lbg.filters.user import UserFilter
from lbg.hooks.guard import Guard
from tests.unit.filters.around import environ_of

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
App = Callable[[Environ, Any], Iterable[bytes]]

NAME = 'filter "shop:tag"'


class Body:
    """The body of an exchange: knows how it was used."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    def close(self) -> None:
        """Count the call."""
        self.closed += 1


class Inner:
    """The proxy inside the filter: keeps what reaches it, answers with `body`."""

    def __init__(self, body: Iterable[bytes] | None = None, headers: Headers | None = None) -> None:
        self.seen: list[Environ] = []
        self.body: Iterable[bytes] = Body(b"hello ", b"world") if body is None else body
        self.headers = headers or [("X-Backend", "1")]

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        """Answer."""
        self.seen.append(environ)
        start_response("200 OK", self.headers.copy())
        return self.body

    @property
    def environ(self) -> Environ:
        """The environ of the only request."""
        (environ,) = self.seen
        return environ

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The fields of the only request, but Host."""
        fields = [(name.decode(), value.decode()) for name, value in self.environ["lbg.headers"]]
        return [field for field in fields if field[0] != "Host"]


class Server:
    """As strict as a WSGI server may be: PEP 3333."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: Headers = []
        self.body = b""
        self.head_sent = False

    def start(self, status: str, headers: Headers, exc_info: Any = None) -> Callable[[bytes], None]:
        """Be `start_response`."""
        if exc_info:
            if self.head_sent:
                raise exc_info[1].with_traceback(exc_info[2])
        else:
            assert not self.status, "start_response was called twice"
        self.status, self.headers = status, headers
        return self.write

    def write(self, data: bytes) -> None:
        """Send."""
        assert self.status, "a body without start_response"
        self.head_sent = True
        self.body += data

    def serve(self, app: App, environ: Environ) -> Any:
        """Serve one request; return the result of `app` after it was closed."""
        result = app(environ, self.start)
        try:
            for piece in result:
                self.write(piece)
            if not self.head_sent:
                self.write(b"")
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return result


class Filtered:
    """A filter made of `factory` around `inner`, and the server before it."""

    def __init__(self, factory: Callable[..., Any], inner: App | None = None, **options: Any) -> None:
        self.inner = Inner() if inner is None else inner
        self.guard = Guard(NAME)
        self.replies: list[LocalReply] = []
        self.filter = UserFilter(self.inner, self.guard, factory, options, self._reply)
        self.server = Server()
        self.result: Any = None

    def _reply(self, cause: LocalReply, environ: Environ, start_response: Any) -> Iterable[bytes]:
        assert environ["lbg.exchange"]
        self.replies.append(cause)
        start_response(f"{cause.status} Local Reply", [("X-Reason", str(cause.reason))])
        return [cause.detail.encode()]

    def ask(self, target: str = "/", *fields: tuple[str, str], **more: Any) -> "Filtered":
        """Serve a request with a whole environ."""
        return self.serve(whole(environ_of(target, *fields, **more)))

    def serve(self, environ: Environ) -> "Filtered":
        """Serve a request with this environ."""
        self.server = Server()
        self.result = self.server.serve(self.filter, environ)
        return self

    @property
    def environ(self) -> Environ:
        """What reached the inner application."""
        assert isinstance(self.inner, Inner)
        return self.inner.environ

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The fields that reached the inner application."""
        assert isinstance(self.inner, Inner)
        return self.inner.fields


def whole(environ: Environ) -> Environ:
    """Return `environ` with all that PEP 3333 wants."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": "a",
        "wsgi.version": (1, 0),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    } | environ


def changing(change: Callable[[Environ], object]) -> Callable[[App], App]:
    """Return the factory of a middleware that changes the environ."""

    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
            change(environ)
            return app(environ, start_response)

        return middleware

    return factory


def answering(answer: Callable[[Environ, Any], Any]) -> Callable[[App], App]:
    """Return the factory of a middleware that answers itself."""
    return lambda app: answer


def plain(app: App) -> App:
    """Be the factory of a middleware that does nothing."""

    def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
        return app(environ, start_response)

    return middleware


def assert_failed(filtered: Filtered, *words: str, caplog: pytest.LogCaptureFixture | None = None) -> None:
    """Assert that the client got the local reply, and that the log names hook and reason."""
    assert filtered.server.status == "500 Local Reply"
    assert filtered.server.headers == [("X-Reason", "filter_error")]
    assert filtered.server.body == b"A filter of this route failed."
    assert filtered.guard.failures == 1
    if caplog is not None:
        (record,) = caplog.records
        assert record.getMessage().startswith(NAME)
        for word in words:
            assert word in record.getMessage()


def fails(*_: Any) -> Any:
    """Raise."""
    raise ValueError("secret")
