"""`wsgi.input`: clients that leave, stall, send too much, wait for a 100."""

from collections.abc import Callable

import pytest

from lbg.errors import ClientGone, RequestError, StreamTimeout
from lbg.net.deadline import NEVER
from tests.unit.net.scripted_stream import ScriptedStream
from tests.unit.server.inputs import ReadFrom, input_of

LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

READS: list[Callable[[ReadFrom], object]] = [
    lambda source: source.read(),
    lambda source: source.read(9),
    lambda source: source.readline(),
    lambda source: source.readlines(),
    list,
    lambda source: [source.read_some(), source.read_some(), source.read_some()],
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("end", [b"", ConnectionResetError(104, "reset")], ids=["end", "reset"])
@pytest.mark.parametrize("head", [LENGTH, CHUNKED], ids=["length", "chunked"])
def test_a_client_that_leaves_within_its_body_is_gone(
    read: Callable[[ReadFrom], object], end: bytes | Exception, head: bytes
) -> None:
    begun = b"3\r\nabc\r\n" if head is CHUNKED else b"abc"
    with pytest.raises(ClientGone):
        read(input_of(head, begun, end))


@pytest.mark.parametrize("read", READS)
def test_a_body_that_stops_coming_is_a_timeout(read: Callable[[ReadFrom], object]) -> None:
    with pytest.raises(RequestError) as caught:
        read(input_of(LENGTH, b"abc", StreamTimeout(), timeout=7.0))
    assert (caught.value.reason.code, caught.value.status) == ("client_body_timeout", 408)
    assert "7.0 s" in caught.value.detail


@pytest.mark.parametrize("read", READS)
def test_a_malformed_body_is_the_requests_fault(read: Callable[[ReadFrom], object]) -> None:
    with pytest.raises(RequestError) as caught:
        read(input_of(CHUNKED, b"3\r\nabc\r\nzz\r\n"))
    assert caught.value.status == 400


def test_a_fault_of_the_request_behind_does_not_touch_this_one() -> None:
    assert input_of(LENGTH, b"0123456789GET / NONSENSE\r\n\r\n").read() == b"0123456789"


def test_bytes_of_the_request_behind_are_not_part_of_the_body() -> None:
    source = input_of(LENGTH, b"0123456789GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert source.read() == b"0123456789"
    following = source.parser.next()
    assert following is not None
    assert following.target == b"/next"


@pytest.mark.parametrize(("limit", "fits"), [(5, False), (6, True), (0, True)])
def test_a_chunked_body_over_the_limit_is_refused(limit: int, fits: bool) -> None:
    source = input_of(CHUNKED, b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\n\r\n", limit=limit)
    if fits:
        assert source.read() == b"abcdef"
        return
    with pytest.raises(RequestError) as caught:
        source.read()
    assert (caught.value.reason.code, caught.value.status) == ("body_too_large", 413)


def test_each_read_from_the_client_has_its_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([100.0, 200.0])
    monkeypatch.setattr("lbg.server.body.monotonic", lambda: next(times))
    source = input_of(LENGTH, b"01234", b"56789", timeout=7.0)
    source.read()
    assert source.scripted.deadlines[1:] == [107.0, 207.0]


def awaiting(*script: bytes) -> ReadFrom:
    source = input_of(*script)
    source.awaited = True
    return source


def test_the_first_read_that_waits_answers_100_and_only_it() -> None:
    source = awaiting(LENGTH, b"01234", b"56789")
    assert source.scripted.sent == b""
    assert source.read(5) == b"01234"
    assert source.scripted.sent == CONTINUE
    source.read()
    assert source.scripted.sent == CONTINUE


def test_a_body_that_is_there_needs_no_100() -> None:
    source = awaiting(LENGTH + b"0123456789")
    assert source.read() == b"0123456789"
    assert source.scripted.sent == b""


def test_a_client_that_does_not_wait_gets_no_100() -> None:
    source = input_of(LENGTH, b"0123456789")
    source.read()
    assert source.scripted.sent == b""


def test_a_client_that_left_before_its_100_is_gone() -> None:
    source = awaiting(LENGTH, b"0123456789")
    source._stream = ScriptedStream(refuses=BrokenPipeError(32, "Broken pipe"))  # type: ignore[assignment]
    with pytest.raises(ClientGone):
        source.read()


def test_waiting_for_the_client_is_over_when_time_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbg.server.body.monotonic", lambda: 100.0)
    source = input_of(LENGTH, StreamTimeout(), b"0123456789")
    source.wait_for_bytes(1.0)
    assert source.scripted.deadline == NEVER
    assert source.read() == b"0123456789"


def test_nobody_waits_for_what_is_there() -> None:
    source = input_of(LENGTH + b"012", StreamTimeout())
    source.wait_for_bytes(1.0)
    assert source.read_some() == b"012"
    assert len(source.scripted.script) == 1
