"""What is tried again, where, and how often: the retry table, seen from both ends."""

import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support.address import Address
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection, ReceivedRequest
from tests.support.client import NoResponseError, RawClient, RawResponse, fetch
from tests.support.handlers import (
    Handler,
    answer,
    close_before_answer,
    close_idle_after,
    echo,
    half_head,
    in_turn,
    keepalive_then_close_after,
    reset_before_answer,
    stall_before_head,
)
from tests.support.lbg import LbgProcess, one_pool
from tests.support.waiting import eventually

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH"]
BUFFER = 65536
CLOSE_WAIT = "08"  # include/net/tcp_states.h
UNJUDGED = {"health": {"type": "none"}, "outlier": {"connect_failures": 0, "server_errors": 0}}
"""Keeps endpoints in service whatever they do."""


@dataclass
class Pair:
    """lbg with one worker, so one round robin, in front of two backends."""

    lbg: LbgProcess
    first: Backend
    second: Backend

    def handle(self, handler: Handler) -> None:
        """Give both backends the same handler and forget what they have seen."""
        for backend in (self.first, self.second):
            backend.handler = handler
            backend.requests.clear()

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What both have received."""
        return [*self.first.requests, *self.second.requests]

    @property
    def counts(self) -> tuple[int, int]:
        """How many requests each has received."""
        return len(self.first.requests), len(self.second.requests)


def _run(directory: Path, **pool: object) -> Iterator[Pair]:
    with Backend() as first, Backend() as second:
        config = one_pool(first.url, second.url, balance="round_robin", **UNJUDGED, **pool)
        with LbgProcess(config, directory, workers=1) as process:
            yield Pair(process, first, second)


def _renewed(pair: Pair) -> Pair:
    """Forget the last test: both backends are up and have no connections."""
    for backend in (pair.first, pair.second):
        backend.stop()
        backend.start()
    pair.handle(answer())
    return pair


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run a pair without idle connections, where every request has a fresh one."""
    yield from _run(tmp_path_factory.mktemp("fresh"), connections={"idle": 0})


