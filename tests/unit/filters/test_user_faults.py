"""What becomes of a request when the user's middleware fails."""

from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import Any

import pytest

from lbg.errors import ClientGone, LocalReply, UpstreamError
from lbg.hooks import guard as guard_module
from lbg.hooks.guard import HookFailed
from tests.unit.filters.around import environ_of
from tests.unit.filters.user_filter import (
    App,
    Body,
    Environ,
    Filtered,
    Inner,
    answering,
    assert_failed,
    fails,
    plain,
    whole,
)


def starts(then: Callable[[], Any]) -> Callable[[App], App]:
    """Return a factory whose middleware calls start_response and returns what `then` does."""

    def answer(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return then()

    return answering(answer)


def never(environ: Environ, start_response: Any) -> Any:
    """Answer without start_response."""
    return [b"x"]


def late(environ: Environ, start_response: Any) -> Iterator[bytes]:
    """Give a body before start_response."""
    yield b"x"
    start_response("200 OK", [])


def twice(environ: Environ, start_response: Any) -> Any:
    """Call start_response twice."""
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def heads(*arguments: Any) -> Callable[[App], App]:
    """Return a factory whose middleware calls start_response with these."""

    def answer(environ: Environ, start_response: Any) -> Any:
        start_response(*arguments)
        return []

    return answering(answer)


def unmakable(app: App) -> App:
    """Fail to make a middleware."""
    raise KeyError("secret")


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (answering(fails), "raised ValueError: secret"),
        (starts(fails), "raised ValueError: secret"),
        (starts(lambda: (fails() for _ in "x")), "raised ValueError: secret"),
        (starts(lambda: None), "TypeError: 'NoneType' object is not iterable"),
        (starts(lambda: ["text"]), "gave str as a piece of its response, expected bytes"),
        (starts(lambda: b"text"), "gave int as a piece of its response, expected bytes"),
        (answering(never), "before it called start_response"),
        (answering(lambda *_: []), "never called start_response"),
        (answering(lambda *_: iter(())), "never called start_response"),
        (answering(late), "before it called start_response"),
        (answering(twice), "start_response called twice"),
        (heads("200 OK\r\nX: y", []), "called start_response with the status"),
        (heads("OK", []), "called start_response with the status"),
        (heads(200, []), "called start_response with the status"),
        (heads("200 OK", ()), "headers of type tuple, expected list"),
        (heads("200 OK", [("X-A", "1\r\nX-B: 2")]), "line break"),
        (heads("200 OK", [("X-A", "\u20ac")]), "beyond Latin-1"),
        (heads("200 OK", [("X A", "1")]), "the header name 'X A'"),
        (heads("200 OK", [("X-A", 1)]), "expected a pair of str"),
        (heads("200 OK", [("Content-Length", "1"), ("content-length", "1")]), "two Content-Length fields"),
        (heads("200 OK", [("Content-Length", "1")]), "gave 0 bytes, its Content-Length was 1"),
    ],
)
def test_a_failure_before_the_head_is_answered(
    factory: Callable[[App], App], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert_failed(Filtered(factory).ask(), words, caplog=caplog)


@pytest.mark.parametrize("factory", [unmakable, lambda app: None], ids=["raises", "returns None"])
def test_a_filter_that_could_not_be_made_answers_every_request(factory: Callable[[App], App]) -> None:
    filtered = Filtered(factory)
    for _ in range(2):
        filtered.ask()
        assert filtered.server.headers == [("X-Reason", "filter_error")]
    assert filtered.guard.failures == 3


def test_a_failure_after_the_head_cuts_the_response() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        fails()

    filtered = Filtered(starts(pieces))
    with pytest.raises(HookFailed, match="ValueError: secret"):
        filtered.ask()
    assert filtered.server.body == b"begun"
    assert filtered.guard.failures == 1
    assert filtered.replies == []


def test_a_failure_after_a_write_cuts_the_response() -> None:
    def answer(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])(b"begun")
        fails()

    filtered = Filtered(answering(answer))
    with pytest.raises(HookFailed, match="ValueError: secret"):
        filtered.ask()
    assert filtered.server.body == b"begun"


