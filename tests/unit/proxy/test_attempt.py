"""One endpoint after another, as the retry table allows."""

from collections.abc import Callable, Iterator
from io import BytesIO

import pytest

from lbg.errors import LocalReply, Sent, UpstreamError
from lbg.net.stream import Stream
from lbg.proxy.attempt import forward
from lbg.proxy.record import Record
from lbg.upstream.body import RequestBody
from lbg.upstream.request import UpstreamRequest
from tests.unit.upstream.pools import pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, Answer, ScriptedEndpoint, answering, closing, read_head

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
BAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"

Serving = Callable[..., ScriptedEndpoint]


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Give a function that makes an endpoint with these behaviours."""
    made: list[ScriptedEndpoint] = []

    def serve(*answers: Answer | UpstreamError) -> ScriptedEndpoint:
        made.append(ScriptedEndpoint(*answers))
        return made[-1]

    yield serve
    for endpoint in made:
        endpoint.shut()


def send(
    *endpoints: ScriptedEndpoint, request: UpstreamRequest | None = None, attempts: int = 3
) -> tuple[bytes, Record]:
    """Return the body of the answer and the record."""
    record = Record("id1")
    pool = pool_of(*endpoints, retry={"attempts": attempts})
    return b"".join(forward(request or request_for(), pool, record)), record


def failure(
    *endpoints: ScriptedEndpoint, request: UpstreamRequest | None = None, attempts: int = 3
) -> LocalReply:
    with pytest.raises(LocalReply) as caught:
        send(*endpoints, request=request, attempts=attempts)
    assert sum(endpoint.counts()["in_flight"] for endpoint in endpoints) == 0
    return caught.value


def with_body(body: bytes, *, method: str = "POST", buffer: int = 1000) -> UpstreamRequest:
    request = request_for(method)
    request.body = RequestBody(BytesIO(body), len(body), buffer)
    return request


def stale_then(answer: bytes) -> Answer:
    """Answer once, then close on the next request."""

    def serve(stream: Stream) -> None:
        answering(answer)(stream)
        closing(stream)

    return serve


def test_the_first_endpoint_that_answers_is_noted(serving: Serving) -> None:
    endpoint = serving(answering(OK))
    body, record = send(endpoint, serving())
    assert (body, record.endpoint, record.failures) == (b"ok", endpoint, ())


def test_an_endpoint_that_refuses_is_passed_over(serving: Serving) -> None:
    dead, alive = serving(REFUSED), serving(answering(OK))
    body, record = send(dead, alive)
    assert (body, record.endpoint) == (b"ok", alive)
    assert record.story() == "127.0.0.1:8000: connect refused"


def test_an_endpoint_that_closes_is_passed_over_for_an_idempotent_request(serving: Serving) -> None:
    assert send(serving(closing), serving(answering(OK)))[0] == b"ok"


def test_a_post_that_was_written_is_not_sent_again(serving: Serving) -> None:
    other = serving(answering(OK))
    reply = failure(serving(closing), other, request=with_body(b"x"))
    assert (reply.status, reply.reason.code, other.connects) == (502, "upstream_reset", 0)


def test_a_post_that_was_not_written_is_sent_elsewhere(serving: Serving) -> None:
    assert send(serving(REFUSED), serving(answering(OK)), request=with_body(b"x"))[0] == b"ok"


def test_no_endpoint_is_tried_twice(serving: Serving) -> None:
    first, second = serving(REFUSED, answering(OK)), serving(REFUSED, answering(OK))
    assert failure(first, second, attempts=10).reason.code == "connect_refused"
    assert (first.connects, second.connects) == (1, 1)


def test_attempts_bound_the_endpoints_tried(serving: Serving) -> None:
    endpoints = [serving(REFUSED) for _ in range(5)]
    assert failure(*endpoints, attempts=3).status == 502
    assert sum(endpoint.connects for endpoint in endpoints) == 3


def test_a_stale_connection_is_replaced_on_the_same_endpoint(serving: Serving) -> None:
    endpoint, other = serving(stale_then(OK), answering(OK)), serving(answering(OK))
    assert send(endpoint)[0] == b"ok"
    body, record = send(endpoint, other)
    assert (body, record.endpoint, other.connects) == (b"ok", endpoint, 0)
    assert [failed.reason.code for _, failed in record.failures] == ["upstream_reset_reused"]


def test_a_stale_connection_costs_no_attempt(serving: Serving) -> None:
    endpoint = serving(stale_then(OK), answering(OK))
    send(endpoint)
    assert send(endpoint, attempts=1)[0] == b"ok"


def test_an_endpoint_that_died_with_its_connections_is_passed_over(serving: Serving) -> None:
    endpoint, other = serving(stale_then(OK), REFUSED), serving(answering(OK))
    send(endpoint)
    body, record = send(endpoint, other)
    assert (body, record.endpoint) == (b"ok", other)
    assert len(record.failures) == 2


def test_a_bad_response_is_not_asked_for_again(serving: Serving) -> None:
    other = serving(answering(OK))
    reply = failure(serving(answering(BAD)), other)
    assert (reply.status, reply.reason.code, other.connects) == (502, "bad_response", 0)


def test_the_client_is_told_no_address_and_no_system_error(serving: Serving) -> None:
    for behaviour in (REFUSED, closing, answering(BAD)):
        reply = failure(serving(behaviour))
        assert "127.0.0.1" not in reply.detail
        assert reply.detail.startswith("The backend ")


@pytest.mark.parametrize(
    "reason",
    [
        "dns_failure",
        "connect_refused",
        "connect_timeout",
        "upstream_reset",
        "upstream_reset_reused",
        "response_timeout",
        "bad_response",
    ],
)
def test_every_way_to_fail_before_an_answer_has_its_words(serving: Serving, reason: str) -> None:
    reply = failure(serving(UpstreamError(reason, "inside", sent=Sent.WRITTEN)), request=request_for("POST"))
    assert reply.reason.code == reason
    assert "inside" not in reply.detail


def test_a_pool_without_endpoints_says_so() -> None:
    reply = failure()
    assert (reply.status, reply.reason.code) == (503, "no_endpoints")


def test_nothing_is_tried_again_once_the_total_time_is_over(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.proxy.attempt.monotonic", lambda: 1000.0)
    other, request = serving(answering(OK)), request_for()
    request.ends = 1000.0
    failure(serving(REFUSED), other, request=request)
    assert other.connects == 0


def body_reader(bodies: list[bytes], then: Answer) -> Answer:
    """Note the body of four bytes, then go on as said."""

    def serve(stream: Stream) -> None:
        data = read_head(stream)
        while len(data.partition(b"\r\n\r\n")[2]) < 4:
            data += stream.recv(65536)
        bodies.append(data.partition(b"\r\n\r\n")[2])
        then(stream)

    return serve


def test_a_body_is_sent_again_from_its_start(serving: Serving) -> None:
    bodies: list[bytes] = []
    first = serving(body_reader(bodies, Stream.close))
    second = serving(body_reader(bodies, lambda stream: stream.send(OK)))
    assert send(first, second, request=with_body(b"body", method="PUT"))[0] == b"ok"
    assert bodies == [b"body", b"body"]


def test_a_body_over_the_buffer_is_not_sent_again_and_the_record_says_why(serving: Serving) -> None:
    other, record = serving(answering(OK)), Record("id1")
    pool = pool_of(serving(body_reader([], Stream.close)), other)
    with pytest.raises(LocalReply):
        forward(with_body(b"body", method="PUT", buffer=3), pool, record)
    assert "replay buffer" in record.gave_up
    assert other.connects == 0
