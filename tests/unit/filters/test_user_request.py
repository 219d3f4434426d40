"""What a user's middleware changes in the head of a request, and how that reaches the proxy."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.unit.filters.around import environ_of
from tests.unit.filters.user_filter import (
    App,
    Environ,
    Filtered,
    Inner,
    assert_failed,
    changing,
    plain,
    whole,
)


def test_a_middleware_that_does_nothing_leaves_no_trace() -> None:
    environ = whole(environ_of("/a%2Fb?x=1", ("x-a", "1"), ("X-A", "2")))
    fields, source = environ["lbg.headers"].copy(), environ["wsgi.input"]
    filtered = Filtered(plain).serve(environ)
    assert filtered.environ["lbg.headers"] == fields
    assert filtered.environ["lbg.raw_target"] == b"/a%2Fb?x=1"
    assert filtered.environ["wsgi.input"] is source
    assert "lbg.body_replaced" not in filtered.environ


def test_options_go_to_the_factory() -> None:
    def factory(app: App, *, header: str) -> App:
        return changing(lambda environ: environ.update({header: "1"}))(app)

    assert Filtered(factory, header="HTTP_X_A").ask().fields == [("X-A", "1")]


def test_a_header_that_was_set_goes_upstream() -> None:
    factory = changing(lambda environ: environ.update(HTTP_X_TENANT="blue", CONTENT_TYPE="text/css"))
    assert Filtered(factory).ask().fields == [("X-Tenant", "blue"), ("Content-Type", "text/css")]


def test_a_header_that_was_changed_takes_the_place_and_the_name_of_the_first() -> None:
    factory = changing(lambda environ: environ.update(HTTP_X_A="new"))
    sent = (("x-a", "1"), ("B", "b"), ("X-A", "2"), ("b", "c"))
    assert Filtered(factory).ask("/", *sent).fields == [("x-a", "new"), ("B", "b"), ("b", "c")]


def test_a_header_that_was_removed_is_removed_in_all_its_spellings() -> None:
    factory = changing(lambda environ: environ.pop("HTTP_X_USER"))
    sent = (("X-User", "1"), ("B", "b"), ("x-user", "2"), ("X_User", "3"))
    assert Filtered(factory).ask("/", *sent).fields == [("B", "b")]


def test_the_sender_cannot_have_a_header_removed_that_was_set() -> None:
    factory = changing(lambda environ: environ.update(HTTP_X_TENANT="blue"))
    filtered = Filtered(factory).ask("/", ("Connection", "close, X-Tenant"))
    assert filtered.fields == [("Connection", "close"), ("X-Tenant", "blue")]


def test_raw_fields_that_a_middleware_changed_itself_go_upstream() -> None:
    factory = changing(lambda environ: environ["lbg.headers"].append((b"X-Raw", b"1")))
    assert Filtered(factory).ask().fields == [("X-Raw", "1")]


@pytest.mark.parametrize("copy", [dict, lambda environ: {**environ}], ids=["dict", "display"])
def test_an_environ_that_was_copied_counts(copy: Callable[[Environ], Environ]) -> None:
    def factory(app: App) -> App:
        return lambda environ, start_response: app(copy(environ) | {"HTTP_X_A": "1"}, start_response)

    assert Filtered(factory).ask().fields == [("X-A", "1")]


def test_an_environ_that_was_built_anew_keeps_what_it_did_not_change() -> None:
    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
            anew = {key: value for key, value in environ.items() if not key.startswith("lbg.")}
            return app(anew | {"PATH_INFO": "/new", "HTTP_B": "c"}, start_response)

        return middleware

    filtered = Filtered(factory).ask("/old?x=1", ("x-a", "1"), ("B", "b"), ("x-a", "2"))
    assert filtered.fields == [("x-a", "1"), ("B", "c"), ("x-a", "2")]
    assert filtered.environ["lbg.raw_target"] == b"/new?x=1"
    assert filtered.environ["RAW_URI"] == "/new?x=1"
    assert filtered.environ["lbg.exchange"]


def test_under_a_server_without_raw_fields_changes_count_too() -> None:
    environ = whole(environ_of("/old", ("X-A", "1")))
    del environ["lbg.headers"], environ["lbg.raw_target"]
    factory = changing(lambda environ: environ.update(HTTP_X_B="2", PATH_INFO="/new"))
    filtered = Filtered(factory).serve(environ)
    assert sorted(filtered.fields) == [("X-A", "1"), ("X-B", "2")]
    assert filtered.environ["lbg.raw_target"] == b"/new"


@pytest.mark.parametrize(
    ("target", "change", "expected"),
    [
        ("/a%2fb//c?x=1", {"QUERY_STRING": "y=2"}, b"/a%2fb//c?y=2"),
        ("/a%2fb//c?x=1", {"QUERY_STRING": ""}, b"/a%2fb//c"),
        ("/a?x=%2f", {"PATH_INFO": "/b c"}, b"/b%20c?x=%2f"),
        ("/a", {"PATH_INFO": "/\xe9%?#"}, b"/%E9%25%3F%23"),
        ("/a", {"PATH_INFO": "/b\r\nX: y"}, b"/b%0D%0AX:%20y"),
        ("/a", {"SCRIPT_NAME": "/shop"}, b"/shop/a"),
        ("/a", {"SCRIPT_NAME": "/a", "PATH_INFO": ""}, b"/a"),
        ("/a", {"PATH_INFO": ""}, b"/"),
        ("/a", {"QUERY_STRING": "b=c d#\xe9\r\n"}, b"/a?b=c%20d%23%E9%0D%0A"),
        ("/a", {"lbg.raw_target": b"/b%2Fc"}, b"/b%2Fc"),
    ],
)
def test_a_new_path_or_query_makes_a_new_target(target: str, change: Environ, expected: bytes) -> None:
    filtered = Filtered(changing(lambda environ: environ.update(change))).ask(target)
    assert filtered.environ["lbg.raw_target"] == expected


def test_a_new_method_goes_on() -> None:
    filtered = Filtered(changing(lambda environ: environ.update(REQUEST_METHOD="PUT"))).ask()
    assert filtered.environ["REQUEST_METHOD"] == "PUT"


def test_a_pool_can_be_chosen() -> None:
    filtered = Filtered(changing(lambda environ: environ.update({"lbg.pool": "blue"}))).ask()
    assert filtered.environ["lbg.pool"] == "blue"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"HTTP_X_A": "1\r\nX-B: 2"}, "HTTP_X_A to a value with a line break"),
        ({"HTTP_X_A": "1\0"}, "line break or NUL"),
        ({"HTTP_X_A": "\u20ac"}, "beyond Latin-1"),
        ({"HTTP_X_A": 7}, "HTTP_X_A to int, expected str"),
        ({"HTTP_X A": "1"}, "names no header field"),
        ({"HTTP_X:": "1"}, "names no header field"),
        ({"HTTP_": "1"}, "names no header field"),
        ({"HTTP_CONTENT_LENGTH": "5"}, "CONTENT_LENGTH"),
        ({"CONTENT_TYPE": "a\nb"}, "line break"),
        ({"CONTENT_LENGTH": "five"}, "CONTENT_LENGTH to 'five'"),
        ({"CONTENT_LENGTH": "9" * 19}, "CONTENT_LENGTH"),
        ({"CONTENT_LENGTH": "\u0665"}, "CONTENT_LENGTH"),
        ({"HTTP_TRANSFER_ENCODING": "gzip, chunked"}, "HTTP_TRANSFER_ENCODING"),
        ({"PATH_INFO": "a"}, "does not begin with a slash"),
        ({"PATH_INFO": "/\u20ac"}, "PATH_INFO"),
        ({"QUERY_STRING": b"x"}, "QUERY_STRING"),
        ({"REQUEST_METHOD": "GET /x"}, "REQUEST_METHOD"),
        ({"REQUEST_METHOD": "CONNECT"}, "REQUEST_METHOD"),
        ({"lbg.raw_target": b"/ HTTP/1.1\r\nX: y"}, "lbg.raw_target"),
        ({"lbg.raw_target": "/a"}, "lbg.raw_target"),
        ({"lbg.headers": [(b"X", b"1\r\n")]}, "lbg.headers"),
        ({"lbg.headers": [(b"X:", b"1")]}, "lbg.headers"),
        ({"lbg.headers": [("X", "1")]}, "lbg.headers"),
    ],
)
def test_what_cannot_go_upstream_fails(change: Environ, words: str, caplog: pytest.LogCaptureFixture) -> None:
    filtered = Filtered(changing(lambda environ: environ.update(change))).ask()
    assert_failed(filtered, words, changing.__code__.co_filename, caplog=caplog)
    assert isinstance(filtered.inner, Inner)
    assert filtered.inner.seen == []


def test_raw_fields_that_a_middleware_changed_in_place_are_checked(caplog: pytest.LogCaptureFixture) -> None:
    factory = changing(lambda environ: environ["lbg.headers"].append((b"X-Raw", b"1\r\nX: y")))
    assert_failed(Filtered(factory).ask(), "lbg.headers", caplog=caplog)


def test_a_malformed_host_is_the_fault_of_the_request() -> None:
    filtered = Filtered(changing(lambda environ: environ.update(HTTP_HOST="a/b"))).ask()
    assert filtered.server.headers == [("X-Reason", "bad_request")]
    assert filtered.guard.failures == 0


def retrying(*changes: Environ) -> Callable[[App], App]:
    """Return the factory of a middleware that calls once for each of `changes`, made to the first environ."""

    def factory(app: App) -> App:
        def middleware(environ: Environ, start_response: Any) -> Iterable[bytes]:
            heads: list[Any] = []
            asked = environ.copy()
            for change in changes:
                for key in environ.keys() - asked.keys():
                    if not key.startswith("lbg."):
                        del environ[key]
                environ |= {key: value for key, value in asked.items() if not key.startswith("lbg.")} | change
                result = app(environ, lambda *head: heads.append(head))
            start_response(*heads[-1])
            return result

        return middleware

    return factory


def test_a_middleware_that_calls_twice_begins_with_the_same_request() -> None:
    inner = Inner()
    first = {"PATH_INFO": "/b", "HTTP_X_A": "b", "HTTP_X_B": "b"}
    filtered = Filtered(retrying(first, {"PATH_INFO": "/c"}), inner)
    filtered.ask("/a?b", ("X-A", "1"), ("x-a", "2"))
    assert filtered.server.body == b"hello world"
    assert inner.seen[-1]["lbg.raw_target"] == b"/c?b"
    assert inner.seen[-1]["lbg.headers"] == [(b"Host", b"a"), (b"X-A", b"1"), (b"x-a", b"2")]


def test_a_second_call_with_the_first_path_has_no_target_of_the_first() -> None:
    environ = whole(environ_of("/a"))
    del environ["lbg.headers"], environ["lbg.raw_target"]
    inner = Inner()
    Filtered(retrying({"PATH_INFO": "/b"}, {}), inner).serve(environ)
    assert "lbg.raw_target" not in inner.seen[-1]
    assert inner.seen[-1]["RAW_URI"] == "/a"
