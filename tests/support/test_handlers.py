"""Each ready behaviour of the test backend, seen from a client."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import handlers
from tests.support.backend import Backend
from tests.support.client import NoResponseError, RawClient, RawResponse, fetch
from tests.support.handlers import Handler
from tests.support.waiting import eventually


def answer_of(handler: Handler, method: str = "GET") -> RawResponse:
    """Ask a backend with this behaviour once."""
    with Backend(handler) as backend:
        return fetch(backend.address, method=method)


def test_answer_has_status_fields_and_body() -> None:
    response = answer_of(handlers.answer(404, [("X-A", "b")], b"none"))
    assert (response.status, response.reason, response.get("x-a"), response.body) == (
        404,
        "Not Found",
        "b",
        b"none",
    )
    assert response.framing == "length"


def test_answer_to_head_and_with_204_has_no_body() -> None:
    response = answer_of(handlers.answer(), method="HEAD")
    assert (response.get("content-length"), response.body, response.framing) == ("2", b"", "none")
    assert answer_of(handlers.answer(204)).framing == "none"


def test_chunked_has_trailers() -> None:
    response = answer_of(handlers.chunked([b"a", b"bc"], trailers=[("X-Sum", "3")]))
    assert (response.framing, response.body, response.trailers) == ("chunked", b"abc", [(b"X-Sum", b"3")])


def test_stream_has_the_promised_length() -> None:
    response = answer_of(handlers.stream(200_001))
    assert (len(response.body), response.complete) == (200_001, True)


def test_sse_sends_one_chunk_an_event() -> None:
    response = answer_of(handlers.sse(3, interval=0.001))
    assert response.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"


def test_slow_answers_late() -> None:
    assert answer_of(handlers.slow(0.01)).status == 200


def test_a_stall_before_the_head_says_nothing() -> None:
    with Backend(handlers.stall_before_head()) as backend, RawClient(backend.address, timeout=0.05) as client:
        with pytest.raises(TimeoutError):
            client.request()


@pytest.mark.parametrize("handler", [handlers.close_before_answer(), handlers.reset_before_answer()])
def test_an_end_before_the_answer_is_no_response(handler: Handler) -> None:
    with pytest.raises(NoResponseError) as caught:
        answer_of(handler)
    assert caught.value.partial == b""


@pytest.mark.parametrize("end", ["close", "reset"])
def test_half_a_head_is_no_response(end: handlers.End) -> None:
    with pytest.raises(NoResponseError) as caught:
        answer_of(handlers.half_head(end))
    assert caught.value.partial.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "handler", [handlers.half_body(), handlers.lie_longer(), handlers.half_body("reset")]
)
def test_half_a_body_is_incomplete(handler: Handler) -> None:
    response = answer_of(handler)
    assert (response.complete, response.body, response.framing) == (False, b"hello", "length")
    assert "10 bytes was promised, 5 bytes came" in response.defect


def test_half_a_chunked_body_is_incomplete() -> None:
    response = answer_of(handlers.half_chunked())
    assert (response.complete, response.body, response.framing) == (False, b"hello", "chunked")
    assert "last chunk" in response.defect


def test_a_reset_in_mid_body_is_incomplete() -> None:
    response = answer_of(handlers.reset_mid_body())
    assert (response.complete, response.body) == (False, b"hello")
    assert "reset" in response.defect


def test_a_length_below_the_body_leaves_bytes_over() -> None:
    with Backend(handlers.lie_shorter()) as backend, RawClient(backend.address) as client:
        response = client.request()
        assert (response.body, response.complete, client.unread) == (b"hello", True, b", left over")


def test_an_early_answer_comes_although_the_body_does_not() -> None:
    with Backend(handlers.early_answer_then_close()) as backend, RawClient(backend.address) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        assert client.read_response().status == 413
        assert client.closed_by_peer()
    assert not backend.requests[0].complete


def test_raw_bytes_are_sent_untouched() -> None:
    with Backend(handlers.raw_bytes(b"\x00anything\n")) as backend, RawClient(backend.address) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.read_until_closed() == b"\x00anything\n"


def test_a_connection_closes_after_its_number_of_requests() -> None:
    with Backend(handlers.keepalive_then_close_after(2)) as backend, RawClient(backend.address) as client:
        assert [client.request().status for _ in range(2)] == [200, 200]
        assert client.closed_by_peer()


def test_an_idle_connection_closes_after_its_time() -> None:
    with Backend(handlers.close_idle_after(0.01)) as backend, RawClient(backend.address) as client:
        client.request()
        assert client.closed_by_peer()
        eventually(lambda: backend.open_connections == 0)


def test_handlers_in_turn_end_with_the_last() -> None:
    one, other = handlers.answer(500), handlers.answer(200)
    with Backend(handlers.in_turn(one, other)) as backend, RawClient(backend.address) as client:
        assert [client.request().status for _ in range(3)] == [500, 200, 200]


def test_small_sends_are_not_delayed() -> None:
    with Backend() as backend, RawClient(backend.address) as client:
        assert client.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_counting_tells_how_many_requests_there_were_at_once() -> None:
    counting = handlers.Counting(0.05)
    assert answer_of(counting).status == 200
    assert counting.peak == 1
    with Backend(counting) as backend, ThreadPoolExecutor(3) as pool:

        def three_at_once() -> bool:
            assert {each.status for each in pool.map(fetch, [backend.address] * 3)} == {200}
            return counting.peak == 3

        eventually(three_at_once)
