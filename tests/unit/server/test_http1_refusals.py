"""The answers of the server in place of the application, in the form that the client can use."""

from collections.abc import Iterable
from typing import Any

import pytest

from lbg.errors import RequestError
from lbg.server.environ import Environ
from tests.unit.server.conversations import ask

BODY = b"POST / HTTP/1.1\r\nHost: a\r\nAccept: %b\r\nContent-Length: 9\r\n\r\n"


def refusing(environ: Environ, start_response: Any) -> Iterable[bytes]:
    raise RequestError("body_too_large", "Too large.")


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (b"text/html", b"text/html; charset=utf-8"),
        (b"application/json", b"application/problem+json"),
        (b"*/*", b"text/plain; charset=utf-8"),
    ],
)
@pytest.mark.parametrize("limit", [5, 0])
def test_a_refusal_has_the_form_that_the_client_asks_for(accept: bytes, kind: bytes, limit: int) -> None:
    answer = ask(refusing, BODY % accept, max_body_bytes=limit)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Content-Type: %b\r\n" % kind in answer


def test_a_refusal_of_a_head_request_has_no_body() -> None:
    answer = ask(refusing, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(b"\r\n\r\n")


def test_what_goes_wrong_in_telling_of_a_request_costs_no_answer(caplog: pytest.LogCaptureFixture) -> None:
    def spoiling(environ: Environ, start_response: Any) -> Iterable[bytes]:
        environ["lbg.exchange"] = None
        environ["lbg.finished"] = lambda *told: told[0]["lbg.exchange"].attempts
        raise KeyError("x")

    answer = ask(spoiling, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 500 ")
    assert b'details="internal"' in answer
    assert "could not be counted and logged" in caplog.text
