"""Request bodies that are kept while they are read."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.errors import ClientGone
from lbg.filters.tee import TeeInput, TeeStream, tee
from lbg.upstream.body import RequestBody
from tests.unit.upstream.inputs import Arriving

BODY = b"one\ntwo\nthree"
Done = list[bytes | None]


def kept(source: Any, length: int | None = len(BODY), limit: int = 100) -> tuple[TeeInput, Done]:
    """Return a tee and what it hands on."""
    done: Done = []
    return tee(source, length, limit, done.append), done


@pytest.mark.parametrize("length", [len(BODY), None])
@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(),
        lambda body: body.read(-1),
        lambda body: body.read(None),
        lambda body: b"".join(iter(lambda: body.read(4), b"")),
        lambda body: b"".join(iter(body.readline, b"")),
        lambda body: b"".join(iter(lambda: body.readline(2), b"")),
        lambda body: b"".join(body.readlines()),
        b"".join,
    ],
)
def test_the_body_is_handed_on_once_however_it_is_read(
    read: Callable[[TeeInput], bytes], length: int | None
) -> None:
    body, done = kept(BytesIO(BODY), length)
    assert read(body) == BODY
    assert body.read() == b""
    assert done == [BODY]


@pytest.mark.parametrize("size", [-1, None])
def test_a_chunked_body_that_is_read_in_one_is_handed_on_at_once(size: int | None) -> None:
    body, done = kept(BytesIO(BODY), length=None)
    body.read(size)
    assert done == [BODY]


@pytest.mark.parametrize("length", [len(BODY), None])
@pytest.mark.parametrize(
    "read",
    [
        lambda body: body.read(0),
        lambda body: body.read(5),
        lambda body: body.readlines(1),
        lambda body: body.readline(0),
    ],
)
def test_a_body_that_is_not_read_to_its_end_is_not_handed_on(
    read: Callable[[TeeInput], object], length: int | None
) -> None:
    body, done = kept(BytesIO(BODY), length)
    read(body)
    assert done == []


def test_a_body_of_known_length_is_handed_on_with_its_last_byte() -> None:
    body, done = kept(BytesIO(BODY))
    body.read(len(BODY) - 1)
    assert done == []
    body.read(1)
    assert done == [BODY]


@pytest.mark.parametrize("read", [lambda body: body.read(), lambda body: [body.read(100), body.read(100)]])
def test_a_body_that_ends_early_is_not_handed_on(read: Callable[[TeeInput], object]) -> None:
    body, done = kept(BytesIO(BODY), length=len(BODY) + 1)
    read(body)
    assert done == []


@pytest.mark.parametrize(("limit", "handed"), [(len(BODY), [BODY]), (len(BODY) - 1, [None]), (0, [None])])
@pytest.mark.parametrize("length", [len(BODY), None])
def test_a_body_above_the_limit_is_not_kept(limit: int, handed: Done, length: int | None) -> None:
    body, done = kept(BytesIO(BODY), length, limit)
    assert b"".join(iter(lambda: body.read(4), b"")) == BODY
    assert done == handed
    assert body._kept == []


def test_our_servers_input_gives_its_bytes_as_they_come() -> None:
    body, done = kept(Arriving(b"bo", b"dy"), length=None)
    assert isinstance(body, TeeStream)
    assert (body.read_some(), body.read_some(), done) == (b"bo", b"dy", [])
    assert (body.read_some(), done) == (b"", [b"body"])


def test_a_body_that_came_already_is_handed_on_at_once() -> None:
    body, done = kept(Arriving(b"bo", b"dy", came=True), length=None)
    assert isinstance(body, TeeStream)
    assert (body.ready(), done) == (b"body", [b"body"])


def test_a_body_that_has_not_come_yet_is_not_ready() -> None:
    body, done = kept(Arriving(b"body"), length=4)
    assert isinstance(body, TeeStream)
    assert (body.ready(), done) == (None, [])


def test_another_servers_input_is_not_taken_for_ours() -> None:
    body, _ = kept(BytesIO(BODY))
    assert not hasattr(body, "read_some")
    assert not hasattr(body, "ready")


def test_trailers_and_waits_are_those_of_the_input() -> None:
    class Source(Arriving):
        waited = 0.0
        continued = 0
        complete = True

        def wait_for_bytes(self, seconds: float) -> None:
            self.waited = seconds

        def answer_continue(self) -> None:
            self.continued += 1

    source = Source(trailers=[(b"X-T", b"1")])
    body, _ = kept(source)
    assert isinstance(body, TeeStream)
    body.wait_for_bytes(1.5)
    body.answer_continue()
    assert (body.trailers, body.complete) == ([(b"X-T", b"1")], True)
    assert (source.waited, source.continued) == (1.5, 1)


def test_what_the_client_does_wrong_passes_and_nothing_is_handed_on() -> None:
    class Source(Arriving):
        def read_some(self) -> bytes:
            raise ClientGone("left")

    body, done = kept(Source())
    assert isinstance(body, TeeStream)
    with pytest.raises(ClientGone):
        body.read_some()
    assert done == []


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.booleans(),
    st.booleans(),
    st.integers(0, 200),
)
def test_a_forwarded_body_is_handed_on_as_it_went(
    pieces: list[bytes], came: bool, chunked: bool, limit: int
) -> None:
    whole = b"".join(pieces)
    length = None if chunked else len(whole)
    done: Done = []
    body = RequestBody(tee(Arriving(*pieces, came=came), length, limit, done.append), length, 1000)
    sent = body.ready()
    if sent is None:
        sent = b"".join(iter(body.read_some, b""))
        assert sent == whole
    assert done == [whole if len(whole) <= limit else None]
