"""The loop of a client connection: timeouts, 100-continue, leaving clients, stopping."""

from collections.abc import Iterable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from lbg.server.http1 import Http1Connection
from tests.unit.net.stream_pair import fill, overdue, read_all, read_exactly
from tests.unit.server.conversations import GET, Conversation, ask, conversation, echo

EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Gate:
    """An application that answers when it is let."""

    def __init__(self) -> None:
        self.entered = Event()
        self.open = Event()
        self.left: list[BaseException] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.entered.set()
        try:
            self.open.wait()
        except BaseException as error:
            self.left.append(error)
            raise
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]


def waiting(talk: Conversation) -> Http1Connection:
    """Return the connection, once it waits for the client."""
    gevent.idle()
    assert talk.connection is not None
    return talk.connection


def test_a_connection_without_a_request_is_closed_in_silence() -> None:
    with conversation(echo) as talk:
        overdue(talk.ours)
        assert read_all(talk.client) == b""


def test_a_connection_between_requests_is_closed_in_silence() -> None:
    with conversation(echo) as talk:
        talk.say(GET)
        talk.answer()
        gevent.idle()
        overdue(talk.ours)
        assert read_all(talk.client) == b""


def test_a_head_that_does_not_come_whole_is_a_408() -> None:
    with conversation(echo, header_timeout=7.0) as talk:
        talk.say(b"GET / HTTP/1.1\r\n")
        overdue(talk.ours)
        answer = read_all(talk.client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"client_header_timeout" in answer
    assert b"7.0 s" in answer


def test_a_slow_head_does_not_get_more_time_with_each_piece() -> None:
    with conversation(echo, header_timeout=7.0) as talk:
        talk.say(b"GET / HTTP/1.1\r\n")
        deadline = talk.ours.deadline
        talk.say(b"Host: a\r\n")
        assert talk.ours.deadline == deadline


def test_keep_alive_and_head_have_their_own_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lbg.server.http1.monotonic", lambda: 1000.0)
    with conversation(echo, header_timeout=7.0, keepalive_timeout=33.0) as talk:
        assert talk.ours.deadline == 1007.0
        talk.say(GET)
        talk.answer()
        gevent.idle()
        assert talk.ours.deadline == 1033.0
        talk.say(b"GET /")
        assert talk.ours.deadline == 1007.0


def test_a_body_that_stops_coming_is_a_408() -> None:
    with conversation(echo) as talk:
        talk.say(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbo")
        overdue(talk.ours)
        answer = read_all(talk.client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"client_body_timeout" in answer


def test_a_client_that_awaits_a_100_gets_it_when_its_body_is_read() -> None:
    with conversation(echo) as talk:
        talk.say(EXPECTING)
        assert read_exactly(talk.client, len(CONTINUE)) == CONTINUE
        talk.say(b"body")
        assert talk.answer()[1] == b"/ body"


def ignoring(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("413 Too Large", [("Content-Length", "2")])
    return [b"no"]


def test_an_early_answer_takes_the_place_of_the_100_and_ends_the_connection() -> None:
    answer = ask(ignoring, EXPECTING)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"Connection: close" in answer


@pytest.mark.parametrize(
    "message",
    [
        EXPECTING + b"body",
        EXPECTING.replace(b"1.1", b"1.0") + b"body",
        EXPECTING.replace(b"100-continue", b"tea") + b"body",
    ],
    ids=["body came", "1.0", "another expectation"],
)
def test_a_client_that_needs_no_100_gets_none(message: bytes) -> None:
    answer = ask(echo, message)
    assert CONTINUE not in answer
    assert answer.endswith(b"/ body")


def test_an_old_client_never_gets_a_100() -> None:
    head = EXPECTING.replace(b"1.1", b"1.0")
    assert CONTINUE not in ask(echo, head, b"body")


def test_a_client_that_leaves_while_it_waits_interrupts_the_application() -> None:
    gate = Gate()
    with conversation(gate) as talk:
        talk.say(GET)
        gate.entered.wait()
        talk.client.close()
        gevent.idle()
        talk.service.ticks.tick()
        talk.service.ticks.tick()
        talk.serving.get()
    assert [type(error).__name__ for error in gate.left] == ["ClientGone"]


def test_a_request_shorter_than_a_tick_is_not_watched() -> None:
    gate, armed = Gate(), []
    with conversation(gate) as talk:
        talk.say(GET)
        for _ in range(2):
            talk.service.ticks.tick()
            armed.append(talk.ours.armed)
        gate.open.set()
        talk.answer()
        armed.append(talk.ours.armed)
    assert armed == [False, True, False]


def test_a_pipelined_request_does_not_interrupt_the_one_before() -> None:
    gate = Gate()
    with conversation(gate) as talk:
        talk.say(GET)
        for _ in range(3):
            talk.service.ticks.tick()
        talk.say(GET)
        for _ in range(3):
            talk.service.ticks.tick()
            gevent.idle()
        assert gate.left == []
        gate.open.set()
        assert [talk.answer()[1], talk.answer()[1]] == [b"ok", b"ok"]


def test_what_a_client_does_while_it_is_refused_is_not_raised() -> None:
    with conversation(echo) as talk:
        fill(talk.ours)
        talk.say(GET, b"GET / HTTP/1.1\nHost: a\n\n")
        talk.client.close()
        gevent.idle()
        talk.serving.get()


def test_a_stopping_server_closes_connections_between_requests_at_once() -> None:
    with conversation(echo) as talk:
        talk.say(GET)
        talk.answer()
        gevent.idle()
        talk.service.stop()
        assert read_all(talk.client) == b""


def test_a_stopping_server_finishes_the_request_under_way_and_closes() -> None:
    gate = Gate()
    with conversation(gate) as talk:
        talk.say(GET)
        talk.service.stop()
        gate.open.set()
        head, body = talk.answer()
        assert (b"Connection: close" in head, body) == (True, b"ok")
        assert read_all(talk.client) == b""


def test_a_stopping_server_lets_a_head_under_way_come() -> None:
    with conversation(echo) as talk:
        talk.say(GET[:10])
        talk.service.stop()
        talk.say(GET[10:])
        head, _ = talk.answer()
        assert b"Connection: close" in head


def test_a_stopping_server_answers_a_client_that_has_just_connected() -> None:
    with conversation(echo) as talk:
        talk.service.stop()
        talk.say(GET)
        head, _ = talk.answer()
        assert b"Connection: close" in head


def test_a_connection_is_known_to_its_service_until_it_ends() -> None:
    with conversation(echo) as talk:
        assert talk.service.connections == {waiting(talk)}
        talk.rest()
        assert talk.service.connections == set()


def test_the_repr_tells_client_and_state() -> None:
    with conversation(echo) as talk:
        assert repr(waiting(talk)) == "<Http1Connection 9.9.9.9 idle=True>"