@pytest.mark.parametrize(
    ("length", "pieces"), [("3", (b"ab", b"cd")), ("5", (b"ab", b"cd"))], ids=["too long", "too short"]
)
def test_a_body_that_changes_its_length_is_cut_and_named(
    length: str, pieces: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    def factory(app: App) -> App:
        return lambda environ, start_response: iter(list(app(environ, start_response)))

    filtered = Filtered(factory, Inner(Body(*pieces), [("Content-Length", length)]))
    with pytest.raises(HookFailed, match=f"Content-Length.* {length}"):
        filtered.ask()


@pytest.mark.parametrize(("method", "status"), [("HEAD", "200 OK"), ("GET", "304 Not Modified")])
def test_a_response_without_a_body_may_name_the_length_of_one(method: str, status: str) -> None:
    factory = heads(status, [("Content-Length", "7")])
    assert Filtered(factory).ask(method=method).guard.failures == 0


@pytest.mark.parametrize("error", [ClientGone("left"), LocalReply("denied", "no"), KeyError("a bug of ours")])
def test_what_the_proxy_raises_passes_through(error: Exception) -> None:
    def raising(environ: Environ, start_response: Any) -> Any:
        raise error

    filtered = Filtered(plain, raising)
    with pytest.raises(type(error)) as caught:
        filtered.ask()
    assert caught.value is error
    assert filtered.guard.failures == 0


def test_a_body_of_the_proxy_that_is_cut_is_cut_for_the_client_too() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"begun"
        raise error

    def factory(app: App) -> App:
        return lambda environ, start_response: (piece for piece in app(environ, start_response))

    error = UpstreamError("upstream_cut_body", "cut", sent=2)  # type: ignore[arg-type]
    filtered = Filtered(factory, Inner(pieces()))
    with pytest.raises(UpstreamError):
        filtered.ask()
    assert filtered.guard.failures == 0


def test_a_start_response_of_the_middleware_that_fails_is_its_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def factory(app: App) -> App:
        return lambda environ, start_response: app(environ, fails)

    assert_failed(Filtered(factory).ask(), "ValueError: secret", caplog=caplog)


def test_a_middleware_that_keeps_the_head_of_the_response_to_itself_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def factory(app: App) -> App:
        return lambda environ, start_response: app(environ, lambda *head: None)

    assert_failed(Filtered(factory).ask(), "before it called start_response", caplog=caplog)


def test_a_body_of_the_middleware_is_closed_once_whatever_that_does() -> None:
    class Closing(Body):
        def close(self) -> None:
            super().close()
            fails()

    body = Closing(b"ok")
    filtered = Filtered(starts(lambda: body)).ask()
    filtered.result.close()
    assert (filtered.server.body, body.closed, filtered.guard.failures) == (b"ok", 1, 1)


@pytest.mark.parametrize(
    "take",
    [lambda body: [b"other"], lambda body: iter([b"other"]), lambda body: fails()],
    ids=["list", "iterator", "failure"],
)
def test_a_body_of_the_proxy_that_the_middleware_drops_is_closed(take: Callable[[Any], Any]) -> None:
    def factory(app: App) -> App:
        return lambda environ, start_response: take(app(environ, start_response))

    body = Body(b"ok")
    Filtered(factory, Inner(body)).ask()
    assert body.closed == 1


def test_a_body_that_the_middleware_closed_is_not_closed_again() -> None:
    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
            result: Any = app(environ, start_response)
            pieces = list(result)
            result.close()
            return pieces

        return middleware

    body = Body(b"ok")
    assert Filtered(factory, Inner(body)).ask().server.body == b"ok"
    assert body.closed == 1


def test_a_failure_of_an_inner_filter_is_not_one_of_the_outer() -> None:
    inner = Filtered(answering(fails))
    outer = Filtered(plain, inner.filter).ask()
    assert outer.server.headers == [("X-Reason", "filter_error")]
    assert (inner.guard.failures, outer.guard.failures) == (1, 0)


def test_only_the_time_of_the_middleware_itself_is_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(guard_module, "monotonic", lambda: now[0])

    def pass_time(seconds: float) -> None:
        now[0] += seconds

    class Slow(Inner):
        def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
            environ["wsgi.input"].read()
            super().__call__(environ, start_response)
            pass_time(60.0)
            return self._pieces()

        def _pieces(self) -> Iterator[bytes]:
            yield b"ok"
            pass_time(60.0)

    class SlowInput(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            pass_time(60.0)
            return super().read(size)

    def factory(app: App, own: float) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterator[bytes]:
            environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read())
            for piece in app(environ, start_response):
                pass_time(own)
                yield piece

        return middleware

    def slow_calls(own: float) -> int:
        filtered = Filtered(factory, Slow(), own=own)
        environ = whole(environ_of("/", ("Content-Length", "5"), method="POST"))
        environ["wsgi.input"] = SlowInput(b"hello")
        return filtered.serve(environ).guard.slow

    assert slow_calls(0.0) == 0
    assert slow_calls(0.2) == 1


def test_the_wait_for_a_client_that_takes_no_more_is_not_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(guard_module, "monotonic", lambda: now[0])

    def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])(b"ok")
        return []

    filtered = Filtered(answering(answer))

    def write(data: bytes) -> None:
        now[0] += 60.0

    monkeypatch.setattr(filtered.server, "write", write)
    filtered.filter(whole(environ_of()), filtered.server.start)
    assert filtered.guard.slow == 0
