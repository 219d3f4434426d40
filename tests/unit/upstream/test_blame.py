"""What a lease tells the control worker of its endpoint, and when it tells nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import gevent
import pytest

from lbg.errors import ClientGone, Sent, UpstreamError
from lbg.http.headers import Fields
from lbg.net.stream import Stream
from lbg.state.layout import Ejection, Kind
from lbg.upstream import lease as module
from lbg.upstream.body import RequestBody
from lbg.upstream.request import UpstreamRequest
from tests.unit.net.stream_pair import overdue
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
    silent,
    stale_then,
)

CONNECT_FAILURE, SERVER_ERROR = [(0, Kind.CONNECT_FAILURE)], [(0, Kind.SERVER_ERROR)]
NOTHING: list[tuple[int, Kind]] = []

BODY_CUT = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo", close=True)


def ask(endpoint: ScriptedEndpoint, request: UpstreamRequest | None = None) -> Exception | bytes:
    """Return the body of the answer, or the failure."""
    try:
        lease = pool_of(endpoint).acquire(request_for(), [], 0.0)
        return b"".join(lease.exchange(request or request_for(), fresh=False))
    except (UpstreamError, ClientGone) as error:
        return error


def failed(reason: str, sent: Sent, *, blameless: bool = False) -> UpstreamError:
    return UpstreamError(reason, "x", sent=sent, blameless=blameless)


@pytest.mark.parametrize(
    ("answer", "blame"),
    [
        (failed("connect_refused", Sent.NOTHING), CONNECT_FAILURE),
        (failed("connect_timeout", Sent.NOTHING), CONNECT_FAILURE),
        (failed("dns_failure", Sent.NOTHING), CONNECT_FAILURE),
        (failed("connect_refused", Sent.NOTHING, blameless=True), NOTHING),  # no descriptors left here
        (closing, CONNECT_FAILURE),
        (answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"), SERVER_ERROR),
        (answering(b"what?\r\n\r\n"), SERVER_ERROR),
        (answering(b"HTTP/1.1 200 O", close=True), SERVER_ERROR),
        (BODY_CUT, SERVER_ERROR),
        (answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), SERVER_ERROR),
        (answering(b"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n"), SERVER_ERROR),
        (answering(b"HTTP/1.1 503 Oh\r\nContent-Length: 4\r\n\r\nbo", close=True), SERVER_ERROR),
        (answering(OK), NOTHING),
        (answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), NOTHING),
        (answering(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"), NOTHING),
    ],
)
def test_what_is_reported(
    fleet: Fleet, answer: Answer | UpstreamError, blame: list[tuple[int, Kind]]
) -> None:
    endpoint = fleet.endpoint(answer)
    ask(endpoint)
    assert fleet.reports() == blame
    assert fleet.in_flight() == 0
    assert (endpoint.suspected_until > 0.0) is (blame == CONNECT_FAILURE)


@contextmanager
def late_answer(endpoint: ScriptedEndpoint, request: UpstreamRequest) -> Iterator[None]:
    """Let the time for an answer pass while it is awaited."""
    asked = gevent.spawn(ask, endpoint, request)
    gevent.idle()
    [lease] = endpoint.waiting
    yield
    assert lease._connection is not None
    overdue(lease._connection.stream)
    failure = asked.get(timeout=1.0)
    assert failure.reason.code == "response_timeout"


def test_an_answer_that_does_not_come_in_time_is_reported(fleet: Fleet) -> None:
    with late_answer(fleet.endpoint(silent), request_for()):
        pass
    assert fleet.reports() == SERVER_ERROR


def test_the_total_time_being_over_is_not(fleet: Fleet) -> None:
    request = request_for()
    with late_answer(fleet.endpoint(silent), request):
        request.ends = 0.0
    assert fleet.reports() == NOTHING


def test_too_little_time_left_to_connect_is_not(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    request = request_for()
    request.ends = 100.0
    monkeypatch.setattr(module, "monotonic", lambda: 100.0)
    ask(fleet.endpoint(failed("connect_timeout", Sent.NOTHING)), request)
    assert fleet.reports() == NOTHING


def test_the_total_time_being_over_within_the_body_is_not(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = request_for()
    exchange = pool_of(fleet.endpoint(BODY_CUT)).acquire(request, [], 0.0).exchange(request, fresh=False)
    request.ends = 0.0
    with pytest.raises(UpstreamError):
        b"".join(exchange)
    assert fleet.reports() == NOTHING


def test_a_kept_connection_that_was_closed_is_not(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(stale_then(OK))
    ask(endpoint)
    failure = ask(endpoint)
    assert isinstance(failure, UpstreamError)
    assert failure.reason.code == "upstream_reset_reused"
    assert fleet.reports() == NOTHING


def test_a_client_that_left_while_it_was_told_of_an_interim_response_is_not(fleet: Fleet) -> None:
    def left(status: int, fields: Fields) -> None:
        raise ClientGone("left")

    request = request_for()
    request.on_interim = left
    assert isinstance(ask(fleet.endpoint(answering(b"HTTP/1.1 103 E\r\n\r\n")), request), ClientGone)
    assert fleet.reports() == NOTHING


def uploading(source: Waiting) -> UpstreamRequest:
    request = request_for("POST")
    request.body = RequestBody(source, None, buffer=1000)
    return request


def test_a_client_that_broke_off_its_body_is_not(fleet: Fleet) -> None:
    source = Waiting()
    source.queue.put(ClientGone("left"))
    assert isinstance(ask(fleet.endpoint(silent), uploading(source)), ClientGone)
    assert fleet.reports() == NOTHING


def test_a_client_that_broke_off_its_body_during_the_answer_is_not(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun"))
    source = Waiting()
    exchange = pool_of(endpoint).acquire(request_for(), [], 0.0).exchange(uploading(source), fresh=False)
    source.queue.put(ClientGone("left"))
    gevent.idle()
    with pytest.raises(UpstreamError):
        b"".join(exchange)
    assert fleet.reports() == NOTHING
    assert endpoint.counts() == {"responses_2xx": 1}


def test_a_client_that_left_within_the_answer_is_not(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo"))
    pool_of(endpoint).acquire(request_for(), [], 0.0).exchange(request_for(), fresh=False).close()
    assert fleet.reports() == NOTHING


def test_a_lease_nobody_used_is_not(fleet: Fleet) -> None:
    pool_of(fleet.endpoint()).acquire(request_for(), [], 0.0).cancel()
    assert (fleet.reports(), fleet.in_flight()) == (NOTHING, 0)


def trial(endpoint: ScriptedEndpoint, request: UpstreamRequest | None = None) -> Exception | bytes:
    """Return what becomes of a trial request."""
    endpoint.becomes(ejection=Ejection.TRIAL)
    other = ScriptedEndpoint(cells=endpoint.cells, slot=1)
    try:
        lease = pool_of(endpoint, other).acquire(request_for(), [], 0.0)
        assert lease.trial
        return b"".join(lease.exchange(request or request_for(), fresh=False))
    except (UpstreamError, ClientGone) as error:
        return error


PASSED, FAILED = [(0, Kind.TRIAL_PASSED)], [(0, Kind.TRIAL_FAILED)]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (answering(OK), PASSED),
        (answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), PASSED),
        (answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), FAILED),
        (failed("connect_refused", Sent.NOTHING), FAILED),
        (closing, FAILED),
        (answering(b"what?\r\n\r\n"), FAILED),
    ],
)
def test_a_trial_has_a_verdict(fleet: Fleet, answer: Answer, verdict: list[tuple[int, Kind]]) -> None:
    endpoint = fleet.endpoint(answer)
    trial(endpoint)
    assert fleet.reports() == verdict
    assert not endpoint.begin_trial()


def test_the_verdict_is_given_with_the_head_and_what_follows_is_an_ordinary_failure(fleet: Fleet) -> None:
    trial(fleet.endpoint(BODY_CUT))
    assert fleet.reports() == PASSED + SERVER_ERROR


def test_a_trial_that_failed_by_its_status_is_reported_once(fleet: Fleet) -> None:
    trial(fleet.endpoint(answering(b"HTTP/1.1 500 Oh\r\nContent-Length: 4\r\n\r\nbo", close=True)))
    assert fleet.reports() == FAILED


def test_a_client_that_left_gives_the_trial_back_without_a_verdict(fleet: Fleet) -> None:
    def left(status: int, fields: Fields) -> None:
        raise ClientGone("left")

    endpoint, request = fleet.endpoint(answering(b"HTTP/1.1 103 E\r\n\r\n")), request_for()
    request.on_interim = left
    assert isinstance(trial(endpoint, request), ClientGone)
    assert fleet.reports() == NOTHING
    assert endpoint.begin_trial()


@pytest.mark.parametrize(
    "failure",
    [
        failed("connect_refused", Sent.NOTHING, blameless=True),
        failed("upstream_reset_reused", Sent.WRITTEN),
    ],
)
def test_what_says_nothing_of_the_endpoint_gives_the_trial_back(fleet: Fleet, failure: UpstreamError) -> None:
    endpoint = fleet.endpoint(failure)
    assert trial(endpoint) is failure
    assert fleet.reports() == NOTHING
    assert endpoint.begin_trial()


def test_a_body_over_the_total_time_gives_the_trial_back(fleet: Fleet) -> None:
    endpoint, request = fleet.endpoint(failed("connect_timeout", Sent.NOTHING)), request_for("PUT")
    request.body = RequestBody(BytesIO(b"body"), 4, buffer=9)
    request.ends = 0.0
    trial(endpoint, request)
    assert fleet.reports() == NOTHING
    assert endpoint.begin_trial()


def test_what_is_left_of_an_upload_does_not_reach_an_endpoint_that_is_given_up(fleet: Fleet) -> None:
    received: list[bytes] = []

    def answer(stream: Stream) -> None:
        read_head(stream)
        stream.send(b"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n")
        while data := stream.recv(100):
            received.append(data)

    endpoint, source = fleet.endpoint(answer), Waiting()
    lease = pool_of(endpoint).acquire(request_for(), [], 0.0)
    exchange = lease.exchange(uploading(source), fresh=False)
    lease.end_upload()
    source.queue.put(b"more")
    gevent.idle()
    exchange.close()
    gevent.idle()
    assert received == []
    assert len(endpoint.idle) == 0
