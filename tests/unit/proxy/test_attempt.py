"""One endpoint after another, as the retry table allows."""

from io import BytesIO

import gevent
import pytest

from lbg.errors import LocalReply, Sent, UpstreamError
from lbg.net.stream import Stream
from lbg.proxy.attempt import forward
from lbg.proxy.record import Record
from lbg.telemetry.trace_context import TraceContext
from lbg.upstream.body import RequestBody
from lbg.upstream.request import UpstreamRequest
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
BAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"


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
    assert sum(endpoint.in_flight() for endpoint in endpoints) == 0
    return caught.value


def with_body(body: bytes, *, method: str = "POST", buffer: int = 1000) -> UpstreamRequest:
    request = request_for(method)
    request.body = RequestBody(BytesIO(body), len(body), buffer)
    return request


def test_the_first_endpoint_that_answers_is_noted(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK))
    body, record = send(endpoint, fleet.endpoint())
    assert (body, record.endpoint, record.failures) == (b"ok", endpoint, ())


def test_an_endpoint_that_refuses_is_passed_over(fleet: Fleet) -> None:
    dead, alive = fleet.endpoint(REFUSED), fleet.endpoint(answering(OK))
    body, record = send(dead, alive)
    assert (body, record.endpoint) == (b"ok", alive)
    assert record.story() == "127.0.0.1:8000: connect refused"


def test_each_endpoint_is_told_of_its_own_attempt_in_the_trace(fleet: Fleet) -> None:
    heads: list[bytes] = []

    def closing_after(stream: Stream) -> None:
        heads.append(read_head(stream))
        stream.close()

    def answering_after(stream: Stream) -> None:
        heads.append(read_head(stream))
        stream.send(OK)

    record = Record("id1")
    context = record.trace_context = TraceContext("ab" * 16, "", "a=b", sampled=True)
    pool = pool_of(fleet.endpoint(REFUSED), fleet.endpoint(closing_after), fleet.endpoint(answering_after))
    forward(request_for(), pool, record).close()
    told = [b"\r\n".join(line for line in head.split(b"\r\n") if line.startswith(b"trace")) for head in heads]
    assert [line + b"\r\n" for line in told] == [context.lines(1), context.lines(2)]


def test_an_endpoint_that_closes_is_passed_over_for_an_idempotent_request(fleet: Fleet) -> None:
    assert send(fleet.endpoint(closing), fleet.endpoint(answering(OK)))[0] == b"ok"


def test_a_post_that_was_written_is_not_sent_again(fleet: Fleet) -> None:
    other = fleet.endpoint(answering(OK))
    reply = failure(fleet.endpoint(closing), other, request=with_body(b"x"))
    assert (reply.status, reply.reason.code, other.connects) == (502, "upstream_reset", 0)


def test_a_post_that_was_not_written_is_sent_elsewhere(fleet: Fleet) -> None:
    assert send(fleet.endpoint(REFUSED), fleet.endpoint(answering(OK)), request=with_body(b"x"))[0] == b"ok"


def test_no_endpoint_is_tried_twice(fleet: Fleet) -> None:
    first, second = fleet.endpoint(REFUSED, answering(OK)), fleet.endpoint(REFUSED, answering(OK))
    assert failure(first, second, attempts=10).reason.code == "connect_refused"
    assert (first.connects, second.connects) == (1, 1)


def test_attempts_bound_the_endpoints_tried(fleet: Fleet) -> None:
    endpoints = [fleet.endpoint(REFUSED) for _ in range(5)]
    assert failure(*endpoints, attempts=3).status == 502
    assert sum(endpoint.connects for endpoint in endpoints) == 3


def test_a_stale_connection_is_replaced_on_the_same_endpoint(fleet: Fleet) -> None:
    endpoint, other = fleet.endpoint(stale_then(OK), answering(OK)), fleet.endpoint(answering(OK))
    assert send(endpoint)[0] == b"ok"
    body, record = send(endpoint, other)
    assert (body, record.endpoint, other.connects) == (b"ok", endpoint, 0)
    assert [failed.reason.code for _, failed in record.failures] == ["upstream_reset_reused"]


