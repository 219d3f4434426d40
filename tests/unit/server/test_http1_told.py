"""What a connection tells those who watch: how each request ended, and what it refused."""

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from lbg.errors import LocalReply, RequestError, Sent, UpstreamError
from tests.unit.server.conversations import GET, conversation

Environ = dict[str, Any]
Told = list[tuple[Environ, int, int]]
POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


def watched(answer: Callable[[Environ, Any], Iterable[bytes]], told: Told) -> Any:
    """Return an application that answers with `answer` and notes what it is told at the end."""

    def application(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["lbg.finished"] = lambda *what: told.append(what)
        return answer(environ, start_response)

    return application


def two_pieces(environ: Environ, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [("Content-Length", "4")])
    yield b"ab"
    if environ["RAW_URI"] == "/cut":
        raise UpstreamError("upstream_cut_body", "cut", sent=Sent.ANSWERED)
    yield b"cd"


def failing(environ: Environ, start_response: Any) -> Iterable[bytes]:
    raise (RequestError("body_too_large", "too large") if environ["RAW_URI"] == "/p" else ValueError)


def tell(answer: Callable[[Environ, Any], Iterable[bytes]], message: bytes) -> tuple[Environ, int, int]:
    """Return what is told of the only request of a connection."""
    told: Told = []
    with conversation(watched(answer, told)) as talk:
        talk.say(message).rest()
    (what,) = told
    return what


def test_a_whole_response_has_status_and_bytes() -> None:
    environ, status, sent = tell(two_pieces, GET)
    assert (status, sent) == (200, 4)
    assert not {"lbg.cut", "lbg.fault"} & set(environ)


def test_a_response_that_the_endpoint_cut_has_the_cause() -> None:
    environ, status, sent = tell(two_pieces, GET.replace(b"/ ", b"/cut "))
    assert (status, sent) == (200, 2)
    assert isinstance(environ["lbg.cut"], UpstreamError)


def test_a_request_that_had_no_answer_at_the_end_of_the_grace_period_is_told_so() -> None:
    told: Told = []

    def killed(environ: Environ, start_response: Any) -> Iterable[bytes]:
        talk.serving.kill(block=False)
        environ["wsgi.input"].read()
        return []

    with conversation(watched(killed, told)) as talk:
        answer = talk.say(POST).rest()
    ((environ, status, _),) = told
    assert (status, environ["lbg.fault"].reason.code) == (0, "shutdown")
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1\r\n" in answer


def test_a_response_that_was_under_way_at_the_end_of_the_grace_period_has_the_cause() -> None:
    told: Told = []

    def killed(environ: Environ, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "9")])
        yield b"half"
        talk.serving.kill(block=False)
        environ["wsgi.input"].read()

    with conversation(watched(killed, told)) as talk:
        talk.say(POST)
    ((environ, status, sent),) = told
    assert (status, sent, type(environ["lbg.cut"]).__name__) == (200, 4, "GreenletExit")


@pytest.mark.parametrize(("message", "reason"), [(POST, "body_too_large"), (GET, "internal")])
def test_an_answer_in_place_of_the_application_is_told_once(
    message: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    told: Told = []
    with conversation(watched(failing, told)) as talk:
        refusals: list[LocalReply] = []
        talk.service.on_refusal.append(lambda fault, environ: refusals.append(fault))
        talk.say(message).rest()
    ((environ, status, _),) = told
    assert (status, environ["lbg.fault"].reason.code) == (0, reason)
    assert refusals == []


@pytest.mark.parametrize(
    ("message", "method", "target"),
    [
        (b"GET /a HTTP/1.1\r\n\r\n", "GET", "/a"),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n", "POST", "/a"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", None, None),
    ],
)
def test_a_request_that_never_reaches_the_application_is_told_with_what_is_known_of_it(
    message: bytes, method: str | None, target: str | None
) -> None:
    told: Told = []
    refusals: list[tuple[LocalReply, Environ]] = []
    with conversation(watched(two_pieces, told), max_body_bytes=5) as talk:
        talk.service.on_refusal.append(lambda *refusal: refusals.append(refusal))
        talk.say(GET + message).rest()
    ((fault, environ),) = refusals
    assert fault.status in {400, 413}
    assert (environ.get("REQUEST_METHOD"), environ.get("RAW_URI")) == (method, target)
    assert (environ["REMOTE_ADDR"], environ["lbg.listener"]) == ("9.9.9.9", "public")
    assert [status for _, status, _ in told] == [200]


def shown_id(answer: bytes) -> str:
    """Return the id in the head of an answer, which its body repeats."""
    head, _, body = answer.partition(b"\r\n\r\n")
    found = head.partition(b"X-Request-Id: ")[2].partition(b"\r\n")[0]
    assert b"request id: %b\n" % found in body
    return found.decode()


def refused_id() -> str:
    """Return the id of a request without Host, which the client and those who watch are told."""
    refused: list[Environ] = []
    with conversation(two_pieces) as talk:
        talk.service.on_refusal.append(lambda fault, environ: refused.append(environ))
        found = shown_id(talk.say(b"GET / HTTP/1.1\r\n\r\n").rest())
    assert [environ["lbg.request_id"] for environ in refused] == [found]
    return found


def test_a_refusal_has_an_id_of_its_own_which_is_told() -> None:
    ids = {refused_id(), refused_id()}
    assert [len(one) for one in ids] == [20, 20]


@pytest.mark.parametrize("message", [POST, GET])
def test_an_answer_in_place_of_the_application_has_the_id_that_it_gave(
    message: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    def numbered(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["lbg.exchange"] = SimpleNamespace(request_id="id7")
        return failing(environ, start_response)

    with conversation(numbered) as talk:
        assert shown_id(talk.say(message).rest()) == "id7"
