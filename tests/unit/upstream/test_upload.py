"""Bodies written upstream while the response is awaited."""

from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO

import gevent
import pytest

from lbg.config.pools import TimeoutsConfig
from lbg.errors import ClientGone, RequestError, StreamTimeout
from lbg.net.deadline import NEVER
from lbg.net.stream import Stream
from lbg.upstream.body import RequestBody, Upload
from tests.unit.net.stream_pair import fill, overdue, read_all, read_exactly, stream_pair
from tests.unit.upstream.inputs import Waiting


@pytest.fixture
def pair() -> Iterator[tuple[Stream, Stream]]:
    with stream_pair() as ends:
        yield ends


def upload(source: BytesIO, length: int | None, stream: Stream, *, expects: bool = False) -> Upload:
    timeouts = TimeoutsConfig(idle=11.0, response=22.0)
    return Upload(RequestBody(source, length, buffer=0), stream, timeouts, expects=expects)


def finish(running: Upload) -> None:
    """Wait for the end of the upload."""
    while running.unfinished:
        gevent.idle()


def test_a_body_of_known_length_goes_as_it_is(pair: tuple[Stream, Stream]) -> None:
    finish(upload(BytesIO(b"x" * 100_000), 100_000, pair[0]))
    assert read_exactly(pair[1], 100_000) == b"x" * 100_000


def test_a_body_without_a_length_goes_in_chunks(pair: tuple[Stream, Stream]) -> None:
    finish(upload(BytesIO(b"abc"), None, pair[0]))
    pair[0].end_writing()
    assert read_all(pair[1]) == b"3\r\nabc\r\n0\r\n\r\n"


def test_each_piece_goes_as_it_comes(pair: tuple[Stream, Stream]) -> None:
    source = Waiting()
    running = upload(source, 5, pair[0])
    source.queue.put(b"ab")
    assert read_exactly(pair[1], 2) == b"ab"
    assert running.unfinished
    source.queue.put(b"cde")
    source.queue.put(b"")
    finish(running)
    assert read_exactly(pair[1], 3) == b"cde"


def test_the_endpoint_has_no_deadline_while_the_client_is_awaited(pair: tuple[Stream, Stream]) -> None:
    running = upload(Waiting(), 5, pair[0])
    gevent.idle()
    assert pair[0].deadline == NEVER
    running.stop()


def test_the_response_is_due_once_the_body_is_written(
    pair: tuple[Stream, Stream], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.upstream.body.monotonic", lambda: 1000.0)
    finish(upload(BytesIO(b"abc"), 3, pair[0]))
    assert pair[0].deadline == 1022.0


def test_an_answered_upload_leaves_the_deadline_to_the_response(pair: tuple[Stream, Stream]) -> None:
    source = Waiting()
    running = upload(source, 3, pair[0])
    gevent.idle()
    running.answered = True
    pair[0].deadline = 77.0
    source.queue.put(b"abc")
    source.queue.put(b"")
    finish(running)
    assert pair[0].deadline == 77.0


@pytest.mark.parametrize("fault", [ClientGone("left"), RequestError("bad_request", "bad chunk")])
def test_what_the_client_does_wrong_is_kept_and_ends_the_connection(
    pair: tuple[Stream, Stream], fault: Exception
) -> None:
    source = Waiting()
    running = upload(source, None, pair[0])
    source.queue.put(fault)
    finish(running)
    assert running.failure is fault
    assert read_all(pair[1]) == b""


def test_what_the_client_does_wrong_ends_the_wait_for_the_response(pair: tuple[Stream, Stream]) -> None:
    source = Waiting()
    reading = gevent.spawn(pair[0].recv, 10)
    gevent.idle()
    running = upload(source, None, pair[0])
    source.queue.put(ClientGone("left"))
    finish(running)
    with suppress(StreamTimeout):
        assert reading.get() == b""


def test_an_endpoint_that_takes_no_more_is_left_to_the_reader(pair: tuple[Stream, Stream]) -> None:
    pair[1].close()
    running = upload(BytesIO(b"x" * 100_000), 100_000, pair[0])
    finish(running)
    assert running.failure is None
    assert not pair[0].closed


def test_an_endpoint_that_stops_reading_is_left_to_the_reader(pair: tuple[Stream, Stream]) -> None:
    fill(pair[0])
    running = upload(BytesIO(b"x" * 100_000), 100_000, pair[0])
    gevent.idle()
    overdue(pair[0])
    finish(running)
    assert running.failure is None
    assert not pair[0].closed


def test_a_client_that_expects_100_is_given_a_moment(pair: tuple[Stream, Stream]) -> None:
    source = Waiting()
    running = upload(source, 3, pair[0], expects=True)
    gevent.idle()
    assert source.waits == [1.0]
    running.stop()
    finish(running)


def test_a_stopped_upload_writes_no_more(pair: tuple[Stream, Stream]) -> None:
    source = Waiting()
    running = upload(source, 5, pair[0])
    gevent.idle()
    running.stop()
    finish(running)
    source.queue.put(b"late")
    gevent.idle()
    assert pair[1].peek() is None
