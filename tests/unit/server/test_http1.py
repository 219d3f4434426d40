"""The loop of a client connection: keep-alive, pipelining, bodies, bad requests, broken applications."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.errors import ClientGone, LocalReply, RequestError
from tests.unit.server.conversations import GET, ask, bodies, conversation, echo
from tests.unit.upstream.responses import bytewise, pieces_at

POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody"
CHUNKED = b"PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
END = b"0\r\n\r\n"
UPGRADE = b"GET /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"
CLOSE = b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
OLD = b"GET /old HTTP/1.0\r\n\r\n"
SAID = {GET: b"/ ", POST: b"/p body", CHUNKED: b"/c abc", UPGRADE: b"/u "}


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(list(SAID)), min_size=1, max_size=5), st.lists(st.integers(0, 600), max_size=5)
)
def test_each_request_of_a_connection_gets_its_answer_in_order(
    requests: list[bytes], cuts: list[int]
) -> None:
    answers = ask(echo, *pieces_at(b"".join(requests), cuts))
    assert bodies(answers) == [SAID[request] for request in requests]


@pytest.mark.parametrize("request_", [CLOSE, OLD])
def test_a_request_that_ends_the_connection_is_the_last_one(request_: bytes) -> None:
    answers = ask(echo, GET + request_ + GET)
    assert len(bodies(answers)) == 2
    assert answers.count(b"Connection: close") == 1


def test_the_server_waits_for_the_next_request() -> None:
    with conversation(echo) as talk:
        for _ in range(3):
            talk.say(GET)
            assert talk.answer()[1] == b"/ "
        assert not talk.serving.ready()
        assert talk.service.requests == 3


def test_a_client_that_leaves_between_requests_gets_no_answer() -> None:
    assert ask(echo) == b""


@pytest.mark.parametrize("pieces", [[b"GET / HT"], [GET[:-2]], [b"\r\n"]])
def test_a_client_that_leaves_within_a_head_gets_no_answer(pieces: list[bytes]) -> None:
    assert ask(echo, *pieces) == b""


def ignore_body(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def test_a_body_nobody_read_that_came_whole_does_not_disturb_the_next_request() -> None:
    assert bodies(ask(ignore_body, POST + GET)) == [b"ok", b"ok"]
    assert bodies(ask(ignore_body, CHUNKED + GET)) == [b"ok", b"ok"]


def test_a_body_nobody_read_that_is_under_way_ends_the_connection() -> None:
    answers = ask(ignore_body, POST[:-1], GET)
    assert bodies(answers) == [b"ok"]
    assert b"Connection: close" in answers


@pytest.mark.parametrize(
    ("message", "status", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400, b"bad_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, b"bad_request"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, b"bad_request"),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400, b"bad_request"),
        (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, b"bad_request"),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505, b"bad_request"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 2000 + b"\r\n\r\n", 431, b"headers_too_large"),
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, b"uri_too_long"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413, b"body_too_large"),
        (
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            501,
            b"bad_request",
        ),
    ],
)
@pytest.mark.parametrize("cut", [lambda data: [data], bytewise], ids=["whole", "bytewise"])
def test_a_bad_request_is_answered_once_and_the_connection_closed(
    message: bytes, status: int, reason: bytes, cut: object
) -> None:
    assert callable(cut)
    answer = ask(echo, GET, *cut(message + GET), max_header_bytes=1024, max_body_bytes=10)
    first, rest = answer[: answer.index(b"/ ") + 2], answer[answer.index(b"/ ") + 2 :]
    assert status_of(first) == 200
    assert status_of(rest) == status
    assert b"reason: " + reason in rest
    assert rest.count(b"\r\nConnection: close\r\n") == rest.count(b"\r\nDate: ") == 1


def test_a_chunked_body_over_the_limit_is_refused_while_it_comes() -> None:
    answer = ask(echo, CHUNKED.removesuffix(END), b"8\r\n12345678\r\n0\r\n\r\n", max_body_bytes=5)
    assert (status_of(answer), b"body_too_large" in answer) == (413, True)


@pytest.mark.parametrize("error", [KeyError("secret"), OSError("secret"), AssertionError("secret")])
def test_an_application_that_fails_is_a_500_that_tells_nothing(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise error

    with caplog.at_level(logging.ERROR, "lbg.server"):
        answer = ask(failing, GET + GET)
    assert (status_of(answer), answer.count(b"HTTP/1.1 ")) == (500, 1)
    assert b"reason: internal" in answer
    assert b"secret" not in answer
    assert "the application failed: GET /" in caplog.text


def test_of_an_application_that_fails_the_log_tells_the_path_without_the_query(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        raise KeyError("x")

    with caplog.at_level(logging.ERROR, "lbg.server"):
        ask(failing, b"GET /a?key=secret HTTP/1.1\r\nHost: a\r\n\r\n")
    assert caplog.messages == ["the application failed: GET /a"]


def test_a_fault_in_the_body_that_the_application_met_is_answered_as_such() -> None:
    answer = ask(echo, CHUNKED.removesuffix(END), b"zz\r\n")
    assert (status_of(answer), answer.count(b"HTTP/1.1 ")) == (400, 1)


class Body:
    """An iterable that fails after its first piece, and notes that it was closed."""

    def __init__(self, *pieces: bytes, then: Exception | None = None) -> None:
        self._pieces = pieces
        self._then = then
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._then is not None:
            raise self._then

    def close(self) -> None:
        """Count the calls."""
        self.closed += 1


@pytest.mark.parametrize(
    "error",
    [
        KeyError(),
        OSError(),
        ClientGone("gone"),
        LocalReply("internal", "x"),
        RequestError("bad_request", "x"),
    ],
)
@pytest.mark.parametrize("length", [None, "8"])
def test_a_body_that_fails_is_cut_so_that_the_client_can_tell(error: Exception, length: str | None) -> None:
    body = Body(b"half", then=error)

    def half(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", length)] if length else [])
        return body

    answer = ask(half, GET + GET)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.endswith(b"\r\n\r\nhalf" if length else b"\r\n\r\n4\r\nhalf\r\n")
    assert body.closed == 1


@pytest.mark.parametrize(
    "headers",
    [[("Content-Length", "2")], [("Content-Length", "9")], [("X-A", "a\r\nb: c")]],
    ids=["long", "short", "forged"],
)
def test_a_response_that_breaks_http_ends_the_connection(headers: list[tuple[str, str]]) -> None:
    def breaking(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", headers)
        return [b"he", b"llo"]

    answer = ask(breaking, GET + GET)
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"b: c" not in answer


@pytest.mark.parametrize("message", [GET, POST, CLOSE])
def test_the_body_of_every_response_is_closed_once(message: bytes) -> None:
    body = Body(b"ok")

    def closing(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "2")])
        return body

    ask(closing, message)
    assert body.closed == 1


def test_a_client_that_leaves_during_the_response_closes_the_body() -> None:
    body = Body(*[b"x" * 100_000] * 100)

    def large(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        return body

    with conversation(large) as talk:
        talk.say(GET)
        assert talk.client.recv(10)
        talk.client.close()
        talk.serving.get()
    assert body.closed == 1


def test_a_wish_to_switch_behind_one_with_a_body_is_answered() -> None:
    wish = b"POST /u HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nab"
    answers = ask(echo, wish + UPGRADE + GET)
    assert bodies(answers) == [b"/u ab", b"/u ", b"/ "]


def test_connect_ends_the_connection_behind_its_answer() -> None:
    answers = ask(ignore_body, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" + GET)
    assert bodies(answers) == [b"ok"]


def test_trailers_of_a_request_reach_the_application_in_any_pieces() -> None:
    seen = []

    def reading(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        source = environ["wsgi.input"]
        source.read()
        seen.append(list(source.trailers))
        return ignore_body(environ, start_response)

    for body in (b"0\r\nX-T: 1\r\n\r\n", b"1\r\na\r\n0\r\nX-T: 1\r\n\r\n"):
        message = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        ask(reading, message)
        ask(reading, *bytewise(message))
    assert seen == [[(b"X-T", b"1")]] * 4


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_underscores_cannot_forge_the_framing(version: bytes) -> None:
    for forged in (
        b"Content_Length: abc",
        b"Content_Length: 5",
        b"Transfer_Encoding: chunked",
        b"Transfer_Encoding: gzip",
    ):
        message = b"GET / HTTP/%b\r\nHost: a\r\n%b\r\n\r\n" % (version, forged)
        assert status_of(ask(ignore_body, message, underscore_headers=True)) == 200
