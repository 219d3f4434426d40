"""Request bodies that a user's middleware reads, replaces or leaves alone."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest

from tests.unit.filters.around import environ_of
from tests.unit.filters.user_filter import Environ, Filtered, assert_failed, changing, whole

POST: Environ = {"method": "POST", "body": b"hello"}
LENGTH = ("Content-Length", "5")
CHUNKED = ("Transfer-Encoding", "chunked")


def test_a_body_that_nobody_touched_is_the_one_of_the_server() -> None:
    environ = whole(environ_of("/", LENGTH, **POST))
    source = environ["wsgi.input"]
    filtered = Filtered(changing(lambda environ: environ.update(HTTP_X_A="1"))).serve(environ)
    assert filtered.environ["wsgi.input"] is source
    assert ("Content-Length", "5") in filtered.fields


def test_a_body_that_was_read_and_not_put_back_fails(caplog: pytest.LogCaptureFixture) -> None:
    filtered = Filtered(changing(lambda environ: environ["wsgi.input"].read(1))).ask("/", LENGTH, **POST)
    assert_failed(filtered, "read of the request body", caplog=caplog)


def replace(body: bytes, **more: str) -> Callable[[Environ], None]:
    """Return a change that reads the body and puts another in place."""

    def change(environ: Environ) -> None:
        environ["wsgi.input"].read()
        environ |= {"wsgi.input": BytesIO(body), **more}

    return change


def test_a_new_body_has_the_length_that_is_said() -> None:
    filtered = Filtered(changing(replace(b"hello world", CONTENT_LENGTH="11")))
    filtered.ask("/", LENGTH, **POST)
    assert filtered.environ["wsgi.input"].read(65536) == b"hello world"
    assert filtered.fields == [("Content-Length", "11")]
    assert filtered.environ["lbg.body_replaced"] is True


def test_a_length_replaces_the_transfer_coding() -> None:
    filtered = Filtered(changing(replace(b"hello", CONTENT_LENGTH="5"))).ask("/", CHUNKED, **POST)
    assert filtered.fields == [("Content-Length", "5")]
    assert "HTTP_TRANSFER_ENCODING" not in filtered.environ


def test_a_new_body_without_a_length_is_chunked() -> None:
    def change(environ: Environ) -> None:
        replace(b"anything")(environ)
        del environ["CONTENT_LENGTH"]

    filtered = Filtered(changing(change)).ask("/", LENGTH, **POST)
    assert filtered.fields == [("Transfer-Encoding", "chunked")]
    assert filtered.environ["wsgi.input"].read(65536) == b"anything"


def test_a_new_body_in_place_of_a_chunked_one_is_chunked() -> None:
    filtered = Filtered(changing(replace(b"anything"))).ask("/", CHUNKED, **POST)
    assert filtered.fields == [("Transfer-Encoding", "chunked")]


EXPECT = ("Expect", "100-continue")


def test_a_body_that_was_read_is_not_asked_for_again() -> None:
    filtered = Filtered(changing(replace(b"hello"))).ask("/", LENGTH, EXPECT, **POST)
    assert filtered.fields == [("Content-Length", "5")]
    assert "HTTP_EXPECT" not in filtered.environ


def test_a_wrapped_input_that_nobody_read_is_asked_for_yet() -> None:
    class Wrapped:
        def __init__(self, source: Any) -> None:
            self.read = source.read

    def wrap(environ: Environ) -> None:
        environ["wsgi.input"] = Wrapped(environ["wsgi.input"])

    filtered = Filtered(changing(wrap)).ask("/", LENGTH, EXPECT, **POST)
    assert EXPECT in filtered.fields
    assert filtered.environ["HTTP_EXPECT"] == "100-continue"


def test_a_wrapped_input_of_a_request_without_a_body_makes_none() -> None:
    filtered = Filtered(changing(lambda environ: environ.update({"wsgi.input": BytesIO()}))).ask()
    assert filtered.fields == []


def test_a_request_without_a_body_can_be_given_one() -> None:
    factory = changing(lambda environ: environ.update({"wsgi.input": BytesIO(b"new"), "CONTENT_LENGTH": "3"}))
    filtered = Filtered(factory).ask()
    assert filtered.fields == [("Content-Length", "3")]
    assert filtered.environ["wsgi.input"].read() == b"new"


def test_the_rest_of_a_body_can_go_on_under_its_own_length() -> None:
    def change(environ: Environ) -> None:
        assert environ["wsgi.input"].read(2) == b"he"
        environ["CONTENT_LENGTH"] = "3"

    filtered = Filtered(changing(change)).ask("/", LENGTH, **POST)
    assert filtered.fields == [("Content-Length", "3")]
    assert filtered.environ["wsgi.input"].read(65536) == b"llo"


def test_a_body_whose_length_was_taken_away_goes_on_chunked() -> None:
    filtered = Filtered(changing(lambda environ: environ.pop("CONTENT_LENGTH"))).ask("/", LENGTH, **POST)
    assert filtered.environ["wsgi.input"].read(65536) == b"hello"
    assert filtered.fields == [("Transfer-Encoding", "chunked")]


class Broken:
    """An input that fails."""

    def read(self, size: int = -1) -> bytes:
        """Fail."""
        raise OSError("no disk")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (BytesIO(b"hell"), "gave fewer bytes of request body than its CONTENT_LENGTH says"),
        (Broken(), "OSError: no disk"),
        (iter(()), "AttributeError"),
    ],
)
def test_an_input_that_fails_is_the_failure_of_the_middleware(
    source: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    def reading(environ: Environ, start_response: Any) -> Iterable[bytes]:
        while environ["wsgi.input"].read(4):
            pass
        raise AssertionError

    change = {"wsgi.input": source, "CONTENT_LENGTH": "5"}
    filtered = Filtered(changing(lambda environ: environ.update(change)), reading).ask("/", LENGTH, **POST)
    assert_failed(filtered, words, caplog=caplog)