@pytest.fixture(scope="module")
def running_hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Run a pair whose backends have little time to answer."""
    yield from _run(tmp_path_factory.mktemp("hasty"), timeouts={"response": 0.3})


@pytest.fixture
def pair(running: Pair) -> Pair:
    """Give two backends with both up."""
    return _renewed(running)


@pytest.fixture
def hasty(running_hasty: Pair) -> Pair:
    """Give two backends that have 0.3 s to answer."""
    return _renewed(running_hasty)


@dataclass
class Lone:
    """lbg with one worker and one attempt a request in front of one backend."""

    lbg: LbgProcess
    backend: Backend

    @property
    def address(self) -> Address:
        """Where clients connect."""
        return self.lbg.address


@pytest.fixture(scope="module")
def running_lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lone]:
    """Run one for all tests of connections that are used again."""
    with Backend() as backend:
        config = one_pool(backend.url, retry={"attempts": 1}, **UNJUDGED)
        with LbgProcess(config, tmp_path_factory.mktemp("lone"), workers=1) as process:
            yield Lone(process, backend)


@pytest.fixture
def lone(running_lone: Lone) -> Lone:
    """Give one backend that has no connection."""
    backend = running_lone.backend
    backend.stop()
    backend.start()
    backend.handler = answer()
    backend.requests.clear()
    return running_lone


def _reason(response: RawResponse) -> str:
    """Return the reason code in Proxy-Status, empty when a backend answered."""
    status = response.get("proxy-status") or ""
    return status.partition('details="')[2].partition('"')[0]


def _send(address: Address, method: str, body: bytes | None = b"the body") -> RawResponse:
    return fetch(address, method=method, body=body if method in ("PUT", "POST", "PATCH") else None)


@pytest.mark.parametrize("method", [*IDEMPOTENT, *OTHERS])
def test_a_refused_connect_sends_any_method_elsewhere(pair: Pair, method: str) -> None:
    pair.handle(echo())
    pair.first.stop()
    answers = [_send(pair.lbg.address, method) for _ in range(4)]
    assert [response.status for response in answers] == [200] * 4
    assert len(pair.second.requests) == 4
    assert {request.body for request in pair.second.requests} <= {b"the body", b""}


def test_a_refused_connect_sends_a_chunked_post_elsewhere(pair: Pair) -> None:
    pair.handle(echo())
    pair.first.stop()
    request = (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    for _ in range(2):
        with RawClient(pair.lbg.address) as client:
            client.send(request)
            assert client.read_response().status == 200
    assert [request.body for request in pair.second.requests] == [b"abcde"] * 2


def test_a_refused_connect_sends_a_body_above_the_buffer_elsewhere(pair: Pair) -> None:
    pair.handle(echo())
    pair.first.stop()
    body = os.urandom(4 * BUFFER)
    for _ in range(2):
        assert fetch(pair.lbg.address, method="POST", body=body).status == 200
    assert [request.body for request in pair.second.requests] == [body] * 2


@pytest.mark.parametrize("fail", [close_before_answer(), reset_before_answer()], ids=["close", "reset"])
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_a_fresh_connection_that_ends_sends_an_idempotent_request_elsewhere(
    pair: Pair, method: str, fail: Handler
) -> None:
    pair.handle(in_turn(fail, answer()))
    assert _send(pair.lbg.address, method).status == 200
    assert pair.counts == (1, 1)


@pytest.mark.parametrize("fail", [close_before_answer(), reset_before_answer()], ids=["close", "reset"])
@pytest.mark.parametrize("method", OTHERS)
def test_a_fresh_connection_that_ends_is_the_answer_to_others(pair: Pair, method: str, fail: Handler) -> None:
    pair.handle(in_turn(fail, answer()))
    response = _send(pair.lbg.address, method)
    assert (response.status, _reason(response)) == (502, "upstream_reset")
    assert len(pair.requests) == 1


@pytest.mark.parametrize("size", [1, 1000, BUFFER])
def test_a_put_is_replayed_from_the_buffer(pair: Pair, size: int) -> None:
    pair.handle(in_turn(close_before_answer(), echo()))
    body = os.urandom(size)
    response = fetch(pair.lbg.address, method="PUT", body=body)
    assert response.status == 200
    assert [request.body for request in pair.requests] == [body, body]
    assert pair.counts == (1, 1)


def test_a_chunked_put_is_replayed_from_the_buffer(pair: Pair) -> None:
    pair.handle(in_turn(close_before_answer(), echo()))
    with RawClient(pair.lbg.address) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"3\r\nabc\r\n")
        client.send(b"2\r\nde\r\n0\r\n\r\n")
        assert client.read_response().status == 200
    assert [request.body for request in pair.requests] == [b"abcde", b"abcde"]


def test_a_put_is_replayed_while_its_body_is_still_coming(pair: Pair) -> None:
    def end_after_the_first_bytes(connection: BackendConnection) -> None:
        connection.read_head()
        connection.receive()
        connection.close()

    pair.handle(in_turn(end_after_the_first_bytes, echo()))
    with RawClient(pair.lbg.address) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nfirst")
        eventually(lambda: len(pair.requests) == 1, what="the first half at a backend")
        eventually(lambda: pair.first.open_connections + pair.second.open_connections == 1)
        client.send(b"-half")
        assert client.read_response().status == 200
    assert [request.body for request in pair.requests if request.complete] == [b"first-half"]


def test_a_put_above_the_buffer_is_not_replayed(pair: Pair) -> None:
    pair.handle(in_turn(close_before_answer(), echo()))
    response = fetch(pair.lbg.address, method="PUT", body=bytes(BUFFER + 1))
    assert (response.status, _reason(response)) == (502, "upstream_reset")
    assert len(pair.requests) == 1


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_half_a_head_is_a_bad_response(pair: Pair, method: str, end: str) -> None:
    pair.handle(in_turn(half_head("close" if end == "close" else "reset"), answer()))
    response = _send(pair.lbg.address, method)
    assert (response.status, _reason(response)) == (502, "bad_response")
    assert len(pair.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("silence", [stall_before_head(), half_head("stall")], ids=["no byte", "half a head"])
def test_a_response_timeout_is_told_and_not_retried(hasty: Pair, method: str, silence: Handler) -> None:
    hasty.handle(silence)
    response = _send(hasty.lbg.address, method)
    assert (response.status, _reason(response)) == (504, "response_timeout")
    assert len(hasty.requests) == 1
    eventually(
        lambda: hasty.first.open_connections + hasty.second.open_connections == 0,
        what="the abandoned connection to be closed",
    )


def test_the_response_timeout_ends_with_the_head(hasty: Pair) -> None:
    def trickle(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        for byte in (b"h", b"e", b"l", b"l", b"o"):
            connection.pause(0.2)
            connection.send(byte)

    hasty.handle(trickle)
    response = fetch(hasty.lbg.address)
    assert (response.status, response.body, response.complete) == (200, b"hello", True)


def test_the_total_timeout_ends_a_wait_for_the_head(lbg: StartLbg) -> None:
    with Backend(stall_before_head()) as backend:
        process = lbg(one_pool(backend.url, timeouts={"total": 0.4, "response": 30.0}), workers=1)
        response = fetch(process.address)
    assert (response.status, _reason(response)) == (504, "response_timeout")


def test_the_total_timeout_cuts_a_body_that_keeps_coming(lbg: StartLbg) -> None:
    def endless(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.send(b"1\r\nx\r\n")
            connection.pause(0.05)

    with Backend(endless) as backend:
        process = lbg(one_pool(backend.url, timeouts={"total": 0.5}), workers=1)
        response = fetch(process.address)
        assert response.status == 200
        assert not response.complete
        eventually(lambda: not backend.open_connections, what="the upstream connection to be closed")


@pytest.mark.parametrize("attempts", [1, 2, 3])
def test_attempts_count_all_tries(lbg: StartLbg, attempts: int) -> None:
    fail = close_before_answer()
    with Backend(fail) as a, Backend(fail) as b, Backend(fail) as c, Backend(fail) as d:
        backends = [a, b, c, d]
        process = lbg(one_pool(*(each.url for each in backends), retry={"attempts": attempts}), workers=1)
        response = fetch(process.address)
        counts = sorted(len(backend.requests) for backend in backends)
    assert (response.status, _reason(response)) == (502, "upstream_reset")
    assert counts == [0] * (4 - attempts) + [1] * attempts


def test_no_endpoint_is_tried_twice(lbg: StartLbg) -> None:
    with Backend(close_before_answer()) as backend:
        process = lbg(one_pool(backend.url, retry={"attempts": 10}), workers=1)
        response = fetch(process.address)
        assert (response.status, _reason(response)) == (502, "upstream_reset")
        assert len(backend.requests) == 1


def close_reused(end: str, then: Handler) -> Handler:
    """End a connection when its second request has come, whose bytes are then lost."""

    def handle(connection: BackendConnection) -> None:
        if not connection.served:
            then(connection)
            return
        connection.read_request()
        connection.close() if end == "close" else connection.reset()

    return handle


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", IDEMPOTENT)
def test_a_stale_connection_costs_an_idempotent_request_no_attempt(lone: Lone, method: str, end: str) -> None:
    lone.backend.handler = close_reused(end, echo())
    assert [_send(lone.address, method).status for _ in range(2)] == [200, 200]
    first, again, other = (request.connection for request in lone.backend.requests)
    assert first == again != other


@pytest.mark.parametrize("end", ["close", "reset"])
@pytest.mark.parametrize("method", OTHERS)
def test_a_stale_connection_is_the_answer_to_a_written_post(lone: Lone, method: str, end: str) -> None:
    lone.backend.handler = close_reused(end, echo())
    assert _send(lone.address, method).status == 200
    response = _send(lone.address, method, b"once")
    assert (response.status, _reason(response)) == (502, "upstream_reset_reused")
    assert [request.body for request in lone.backend.requests].count(b"once") == 1


def test_many_stale_connections_are_passed_one_after_the_other(lone: Lone) -> None:
    lone.backend.handler = close_reused("reset", echo())
    for _ in range(2):
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda _: fetch(lone.address).status, range(8))) == [200] * 8


def test_a_post_uses_no_idle_connection_that_the_backend_closed(lone: Lone) -> None:
    lone.backend.handler = close_idle_after(0.05, echo())
    for _ in range(3):
        assert _send(lone.address, "POST").status == 200
        eventually(lambda: not lone.backend.open_connections, what="the backend to close the idle connection")
    assert len(lone.backend.requests) == 3


def test_idle_connections_that_the_backend_closes_are_closed_by_lbg(lone: Lone) -> None:
    lone.backend.handler = close_idle_after(0.05)
    fetch(lone.address)
    (worker,) = lone.lbg.worker_pids("proxy")
    port = f":{lone.backend.address[1]:04X}"

    def half_closed() -> list[str]:
        rows = Path(f"/proc/{worker}/net/tcp").read_text().splitlines()[1:]
        return [row for row in rows if row.split()[2].endswith(port) and row.split()[3] == CLOSE_WAIT]

    eventually(lambda: not lone.backend.open_connections, what="the backend to close the idle connection")
    eventually(lambda: not half_closed(), what="lbg to close its end")


def test_a_backend_that_closes_between_requests_never_shows(lbg: StartLbg) -> None:
    with Backend(keepalive_then_close_after(2, echo())) as first, Backend(close_idle_after(0.001)) as second:
        process = lbg(one_pool(first.url, second.url))
        choice = random.Random(2)

        def visit(number: int) -> tuple[str, RawResponse]:
            method = choice.choice(["GET", "POST"])
            return method, fetch(process.address, f"/{number}", method=method, body=b"x" * 10)

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(visit, range(400)))
        sent = Counter(request.target for backend in (first, second) for request in backend.requests)
    assert {answer.status for method, answer in answers if method == "GET"} == {200}
    failed = {_reason(answer) for method, answer in answers if method == "POST" and answer.status != 200}
    assert failed <= {"upstream_reset_reused"}
    for number, (method, response) in enumerate(answers):
        if method == "POST":
            assert sent[b"/%d" % number] in ((1,) if response.status == 200 else (0, 1))


@pytest.fixture
def full_listener() -> Iterator[Address]:
    """Give an address whose queue of connections is full, so that a connect hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        held = []
        try:
            while True:
                client = socket.socket()
                held.append(client)
                client.settimeout(0.2)
                client.connect(listener.getsockname())
        except TimeoutError:
            yield listener.getsockname()
        finally:
            for client in held:
                client.close()