def test_a_stale_connection_costs_no_attempt(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(stale_then(OK), answering(OK))
    send(endpoint)
    assert send(endpoint, attempts=1)[0] == b"ok"


def test_an_endpoint_that_died_with_its_connections_is_passed_over(fleet: Fleet) -> None:
    endpoint, other = fleet.endpoint(stale_then(OK), REFUSED), fleet.endpoint(answering(OK))
    send(endpoint)
    body, record = send(endpoint, other)
    assert (body, record.endpoint) == (b"ok", other)
    assert len(record.failures) == 2


def test_a_bad_response_is_not_asked_for_again(fleet: Fleet) -> None:
    other = fleet.endpoint(answering(OK))
    reply = failure(fleet.endpoint(answering(BAD)), other)
    assert (reply.status, reply.reason.code, other.connects) == (502, "bad_response", 0)


def test_the_client_is_told_no_address_and_no_system_error(fleet: Fleet) -> None:
    for behaviour in (REFUSED, closing, answering(BAD)):
        reply = failure(fleet.endpoint(behaviour))
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
def test_every_way_to_fail_before_an_answer_has_its_words(fleet: Fleet, reason: str) -> None:
    reply = failure(
        fleet.endpoint(UpstreamError(reason, "inside", sent=Sent.WRITTEN)), request=request_for("POST")
    )
    assert reply.reason.code == reason
    assert "inside" not in reply.detail


def test_a_pool_without_endpoints_says_so() -> None:
    reply = failure()
    assert (reply.status, reply.reason.code) == (503, "no_endpoints")


def test_nothing_is_tried_again_once_the_total_time_is_over(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.proxy.attempt.monotonic", lambda: 1000.0)
    other, request = fleet.endpoint(answering(OK)), request_for()
    request.ends = 1000.0
    failure(fleet.endpoint(REFUSED), other, request=request)
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


def test_a_body_is_sent_again_from_its_start(fleet: Fleet) -> None:
    bodies: list[bytes] = []
    first = fleet.endpoint(body_reader(bodies, Stream.close))
    second = fleet.endpoint(body_reader(bodies, lambda stream: stream.send(OK)))
    assert send(first, second, request=with_body(b"body", method="PUT"))[0] == b"ok"
    assert bodies == [b"body", b"body"]


def test_a_body_over_the_buffer_is_not_sent_again_and_the_record_says_why(fleet: Fleet) -> None:
    other, record = fleet.endpoint(answering(OK)), Record("id1")
    pool = pool_of(fleet.endpoint(body_reader([], Stream.close)), other)
    with pytest.raises(LocalReply):
        forward(with_body(b"body", method="PUT", buffer=3), pool, record)
    assert "replay buffer" in record.gave_up
    assert other.connects == 0


def test_a_retry_takes_from_the_budget(fleet: Fleet) -> None:
    send(fleet.endpoint(REFUSED), fleet.endpoint(answering(OK)))
    assert fleet.pool_counts() == {"requests": 1, "retries": 1}


def test_a_free_try_takes_nothing_from_the_budget(fleet: Fleet) -> None:
    pool = pool_of(fleet.endpoint(stale_then(OK), answering(OK)))
    for _ in range(2):
        assert b"".join(forward(request_for(), pool, Record("id1"))) == b"ok"
    assert fleet.pool_counts() == {"requests": 2}


def test_without_a_budget_the_client_gets_the_original_failure(fleet: Fleet) -> None:
    first, other, record = fleet.endpoint(REFUSED), fleet.endpoint(answering(OK)), Record("id1")
    pool = pool_of(first, other)
    pool.tick(0.0)
    while pool.may_retry(0.0):
        pass
    with pytest.raises(LocalReply) as caught:
        forward(request_for(), pool, record)
    assert (caught.value.reason.code, other.connects) == ("connect_refused", 0)
    assert record.story() == (
        "127.0.0.1:8000: connect refused; gave up: "
        "retry_budget: too many of the last requests were tried again"
    )


def test_a_retry_that_cannot_be_made_takes_nothing_from_the_budget(fleet: Fleet) -> None:
    failure(fleet.endpoint(REFUSED))
    failure(fleet.endpoint(closing), request=with_body(b"x"))
    assert fleet.pool_counts() == {"requests": 2}


def test_a_free_try_whose_place_was_taken_is_made_on_a_new_connection_elsewhere(fleet: Fleet) -> None:
    taken, other = (
        fleet.endpoint(stale_then(OK), max_requests=1),
        fleet.endpoint(stale_then(OK), answering(OK)),
    )
    for endpoint in (taken, other):
        send(endpoint)
    endpoint_failed = taken.failed

    def failed_and_taken(*, connected: bool) -> None:
        endpoint_failed(connected=connected)
        taken.began()

    taken.failed = failed_and_taken  # type: ignore[method-assign]
    body, record = send(taken, other)
    assert (body, record.endpoint, len(record.failures)) == (b"ok", other, 1)
    taken.left()
    assert fleet.in_flight() == 0


def test_a_free_try_goes_before_those_who_wait(fleet: Fleet) -> None:
    served: list[str] = []
    endpoint = fleet.endpoint(stale_then(OK), answering(OK, OK), max_requests=1)
    pool = pool_of(endpoint)

    def ask(name: str) -> None:
        assert b"".join(forward(request_for(), pool, Record(name))) == b"ok"
        served.append(name)

    ask("before")
    gevent.joinall([gevent.spawn(ask, "first"), gevent.spawn(ask, "second")], timeout=1.0, raise_error=True)
    assert served == ["before", "first", "second"]
    assert endpoint.counts() == {"responses_2xx": 3, "failures": 1}
