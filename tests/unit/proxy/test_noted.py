"""What the proxy notes of a request that failed, for those who are told of it."""

from typing import Any

import gevent
import pytest

from lbg.errors import ClientGone, LocalReply, Sent, UpstreamError
from lbg.net.stream import Stream
from lbg.proxy.attempt import forward
from lbg.proxy.handler import Environ
from lbg.proxy.record import Record
from lbg.state.layout import Health
from tests.unit.proxy.proxies import base, proxy
from tests.unit.upstream.pools import Fleet, pool_of
from tests.unit.upstream.responses import request_for
from tests.unit.upstream.scripted_endpoint import OK, answering, silent

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def noted(*endpoints: Any, **config: Any) -> Record:
    """Return the record of a request that gets no answer."""
    record = Record("id1")
    with pytest.raises(LocalReply):
        forward(request_for(), pool_of(*endpoints, **config), record)
    return record


def test_endpoints_are_noted_when_all_were_tried(fleet: Fleet) -> None:
    record = noted(fleet.endpoint(REFUSED), fleet.endpoint(REFUSED))
    assert [(one.usable, one.why) for one in record.candidates] == [(False, "tried before")] * 2


def test_endpoints_are_noted_when_none_is_healthy(fleet: Fleet) -> None:
    endpoint = fleet.endpoint()
    endpoint.becomes(health=Health.DOWN)
    assert [(one.usable, one.why) for one in noted(endpoint).candidates] == [(False, "down")]


def test_endpoints_are_noted_when_the_queue_refuses(fleet: Fleet) -> None:
    endpoint = fleet.endpoint(max_requests=1)
    endpoint.began()
    record = noted(endpoint, queue={"size": 0})
    assert record.candidates[0].why == "full: 1 of max_requests = 1 in flight"
    endpoint.left()


def test_endpoints_are_noted_when_a_status_is_not_tried_again(fleet: Fleet) -> None:
    record = Record("id1")
    pool = pool_of(fleet.endpoint(answering(UNAVAILABLE)), retry={"status": [503], "attempts": 1})
    forward(request_for(), pool, record).close()
    assert [one.why for one in record.candidates] == ["tried before"]


def test_nothing_is_noted_of_a_request_that_goes_well(fleet: Fleet) -> None:
    record = Record("id1")
    forward(request_for(), pool_of(fleet.endpoint(answering(OK))), record).close()
    assert record.candidates == ()


@pytest.mark.parametrize("interruption", [ClientGone("left"), gevent.GreenletExit()])
def test_where_the_request_was_is_noted_when_nobody_waits_any_longer(
    fleet: Fleet, interruption: BaseException
) -> None:
    waiting = gevent.getcurrent()

    def leaving(stream: Stream) -> None:
        gevent.spawn(waiting.throw, interruption)
        silent(stream)

    endpoint = fleet.endpoint(leaving)
    record = Record("id1")
    with pytest.raises(type(interruption)):
        forward(request_for(), pool_of(endpoint), record)
    assert record.endpoint is endpoint


def test_a_local_reply_notes_what_it_told() -> None:
    with proxy(OK) as front:
        assert front.ask(method="TRACE").record.detail == "TRACE is not allowed here."


@pytest.mark.parametrize(
    ("environ", "status", "told", "reason"),
    [
        ({}, 200, 200, None),
        ({"lbg.cut": UpstreamError("read_timeout", "stopped", sent=Sent.ANSWERED)}, 200, 200, "read_timeout"),
        ({"lbg.cut": gevent.GreenletExit()}, 0, 503, "shutdown"),
        ({"lbg.cut": ClientGone("left")}, 0, 499, "client_gone"),
        ({"lbg.fault": LocalReply("client_body_timeout", "Late.")}, 0, 408, "client_body_timeout"),
    ],
)
def test_observers_are_told_how_a_request_ended(
    environ: Environ, status: int, told: int, reason: str | None
) -> None:
    seen: list[tuple[int, str | None]] = []

    def observe(environ: Environ, record: Record, status: int, sent: int, took: float) -> None:
        seen.append((status, record.reason.code if record.reason is not None else None))

    with proxy(OK) as front:
        front.handler._observers = (observe,)
        front.handler._finished(base() | {"lbg.exchange": Record("id1")} | environ, status, 5)
    assert seen == [(told, reason)]