def test_a_connect_timeout_is_told(lbg: StartLbg, full_listener: tuple[str, int]) -> None:
    hung = f"http://127.0.0.1:{full_listener[1]}"
    process = lbg(one_pool(hung, timeouts={"connect": 0.2}, **UNJUDGED), workers=1)
    response = _send(process.address, "POST")
    assert (response.status, _reason(response)) == (504, "connect_timeout")


def test_a_connect_timeout_sends_a_post_elsewhere(
    lbg: StartLbg, backend: Backend, full_listener: tuple[str, int]
) -> None:
    hung = f"http://127.0.0.1:{full_listener[1]}"
    process = lbg(one_pool(hung, backend.url, timeouts={"connect": 0.2}), workers=1)
    assert [_send(process.address, "POST").status for _ in range(4)] == [200] * 4
    assert len(backend.requests) == 4


def test_a_name_without_an_address_is_told(lbg: StartLbg) -> None:
    quick = {"RES_OPTIONS": "timeout:1 attempts:1"}
    process = lbg(one_pool("http://no-such-host.invalid:8000", **UNJUDGED), env=quick, workers=1)
    response = _send(process.address, "POST")
    assert (response.status, _reason(response)) == (502, "dns_failure")


def test_a_cut_answer_is_never_sent_again(pair: Pair) -> None:
    def one_byte(connection: BackendConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nx")
        connection.close()

    pair.handle(one_byte)
    response = fetch(pair.lbg.address)
    assert (response.status, response.body, response.complete) == (200, b"x", False)
    assert len(pair.requests) == 1


def test_a_client_that_leaves_in_its_body_causes_no_retry(pair: Pair) -> None:
    pair.handle(echo())
    with RawClient(pair.lbg.address) as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        client.finish_sending()
        with pytest.raises(NoResponseError):
            client.read_response()
    eventually(lambda: pair.requests, what="the cut request at a backend")
    eventually(pair.first.settled)
    eventually(pair.second.settled)
    assert len(pair.requests) == 1
    assert not pair.requests[0].complete
