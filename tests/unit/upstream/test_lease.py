"""A lease: one request on one endpoint, counted and ended exactly once."""

import gevent
import pytest

from lbg.errors import ClientGone, RequestError, Sent, UpstreamError
from lbg.http.headers import Fields
from lbg.net.stream import Stream
from lbg.upstream.body import RequestBody
from lbg.upstream.exchange import Exchange
from lbg.upstream.lease import Lease
from lbg.upstream.request import UpstreamRequest
from tests.unit.upstream.inputs import Arriving, Waiting
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import (
    OK,
    ScriptedEndpoint,
    answering,
    closing,
    read_head,
    silent,
    stale_then,
)

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
ANSWERED = {"responses_2xx": 1}


def lease_on(endpoint: ScriptedEndpoint) -> Lease:
    return pool_of(endpoint).acquire(request_for(), [], 0.0)


def ask(endpoint: ScriptedEndpoint, request: UpstreamRequest | None = None, *, fresh: bool = False) -> bytes:
    """Return the body of the whole answer."""
    return b"".join(lease_on(endpoint).exchange(request or request_for(), fresh=fresh))


def failing(endpoint: ScriptedEndpoint, request: UpstreamRequest | None = None) -> UpstreamError:
    """Return how a request fails."""
    with pytest.raises(UpstreamError) as caught:
        ask(endpoint, request)
    return caught.value


def uploading(*pieces: bytes | Exception) -> UpstreamRequest:
    """Return a request with a body that comes in pieces."""

    source = Waiting()
    for piece in (*pieces, b""):
        source.queue.put(piece)
    request = request_for("POST")
    request.body = RequestBody(source, None, buffer=1000)
    return request


def test_an_answered_request_is_counted_once(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK))
    exchange = lease_on(endpoint).exchange(request_for(), fresh=False)
    assert b"".join(exchange) == b"ok"
    exchange.close()
    exchange.close()
    assert endpoint.counts() == ANSWERED


