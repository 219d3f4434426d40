"""The request body: read once, sent as often as the buffer allows."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import ClientGone
from lbg.net import splice
from lbg.upstream.body import RequestBody
from tests.unit.net.scripted_stream import ScriptedStream, as_stream
from tests.unit.upstream.inputs import Arriving


def read_all(body: RequestBody) -> bytes:
    """Return the rest of `body`."""
    data = b""
    while more := body.read_some():
        data += more
    return data


@pytest.mark.parametrize("length", [10, None])
def test_a_plain_input_is_read_to_its_end(length: int | None) -> None:
    assert read_all(RequestBody(BytesIO(b"0123456789"), length, buffer=100)) == b"0123456789"


def test_no_more_than_the_length_is_read_from_a_plain_input() -> None:
    source = BytesIO(b"0123456789next request")
    assert read_all(RequestBody(source, 10, buffer=100)) == b"0123456789"
    assert source.read() == b"next request"


def test_a_plain_input_is_read_in_bounded_pieces() -> None:
    body = RequestBody(BytesIO(b"x" * 200_000), 200_000, buffer=0)
    assert len(body.read_some()) <= 65536


def test_a_plain_input_that_ends_early_means_the_client_left() -> None:
    body = RequestBody(BytesIO(b"01234"), 10, buffer=100)
    assert body.read_some() == b"01234"
    with pytest.raises(ClientGone):
        body.read_some()


def test_a_plain_input_that_fails_means_the_client_left() -> None:
    class Failing:
        def read(self, size: int, /) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ClientGone):
        RequestBody(Failing(), 10, buffer=100).read_some()


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8), st.integers(0, 60), st.integers(0, 8))
def test_a_body_is_replayable_exactly_while_it_fits_the_buffer(
    pieces: list[bytes], buffer: int, read: int
) -> None:
    body = RequestBody(Arriving(*pieces), None, buffer)
    got = b"".join(body.read_some() for _ in range(read))
    assert body.replayable is (len(got) <= buffer)
    if body.replayable:
        body.rewind()
        assert read_all(body) == b"".join(pieces)


@settings(deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=20), max_size=8), st.lists(st.integers(0, 8), max_size=4))
def test_each_try_sends_the_same_bytes_wherever_the_one_before_stopped(
    pieces: list[bytes], stops: list[int]
) -> None:
    body = RequestBody(Arriving(*pieces), None, buffer=1000)
    for stop in stops:
        begun = b"".join(body.read_some() for _ in range(stop))
        assert b"".join(pieces).startswith(begun)
        body.rewind()
    assert read_all(body) == b"".join(pieces)


def test_a_body_over_the_buffer_is_read_on_to_its_end() -> None:
    body = RequestBody(Arriving(b"123", b"456", b"789"), None, buffer=4)
    assert (read_all(body), body.replayable) == (b"123456789", False)


def test_a_body_that_came_with_its_head_is_ready_whole() -> None:
    body = RequestBody(Arriving(b"ab", b"c", came=True), 3, buffer=100)
    assert body.ready() == b"abc"
    body.rewind()
    assert read_all(body) == b"abc"


def test_a_chunked_body_that_came_is_ready_in_frames_and_replayed_without() -> None:
    body = RequestBody(Arriving(b"ab", b"c", came=True, trailers=[(b"X-T", b"1")]), None, buffer=100)
    assert body.ready() == b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
    body.rewind()
    assert body.read_some() == b"abc"


def test_an_empty_chunked_body_is_its_last_chunk() -> None:
    assert RequestBody(Arriving(came=True), None, buffer=100).ready() == b"0\r\n\r\n"


def test_a_body_under_way_is_not_ready() -> None:
    assert RequestBody(Arriving(b"ab"), 2, buffer=100).ready() is None
    assert RequestBody(BytesIO(b"ab"), 2, buffer=100).ready() is None


def test_a_body_that_was_begun_is_not_ready_any_more() -> None:
    body = RequestBody(Arriving(b"ab", came=True), 2, buffer=100)
    body.read_some()
    body.rewind()
    assert body.ready() is None


def test_a_ready_body_over_the_buffer_cannot_be_replayed() -> None:
    body = RequestBody(Arriving(b"abc", came=True), 3, buffer=2)
    assert (body.ready(), body.replayable) == (b"abc", False)


def test_the_end_of_a_chunked_body_has_the_trailers_that_may_pass() -> None:
    source = Arriving(trailers=[(b"X-T", b"1"), (b"Host", b"evil"), (b"x_u", b"1")])
    assert RequestBody(source, None, buffer=0).end() == b"0\r\nX-T: 1\r\n\r\n"
    assert RequestBody(BytesIO(), None, buffer=0).end() == b"0\r\n\r\n"


LARGE = 4 * splice.WORTHWHILE


def relay(body: RequestBody) -> int:
    """Relay to a stream that stays empty."""
    return body.relay_to(as_stream(ScriptedStream()), 7.0)


def test_a_large_body_of_known_length_is_relayed_and_gone_then() -> None:
    source = Arriving(b"x" * LARGE)
    body = RequestBody(source, LARGE, buffer=splice.WORTHWHILE)
    assert (relay(body), source.relayed, body.replayable) == (LARGE, [7.0], False)


def test_the_rest_of_a_large_body_is_relayed_once_what_was_read_is_sent() -> None:
    body = RequestBody(Arriving(b"abc", b"x" * (LARGE - 3)), LARGE, buffer=1000)
    body.read_some()
    body.rewind()
    assert relay(body) == 0
    assert body.read_some() == b"abc"
    assert relay(body) == LARGE - 3


@pytest.mark.parametrize(
    ("length", "buffer"),
    [(None, 0), (splice.WORTHWHILE - 1, 0), (LARGE, LARGE + 1)],
    ids=["chunked", "small", "fits the buffer"],
)
def test_other_bodies_are_not_relayed(length: int | None, buffer: int) -> None:
    source = Arriving(b"x" * (length or LARGE))
    assert relay(RequestBody(source, length, buffer)) == 0
    assert source.relayed == []


def test_a_plain_input_is_never_relayed() -> None:
    assert relay(RequestBody(BytesIO(b"x" * LARGE), LARGE, buffer=0)) == 0
