"""Answers nobody reads: never waited for, and their connections kept where that is cheap."""

import gevent
import pytest

from lbg.errors import UpstreamError
from lbg.filters.discard import discard, read_out
from lbg.http.framing import chunk
from lbg.net.stream import Stream
from lbg.upstream.lease import Lease
from tests.unit.upstream.pools import a_fleet, pool_of
from tests.unit.upstream.responses import Answered, answer, request_for
from tests.unit.upstream.scripted_endpoint import read_head, silent

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


def discarded(*script: bytes | Exception) -> Answered:
    """Return a discarded answer once all greenlets had their turn."""
    answered = answer(*script)
    discard(answered.exchange)
    gevent.idle()
    return answered


@pytest.mark.parametrize(
    "script",
    [
        [HEAD + b"Content-Length: 0\r\n\r\n"],
        [HEAD + b"Content-Length: 4\r\n\r\nbody"],
        [HEAD + b"Content-Length: 4\r\n\r\n", b"bo", b"dy"],
        [HEAD + b"Content-Length: 65536\r\n\r\n", b"x" * 65536],
        [CHUNKED + b"0\r\n\r\n"],
        [CHUNKED, chunk(b"body"), b"0\r\n\r\n"],
        [CHUNKED + chunk(b"body") + b"0\r\n\r\n"],
        [CHUNKED, chunk(b"x" * 65536), b"0\r\n\r\n"],
    ],
)
def test_the_connection_serves_the_next_request(script: list[bytes]) -> None:
    assert discarded(*script).reusable


@pytest.mark.parametrize(
    "script",
    [
        [HEAD + b"Content-Length: 65537\r\n\r\n", b"x" * 65537],
        [CHUNKED, chunk(b"x" * 65537), b"0\r\n\r\n"],
        [CHUNKED, *[chunk(b"x" * 1000)] * 1000, b"0\r\n\r\n"],
        [HEAD + b"\r\nuntil the end", b""],
    ],
)
def test_what_is_too_much_to_read_costs_the_connection(script: list[bytes]) -> None:
    answered = discarded(*script)
    assert answered.lease.ends == [None]
    assert not answered.reusable


def test_no_more_is_read_than_it_is_worth() -> None:
    answered = discarded(CHUNKED, *[chunk(b"x" * 30000)] * 100, b"0\r\n\r\n")
    assert answered.connection.received <= 100_000


@pytest.mark.parametrize("script", [[CHUNKED, b"4\r\nbo", b""], [HEAD + b"Content-Length: 4\r\n\r\nbo", b""]])
def test_a_cut_body_is_the_endpoints_fault_and_nobody_elses(
    script: list[bytes], capfd: pytest.CaptureFixture[str]
) -> None:
    (failure,) = discarded(*script).lease.ends
    assert failure is not None
    assert failure.reason.code == "upstream_cut_body"
    assert capfd.readouterr().err == ""


def _slow(stream: Stream) -> None:
    read_head(stream)
    stream.send(CHUNKED + chunk(b"first"))
    silent(stream)


def test_nobody_waits_for_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbg.filters.discard._PATIENCE", 0.001)
    with a_fleet() as fleet, gevent.Timeout(5.0):
        endpoint = fleet.endpoint(_slow)
        discard(Lease(pool_of(endpoint), endpoint).exchange(request_for(), fresh=True))
        assert fleet.in_flight() == 1
        while fleet.in_flight():
            gevent.idle()
        assert endpoint.was_left()


def test_reading_out_tells_of_a_cut() -> None:
    answered = answer(CHUNKED, b"4\r\nbo", b"")
    with pytest.raises(UpstreamError):
        read_out(answered.exchange, iter(answered.exchange), 1000)


def test_reading_out_ends_at_the_limit() -> None:
    answered = answer(CHUNKED, *[chunk(b"x" * 1000)] * 10, b"0\r\n\r\n")
    read_out(answered.exchange, iter(answered.exchange), 3000)
    assert answered.connection.received == 4000
    assert not answered.reusable
