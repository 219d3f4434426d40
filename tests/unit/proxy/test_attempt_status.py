"""A status that is worth another try: which answer the client gets in the end."""

from io import BytesIO

import gevent
import pytest

from lbg.errors import LocalReply, Sent, UpstreamError
from lbg.net.stream import Stream
from lbg.proxy.attempt import forward
from lbg.proxy.record import Record
from lbg.state.layout import Health
from lbg.upstream.body import RequestBody
from lbg.upstream.pool import Pool
from lbg.upstream.request import UpstreamRequest
from tests.unit.upstream.inputs import Waiting
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import (
    OK,
    Answer,
    ScriptedEndpoint,
    answering,
    closing,
    read_head,
)

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)


def busy(body: bytes) -> Answer:
    """Answer 503 with this body."""
    return answering(b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def retrying(*endpoints: ScriptedEndpoint, **retry: object) -> Pool:
    return pool_of(*endpoints, retry={"status": [503], **retry})


def send(pool: Pool, request: UpstreamRequest | None = None) -> tuple[bytes, Record]:
    """Return the body of the answer and the record."""
    record = Record("id1")
    return b"".join(forward(request or request_for(), pool, record)), record


def test_another_endpoint_is_asked(fleet: Fleet) -> None:
    first, second = fleet.endpoint(busy(b"a")), fleet.endpoint(answering(OK))
    body, record = send(retrying(first, second))
    assert (body, record.endpoint, record.answers) == (b"ok", second, ((first, 503),))
    assert record.story() == "127.0.0.1:8000: status 503"
    assert (fleet.in_flight(), len(first.idle)) == (0, 0)
    assert (first.counts(), second.counts()) == ({"responses_5xx": 1}, {"responses_2xx": 1})


def test_other_statuses_are_passed_on(fleet: Fleet) -> None:
    answer = answering(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 1\r\n\r\nx")
    other = fleet.endpoint(answering(OK))
    assert send(retrying(fleet.endpoint(answer), other))[0] == b"x"
    assert other.connects == 0


def test_when_all_say_so_the_last_answer_is_passed_on(fleet: Fleet) -> None:
    endpoints = [fleet.endpoint(busy(body)) for body in (b"a", b"b", b"c", b"d")]
    body, record = send(retrying(*endpoints))
    assert (body, record.endpoint, record.gave_up) == (b"c", endpoints[2], "3 attempts were made")
    assert (fleet.in_flight(), endpoints[3].connects) == (0, 0)


@pytest.mark.parametrize("failure", [REFUSED, closing], ids=["refused", "closed"])
def test_the_answer_is_kept_when_the_other_endpoints_fail(
    fleet: Fleet, failure: Answer | UpstreamError
) -> None:
    first, second = fleet.endpoint(busy(b"kept")), fleet.endpoint(failure)
    body, record = send(retrying(first, second))
    assert (body, record.endpoint, record.reason) == (b"kept", first, None)
    assert record.gave_up == "every endpoint was tried"
    assert fleet.in_flight() == 0


def test_the_answer_is_kept_when_no_other_endpoint_is_usable(fleet: Fleet) -> None:
    first, second = fleet.endpoint(busy(b"kept")), fleet.endpoint()
    second.becomes(health=Health.DOWN)
    body, record = send(retrying(first, second))
    assert (body, record.gave_up) == (b"kept", "no other endpoint is usable")


def test_an_answer_that_is_kept_does_not_wait_for_a_better_one(fleet: Fleet) -> None:
    first, second = fleet.endpoint(busy(b"kept")), fleet.endpoint(max_requests=1)
    second.began()
    body, record = send(retrying(first, second))
    assert (body, record.endpoint) == (b"kept", first)
    assert fleet.pool_counts() == {"requests": 1, "retries": 1}
    second.left()
    assert fleet.in_flight() == 0


def test_the_last_real_answer_counts_not_the_first(fleet: Fleet) -> None:
    endpoints = fleet.endpoint(busy(b"a")), fleet.endpoint(busy(b"b")), fleet.endpoint(REFUSED)
    body, record = send(retrying(*endpoints))
    assert (body, record.endpoint) == (b"b", endpoints[1])
    assert fleet.in_flight() == 0


def test_a_failure_before_the_answer_is_part_of_the_story(fleet: Fleet) -> None:
    endpoints = fleet.endpoint(REFUSED), fleet.endpoint(busy(b"a")), fleet.endpoint(answering(OK))
    body, record = send(retrying(*endpoints))
    assert body == b"ok"
    assert record.story() == "127.0.0.1:8000: connect refused; 127.0.0.1:8001: status 503"


def test_an_answer_that_was_kept_is_ended_when_the_client_leaves(fleet: Fleet) -> None:
    def hung(stream: Stream) -> None:
        read_head(stream)
        gevent.sleep(9)

    pool = retrying(fleet.endpoint(busy(b"a")), fleet.endpoint(hung))
    asked = gevent.spawn(send, pool)
    gevent.idle()
    assert fleet.in_flight() == 2
    asked.kill()
    assert fleet.in_flight() == 0


def test_the_budget_bounds_it(fleet: Fleet) -> None:
    first, second = fleet.endpoint(busy(b"kept")), fleet.endpoint(answering(OK))
    pool = retrying(first, second)
    spend(pool)
    body, record = send(pool)
    assert (body, second.connects) == (b"kept", 0)
    assert record.story().endswith("gave up: retry_budget: too many of the last requests were tried again")


def spend(pool: Pool) -> None:
    """Use the budget up."""
    pool.tick(0.0)
    while pool.may_retry(0.0):
        pass


def with_body(method: str = "POST", buffer: int = 1000) -> UpstreamRequest:
    request = request_for(method)
    request.body = RequestBody(BytesIO(b"body"), 4, buffer)
    return request


def test_a_post_is_not_sent_again(fleet: Fleet) -> None:
    other = fleet.endpoint(answering(OK))
    body, record = send(retrying(fleet.endpoint(busy(b"kept")), other), with_body())
    assert (body, record.gave_up, other.connects) == (b"kept", "POST is not idempotent", 0)


def test_a_post_is_sent_again_where_that_is_asked_for_with_its_whole_body(fleet: Fleet) -> None:
    bodies: list[bytes] = []

    def noting(answer: bytes) -> Answer:
        def serve(stream: Stream) -> None:
            data = read_head(stream)
            while not data.endswith(b"body"):
                data += stream.recv(100)
            bodies.append(data.partition(b"\r\n\r\n")[2])
            stream.send(answer)

        return serve

    first = fleet.endpoint(noting(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"))
    pool = retrying(first, fleet.endpoint(noting(OK)), non_idempotent=True)
    assert send(pool, with_body())[0] == b"ok"
    assert bodies == [b"body", b"body"]


def test_a_body_over_the_buffer_is_not_sent_again(fleet: Fleet) -> None:
    other = fleet.endpoint(answering(OK))
    pool = retrying(fleet.endpoint(busy(b"kept")), other)
    body, record = send(pool, with_body("PUT", buffer=3))
    assert (body, other.connects) == (b"kept", 0)
    assert "replay buffer" in record.gave_up


def test_an_answer_before_the_end_of_the_body_leaves_the_rest_for_the_next(fleet: Fleet) -> None:
    received: list[bytes] = []

    def whole(stream: Stream) -> None:
        data = read_head(stream)
        while not data.endswith(b"0\r\n\r\n"):
            data += stream.recv(100)
        received.append(data.partition(b"\r\n\r\n")[2])
        stream.send(OK)

    source = Waiting()
    source.queue.put(b"ab")
    request = request_for("PUT")
    request.body = RequestBody(source, None, buffer=1000)
    asked = gevent.spawn(send, retrying(fleet.endpoint(busy(b"early")), fleet.endpoint(whole)), request)
    gevent.idle()
    for piece in (b"cd", b""):
        source.queue.put(piece)
    assert asked.get(timeout=1.0)[0] == b"ok"
    assert received == [b"2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"]


def test_nothing_is_kept_where_nothing_was_answered(fleet: Fleet) -> None:
    with pytest.raises(LocalReply) as caught:
        send(retrying(fleet.endpoint(REFUSED), fleet.endpoint(REFUSED)))
    assert caught.value.reason.code == "connect_refused"
