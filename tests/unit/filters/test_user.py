"""Responses through a user's middleware, and middleware that others wrote."""

import gc
import sys
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any
from wsgiref.validate import validator

from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.lint import LintMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from lbg.errors import LocalReply
from lbg.filters.user import UserFilter
from lbg.hooks.guard import Guard
from tests.unit.filters.around import environ_of
from tests.unit.filters.user_filter import (
    App,
    Body,
    Environ,
    Filtered,
    Headers,
    Inner,
    Server,
    answering,
    changing,
    fails,
    plain,
    whole,
)


def test_a_response_that_was_passed_on_is_the_one_of_the_proxy() -> None:
    filtered = Filtered(plain, Inner(body := Body(b"a", b"b"))).ask()
    assert filtered.result is body
    assert body.closed == 1
    assert filtered.server.body == b"ab"


def test_a_middleware_can_answer_itself() -> None:
    def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("402 Pay", [("X-A", "1")])
        return [b"pay ", b"up"]

    filtered = Filtered(answering(answer)).ask()
    assert (filtered.server.status, filtered.server.body) == ("402 Pay", b"pay up")
    assert filtered.guard.failures == 0


def test_a_header_can_be_added_to_the_response() -> None:
    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
            def start(status: str, headers: Headers, exc_info: Any = None) -> Any:
                return start_response(status, [*headers, ("X-A", "1")], exc_info)

            return app(environ, start)

        return middleware

    body = Body(b"ok")
    filtered = Filtered(factory, Inner(body)).ask()
    assert filtered.server.headers == [("X-Backend", "1"), ("X-A", "1")]
    assert filtered.result is body


def test_a_body_can_be_changed_on_its_way() -> None:
    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterator[bytes]:
            for piece in app(environ, start_response):
                yield piece.upper()

        return middleware

    body = Body(b"hello ", b"world")
    filtered = Filtered(factory, Inner(body)).ask()
    assert filtered.server.body == b"HELLO WORLD"
    assert body.closed == 1


def test_a_request_leaves_nothing_for_the_garbage_collector() -> None:
    filtered = Filtered(plain)
    gc.collect()
    filtered.ask()
    filtered.inner.seen.clear()
    assert gc.collect() == 0


def test_write_sends_at_once() -> None:
    seen = []

    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
            write = start_response("200 OK", [])
            write(b"first ")
            seen.append(filtered.server.body)
            return [b"second"]

        return middleware

    filtered = Filtered(factory)
    filtered.ask()
    assert seen == [b"first "]
    assert filtered.server.body == b"first second"


def test_a_head_can_be_replaced_with_exc_info_until_it_was_sent() -> None:
    def answer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        try:
            raise ValueError
        except ValueError:
            start_response("503 Later", [("X-A", "1")], sys.exc_info())
        return [b"later"]

    server = Filtered(answering(answer)).ask().server
    assert (server.status, server.headers, server.body) == ("503 Later", [("X-A", "1")], b"later")


def test_a_switch_of_protocols_passes_without_start_response() -> None:
    handled = object()

    def switching(environ: Environ, start_response: Any) -> Any:
        return handled

    filtered = Filtered(plain, switching)
    assert filtered.filter(whole(environ_of()), filtered.server.start) is handled
    assert filtered.guard.failures == 0


def test_the_standard_validator_finds_nothing_wrong_with_either_side() -> None:
    def swapping(app: App) -> App:
        return changing(
            lambda environ: environ.update({"wsgi.input": BytesIO(b"new"), "CONTENT_LENGTH": "3"})
        )(app)

    def reading(environ: Environ, start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(3)
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
        return [body]

    for factory in (plain, swapping, validator, LintMiddleware):
        filtered = Filtered(factory, validator(reading))
        filtered.filter = validator(filtered.filter)
        filtered.ask("/a?b=c", ("Content-Length", "3"), method="POST", body=b"old")
        assert filtered.server.body == (b"new" if factory is swapping else b"old")
        assert filtered.guard.failures == 0


def test_the_standard_validator_accepts_the_reply_to_a_failure() -> None:
    def reply(cause: LocalReply, environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("500 Local Reply", [("Content-Type", "text/plain")])
        return [b"failed"]

    failing = UserFilter(Inner(), Guard("filter"), answering(fails), {}, reply)
    server = Server()
    server.serve(validator(failing), whole(environ_of()))
    assert server.body == b"failed"


def test_proxy_fix_works_as_a_filter() -> None:
    sent = (
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Forwarded-Prefix", "/s"),
    )
    filtered = Filtered(ProxyFix, x_host=1, x_prefix=1).ask("/a?b=c", *sent)
    assert filtered.environ["REMOTE_ADDR"] == "192.0.2.7"
    assert (b"Host", b"shop.example") in filtered.environ["lbg.headers"]
    assert filtered.environ["lbg.raw_target"] == b"/s/a?b=c"


def test_a_dispatcher_works_as_a_filter() -> None:
    def own(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    def factory(app: Any) -> App:
        return DispatcherMiddleware(app, {"/own": own, "/same": app})

    filtered = Filtered(factory)
    assert filtered.ask("/own/a").server.body == b"/a"
    assert filtered.ask("/same/%2Fa").server.body == b"hello world"
    assert filtered.environ["lbg.raw_target"] == b"/same/%2Fa"