def test_a_request_is_in_flight_until_its_body_ends(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"))
    exchange = lease_on(endpoint).exchange(request_for(), fresh=False)
    assert next(iter(exchange)) == b"bo"
    assert endpoint.in_flight() == 1
    exchange.close()
    assert endpoint.in_flight() == 0


def test_a_response_is_counted_when_its_head_has_come(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nbo"))
    exchange = lease_on(endpoint).exchange(request_for(), fresh=False)
    assert endpoint.counts() == {"responses_4xx": 1, "in_flight": 1}
    exchange.close()
    assert endpoint.counts() == {"responses_4xx": 1}


def test_a_switch_of_protocols_is_counted_when_it_begins(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 101 Switch\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"))
    exchange = lease_on(endpoint).exchange(request_for(upgrades=True), fresh=False)
    assert endpoint.counts() == {"responses_2xx": 1, "in_flight": 1}
    assert not endpoint.waiting
    exchange.close()


def test_the_connection_of_a_finished_request_serves_the_next(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK, OK, OK))
    assert [ask(endpoint) for _ in range(3)] == [b"ok"] * 3
    assert (endpoint.connects, endpoint.counts()) == (1, {"responses_2xx": 3})


def test_a_fresh_connection_is_made_on_request(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK), answering(OK))
    ask(endpoint)
    ask(endpoint, fresh=True)
    assert endpoint.connects == 2


def test_a_response_given_up_does_not_serve_the_next(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"), answering(OK))
    lease_on(endpoint).exchange(request_for(), fresh=False).close()
    assert ask(endpoint) == b"ok"
    assert endpoint.connects == 2


def test_a_connect_that_fails_is_counted_as_such(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(REFUSED)
    assert failing(endpoint) is REFUSED
    assert endpoint.counts() == {"failures": 1, "connect_failures": 1}


def test_a_connection_closed_without_an_answer_is_no_connect_failure(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(closing)
    failure = failing(endpoint)
    assert (failure.reason.code, failure.reused) == ("upstream_reset", False)
    assert endpoint.counts() == {"failures": 1}


def test_a_refused_response_is_counted_once_and_its_connection_closed(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"))
    assert failing(endpoint).reason.code == "bad_response"
    assert endpoint.counts() == {"failures": 1}
    assert endpoint.was_left()


def test_a_body_cut_short_counts_as_a_failure_besides_its_head(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", close=True))
    assert failing(endpoint).reason.code == "upstream_cut_body"
    assert endpoint.counts() == {"responses_2xx": 1, "failures": 1, "cuts": 1}


def test_a_kept_connection_that_closes_on_a_request_is_told_apart(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(stale_then(OK))
    ask(endpoint)
    failure = failing(endpoint)
    assert (failure.reason.code, failure.reused, failure.sent) == (
        "upstream_reset_reused",
        True,
        Sent.WRITTEN,
    )


def test_what_must_not_be_sent_twice_avoids_connections_already_closed(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK), answering(OK))
    ask(endpoint)
    endpoint.hang_up()
    assert ask(endpoint, request_for("POST")) == b"ok"
    assert endpoint.connects == 2


def test_another_lease_on_the_same_endpoint_is_counted_for_itself(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(REFUSED, answering(OK))
    lease = lease_on(endpoint)
    with pytest.raises(UpstreamError):
        lease.exchange(request_for(), fresh=False)
    again = lease.another()
    assert again is not None
    assert (again.endpoint, endpoint.in_flight()) == (endpoint, 1)
    b"".join(again.exchange(request_for(), fresh=True))
    assert endpoint.in_flight() == 0


def test_connecting_may_take_no_longer_than_the_whole_request(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lbg.upstream.lease.monotonic", lambda: 100.0)
    endpoint = fleet.endpoint(REFUSED, REFUSED)
    request = request_for()
    failing(endpoint, request)
    request.ends = 103.0
    failing(endpoint, request)
    assert endpoint.timeouts == [5.0, 3.0]


def test_interim_responses_are_told_in_order_before_the_answer(fleet: Fleet) -> None:
    told: list[tuple[int, Fields]] = []
    request = request_for()
    request.on_interim = lambda status, fields: told.append((status, fields))
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
    assert ask(fleet.endpoint(answering(early + OK)), request) == b"ok"
    assert told == [(103, [(b"Link", b"</a>")]), (102, [])]


def test_interim_responses_nobody_wants_are_dropped(fleet: Fleet) -> None:
    assert ask(fleet.endpoint(answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK))) == b"ok"


def test_a_client_that_leaves_meanwhile_is_no_failure_of_the_endpoint(fleet: Fleet) -> None:
    def left(status: int, fields: Fields) -> None:
        raise ClientGone("left")

    endpoint = fleet.endpoint(answering(b"HTTP/1.1 103 Early Hints\r\n\r\n"))
    request = request_for()
    request.on_interim = left
    with pytest.raises(ClientGone):
        ask(endpoint, request)
    assert endpoint.counts() == {}


def test_head_and_a_body_that_came_leave_in_one_write(fleet: Fleet) -> None:
    received: list[bytes] = []

    def answer(stream: Stream) -> None:
        received.append(stream.recv(65536))
        stream.send(OK)

    request = request_for("POST")
    request.body = RequestBody(Arriving(b"body", came=True), 4, buffer=1000)
    ask(fleet.endpoint(answer), request)
    assert received == [b"POST / HTTP/1.1\r\nHost: a\r\n\r\nbody"]


def test_a_body_is_uploaded_while_the_answer_is_awaited(fleet: Fleet) -> None:
    received: list[bytes] = []

    def answer(stream: Stream) -> None:
        data = read_head(stream)
        while not data.endswith(b"0\r\n\r\n"):
            data += stream.recv(65536)
        received.append(data)
        stream.send(OK)

    assert ask(fleet.endpoint(answer), uploading(b"ab", b"cde")) == b"ok"
    assert received == [b"POST / HTTP/1.1\r\nHost: a\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"]


def test_a_connection_whose_upload_never_ended_is_not_kept(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"))
    request = request_for("POST")
    request.body = RequestBody(Waiting(), 5, buffer=1000)
    assert ask(endpoint, request) == b"no"
    assert (len(endpoint.idle), endpoint.counts()) == (0, {"responses_4xx": 1})


@pytest.mark.parametrize("fault", [ClientGone("left"), RequestError("bad_request", "bad chunk")])
def test_what_the_client_does_wrong_in_its_body_is_what_the_request_fails_with(
    fleet: Fleet, fault: Exception
) -> None:
    endpoint = fleet.endpoint(silent)
    with pytest.raises(type(fault)) as caught:
        ask(endpoint, uploading(b"ab", fault))
    assert caught.value is fault
    assert endpoint.counts() == {}


def broken_off_during_the_answer(endpoint: ScriptedEndpoint) -> Exchange:
    """Return the exchange of a request whose client broke off its body while nobody waits upstream."""
    source = Waiting()
    request = request_for("POST")
    request.body = RequestBody(source, None, buffer=1000)
    exchange = lease_on(endpoint).exchange(request, fresh=False)
    source.queue.put(ClientGone("left"))
    gevent.idle()
    return exchange


def test_a_client_that_breaks_off_its_body_during_the_answer_ends_the_answer(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"))
    body = iter(broken_off_during_the_answer(endpoint))
    assert next(body) == b"begun"
    with pytest.raises(UpstreamError):
        next(body)
    assert endpoint.in_flight() == 0


def test_a_connection_that_its_upload_closed_is_not_kept(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(OK))
    assert b"".join(broken_off_during_the_answer(endpoint)) == b"ok"
    assert len(endpoint.idle) == 0


def test_the_repr_tells_whether_it_ended(fleet: Fleet) -> None:
    lease = lease_on(fleet.endpoint(answering(OK)))
    assert repr(lease) == "<Lease 127.0.0.1:8000 running>"
    b"".join(lease.exchange(request_for(), fresh=False))
    assert repr(lease) == "<Lease 127.0.0.1:8000 ended>"
