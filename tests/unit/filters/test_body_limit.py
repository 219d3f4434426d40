"""Request bodies larger than a route takes."""

from collections.abc import Callable, Iterable
from io import BytesIO
from typing import Any

import pytest

from lbg.errors import RequestError
from lbg.filters.body_limit import LimitedInput, LimitedStream
from lbg.server.body import EMPTY
from lbg.upstream.body import RequestBody
from tests.unit.filters.around import Environ, Filtered, environ_of

CHUNKED = ("Transfer-Encoding", "chunked")


class Piecewise:
    """An input such as our server's, that gives these pieces."""

    trailers = ((b"X-T", b"1"),)

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.calls: list[Any] = []

    complete = property(lambda self: not self.pieces)

    def ready(self) -> bytes | None:
        return b"".join(self.pieces) if len(self.pieces) < 2 else None

    def read_some(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def wait_for_bytes(self, seconds: float) -> None:
        self.calls.append(seconds)

    def answer_continue(self) -> None:
        self.calls.append("continue")


def _by_length(length: str) -> tuple[int, str, list[Environ]]:
    filtered = Filtered({"use": "body_limit", "limit": 10})
    answer = filtered.ask("/", ("Content-Length", length), method="POST", body=b"x" * 30)
    return answer.code, answer.reason, filtered.seen


@pytest.mark.parametrize("length", ["11", "30", "00011", "9" * 5000, str(2**64)])
def test_a_longer_body_is_refused_before_it_goes_anywhere(length: str) -> None:
    assert _by_length(length) == (413, "body_too_large", [])


@pytest.mark.parametrize("length", ["0", "10", "00010"])
def test_a_body_within_the_limit_passes_untouched(length: str) -> None:
    code, _, (environ,) = _by_length(length)
    assert code == 200
    assert isinstance(environ["wsgi.input"], BytesIO)


@pytest.mark.parametrize("length", ["\xb2", "-1", "1_0", " ", "x", "11, 11"])
def test_what_is_no_length_is_for_others_to_refuse(length: str) -> None:
    assert _by_length(length)[0] == 200


def test_a_request_without_a_body_passes() -> None:
    environ = environ_of("/")
    environ["wsgi.input"] = EMPTY
    filtered = Filtered({"use": "body_limit", "limit": 1})
    assert filtered.call(environ).code == 200
    assert filtered.seen[0]["wsgi.input"] is EMPTY


def test_nothing_is_read_of_a_body_that_is_refused() -> None:
    environ = environ_of("/", ("Content-Length", "11"), ("Expect", "100-continue"), method="POST")
    source = environ["wsgi.input"] = Piecewise(b"x" * 11)
    assert Filtered({"use": "body_limit", "limit": 10}).call(environ).code == 413
    assert (source.calls, len(source.pieces)) == ([], 1)


def _chunked(source: Any, take: Callable[[Any], Any], limit: int = 10) -> Any:
    """Return what `take` gets out of the input of a chunked request."""
    taken: list[Any] = []

    def answer(environ: Environ) -> Iterable[bytes]:
        taken.append(take(environ["wsgi.input"]))
        return [b"ok"]

    environ = environ_of("/", CHUNKED, method="POST")
    environ["wsgi.input"] = source
    Filtered({"use": "body_limit", "limit": limit}, answer=answer).call(environ)
    return taken[0]


READS: dict[str, Callable[[Any], bytes]] = {
    "read": lambda source: source.read(),
    "read None": lambda source: source.read(None),
    "read 3": lambda source: b"".join(iter(lambda: source.read(3), b"")),
    "read much": lambda source: source.read(10**9),
    "readline": lambda source: b"".join(iter(source.readline, b"")),
    "readline 2": lambda source: b"".join(iter(lambda: source.readline(2), b"")),
    "readlines": lambda source: b"".join(source.readlines()),
    "iteration": b"".join,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("body", [b"", b"x" * 10, b"ab\ncd\n\nef\n"])
def test_a_chunked_body_within_the_limit_is_read_whole(read: Callable[[Any], bytes], body: bytes) -> None:
    assert _chunked(BytesIO(body), read) == body


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("body", [b"x" * 11, b"x" * 10_000, b"ab\ncd\n\nef\ng"])
def test_a_chunked_body_ends_with_an_error_once_it_passes_the_limit(
    read: Callable[[Any], bytes], body: bytes
) -> None:
    with pytest.raises(RequestError, match="larger than 10 bytes") as raised:
        _chunked(BytesIO(body), read)
    assert raised.value.status == 413


def test_no_more_than_a_byte_beyond_the_limit_is_read() -> None:
    source = BytesIO(b"x" * 10_000)
    with pytest.raises(RequestError):
        LimitedInput(source, 10).read()
    assert source.tell() == 11


@pytest.mark.parametrize("size", [-1, 0, 5])
def test_a_body_that_passed_the_limit_gives_nothing_more(size: int) -> None:
    limited = LimitedStream(Piecewise(b"x" * 100), 10)
    for _ in range(3):
        with pytest.raises(RequestError):
            limited.read_some()
    rest = BytesIO(b"x" * 100)
    limited._source = rest
    for take in (limited.read, limited.readline):
        with pytest.raises(RequestError):
            take(size)
    assert rest.tell() == 0


def test_pieces_of_our_server_are_counted_as_they_come() -> None:
    limited = LimitedStream(Piecewise(b"12345", b"67890", b"x"), 10)
    assert (limited.read_some(), limited.read_some()) == (b"12345", b"67890")
    with pytest.raises(RequestError):
        limited.read_some()


def test_a_whole_body_of_our_server_is_counted() -> None:
    assert LimitedStream(Piecewise(b"x" * 10), 10).ready() == b"x" * 10
    assert LimitedStream(Piecewise(b"x", b"y"), 10).ready() is None
    with pytest.raises(RequestError):
        LimitedStream(Piecewise(b"x" * 11), 10).ready()


def test_the_rest_of_our_servers_input_is_there() -> None:
    source = Piecewise(b"x")
    limited = _chunked(source, lambda each: each)
    limited.wait_for_bytes(1.0)
    limited.answer_continue()
    assert source.calls == [1.0, "continue"]
    assert (limited.trailers, limited.complete) == (source.trailers, False)


def test_upstream_takes_either_for_what_it_is() -> None:
    assert _chunked(Piecewise(b"x"), lambda source: RequestBody(source, None, 10).is_ours) is True
    assert _chunked(BytesIO(b"x"), lambda source: RequestBody(source, None, 10).is_ours) is False
