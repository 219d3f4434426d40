"""What a lease tells the latency of its endpoint, in pools that measure, for each way a request can go."""

from collections.abc import Callable

import gevent
import pytest

from lbg.balancing.latency import Latency
from lbg.errors import ClientGone, Sent, UpstreamError
from lbg.http.headers import Fields
from lbg.net.stream import Stream
from lbg.upstream.body import RequestBody
from lbg.upstream.request import UpstreamRequest
from tests.unit.upstream.inputs import Arriving, Waiting
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import (
    OK,
    Answer,
    ScriptedEndpoint,
    answering,
    closing,
    read_head,
    stale_then,
)

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
OURS = UpstreamError("connect_refused", "no file descriptors left", sent=Sent.NOTHING, blameless=True)
BEGAN = 100.0


class Clock:
    """The time as the measuring sees it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = BEGAN
        monkeypatch.setattr("lbg.upstream.timing.monotonic", lambda: self.now)

    def after(self, seconds: float, answer: Answer) -> Answer:
        """Return a behaviour that shows only after the whole head has come, and so many seconds."""

        def later(stream: Stream) -> None:
            read_head(stream)
            self.now += seconds
            answer(stream)

        return later


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def sending(response: bytes) -> Answer:
    return lambda stream: stream.send(response)


def hanging_up(stream: Stream) -> None:
    stream.close()


def measured(fleet: Fleet, *answers: Answer | UpstreamError) -> tuple[ScriptedEndpoint, Latency]:
    endpoint = fleet.endpoint(*answers)
    latency = endpoint.latency = Latency()
    return endpoint, latency


def ask(endpoint: ScriptedEndpoint, request: UpstreamRequest | None = None) -> None:
    """Let a request take its way to the end, whichever that is."""
    lease = pool_of(endpoint).acquire(request_for(), [], 0.0)
    try:
        b"".join(lease.exchange(request or request_for(), fresh=False))
    except (UpstreamError, ClientGone):
        pass


@pytest.mark.parametrize(
    ("answer", "cost"),
    [
        (sending(OK), 2.0),
        (sending(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), 2.0),
        (sending(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), 5.0),
        (sending(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\nRetry-After: 30\r\n\r\n"), 30.0),
        (sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), 5.0),
        (hanging_up, 5.0),
    ],
)
def test_how_a_request_went_is_taken_in_once(fleet: Fleet, clock: Clock, answer: Answer, cost: float) -> None:
    endpoint, latency = measured(fleet, clock.after(2.0, answer))
    ask(endpoint)
    assert (latency.at(clock.now), latency.asked) == (cost, 0)


def test_only_the_time_to_the_head_counts(fleet: Fleet, clock: Clock) -> None:
    def answer(stream: Stream) -> None:
        read_head(stream)
        clock.now += 2.0
        stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo")
        stream.flush()
        gevent.idle()
        clock.now += 60.0
        stream.send(b"dy")

    endpoint, latency = measured(fleet, answer)
    ask(endpoint)
    assert clock.now == BEGAN + 62.0
    assert latency.at(BEGAN + 2.0) == 2.0


def test_a_body_that_is_cut_counts_as_a_failure(fleet: Fleet, clock: Clock) -> None:
    response = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"
    endpoint, latency = measured(fleet, answering(response, close=True))
    ask(endpoint)
    assert (latency.at(clock.now), latency.asked) == (5.0, 0)


def test_an_endpoint_that_refuses_is_measured_by_that(fleet: Fleet, clock: Clock) -> None:
    endpoint, latency = measured(fleet, REFUSED)
    ask(endpoint)
    assert (latency.at(clock.now), latency.asked) == (5.0, 0)


def test_a_fault_of_our_own_tells_nothing(fleet: Fleet, clock: Clock) -> None:
    endpoint, latency = measured(fleet, OURS)
    ask(endpoint)
    assert (latency.at(clock.now), latency.asked) == (0.0, 0)


def test_a_kept_connection_that_was_closed_tells_nothing(fleet: Fleet, clock: Clock) -> None:
    endpoint, latency = measured(fleet, stale_then(OK))
    ask(endpoint)
    before = latency.at(clock.now)
    ask(endpoint)
    assert (latency.at(clock.now), latency.asked) == (before, 0)


def test_a_client_that_leaves_has_waited_at_least_so_long(fleet: Fleet, clock: Clock) -> None:
    def left(status: int, fields: Fields) -> None:
        raise ClientGone("left")

    endpoint, latency = measured(fleet, clock.after(8.0, sending(b"HTTP/1.1 103 Early Hints\r\n\r\n")))
    request = request_for()
    request.on_interim = left
    ask(endpoint, request)
    assert (latency.at(clock.now), latency.asked) == (8.0, 0)


def test_a_rescued_request_counts_as_a_failure(fleet: Fleet, clock: Clock) -> None:
    endpoint, latency = measured(fleet, clock.after(2.0, lambda stream: gevent.sleep(60)))
    lease = pool_of(endpoint).acquire(request_for(), [], 0.0)

    def exchange() -> None:
        with pytest.raises(UpstreamError):
            lease.exchange(request_for(), fresh=False)

    waiting = gevent.spawn(exchange)
    while clock.now == BEGAN:
        gevent.idle()
    lease.rescue()
    waiting.get()
    assert (latency.at(clock.now), latency.asked) == (5.0, 0)


def with_body(source: Arriving | Waiting, length: int) -> UpstreamRequest:
    request = request_for("POST")
    request.body = RequestBody(source, length, buffer=1000)
    return request


def test_the_time_a_client_takes_to_send_its_body_does_not_count(fleet: Fleet, clock: Clock) -> None:
    source = Waiting()

    def answer(stream: Stream) -> None:
        read_head(stream)
        clock.now += 30.0
        source.queue.put(b"body")
        source.queue.put(b"")
        assert stream.recv(100) == b"body"
        clock.now += 2.0
        stream.send(OK)

    endpoint, latency = measured(fleet, answer)
    ask(endpoint, with_body(source, 4))
    assert latency.at(clock.now) == 2.0


def test_a_body_that_came_with_its_head_is_sent_at_once(fleet: Fleet, clock: Clock) -> None:
    endpoint, latency = measured(fleet, clock.after(2.0, sending(OK)))
    ask(endpoint, with_body(Arriving(b"body", came=True), 4))
    assert latency.at(clock.now) == 2.0


@pytest.mark.parametrize(("status", "cost"), [(b"413 Too Large", 0.0), (b"503 Busy", 5.0)])
def test_an_answer_before_the_body_tells_only_of_failure(
    fleet: Fleet, clock: Clock, status: bytes, cost: float
) -> None:
    response = b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status
    endpoint, latency = measured(fleet, clock.after(2.0, sending(response)))
    ask(endpoint, with_body(Waiting(), 4))
    assert (latency.at(clock.now), latency.asked) == (cost, 0)


def test_a_request_under_way_is_known_until_its_head_has_come(fleet: Fleet) -> None:
    asked: list[int] = []

    def noting(answer: Callable[[Stream], object]) -> Answer:
        def note(stream: Stream) -> None:
            asked.append(latency.asked)
            answer(stream)

        return note

    endpoint, latency = measured(fleet, noting(answering(OK)), noting(closing))
    ask(endpoint)
    lease = pool_of(endpoint).acquire(request_for(), [], 0.0)
    with pytest.raises(UpstreamError):
        lease.exchange(request_for(), fresh=True)
    assert (asked, latency.asked) == ([1, 1], 0)


def test_a_pool_that_does_not_measure_has_nothing_to_tell(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK))
    ask(endpoint)
    assert endpoint.latency is None
