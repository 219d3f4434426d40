"""The proxy under servers that know WSGI and nothing more."""

from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from lbg.errors import Sent, UpstreamError
from tests.unit.proxy.proxies import Proxy, base, proxy
from tests.unit.upstream.scripted_endpoint import OK

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
TYPED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


def validated(front: Proxy, **environ: Any) -> tuple[str, bytes]:
    """Return status and body of an answer that wsgiref has checked on both sides."""
    environ = {
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        **environ,
    }
    setup_testing_defaults(environ)
    statuses: list[str] = []

    def start_response(status: str, headers: object, exc_info: object = None) -> Any:
        statuses.append(status)
        return lambda _: None

    checked: Any = validator(front.handler.handle)
    result = checked(environ, start_response)
    try:
        return statuses[0] if statuses else "", b"".join(result)
    finally:
        result.close()


@pytest.mark.parametrize(
    ("answer", "environ", "status", "body"),
    [
        (TYPED, {}, "200 OK", b"ok"),
        (TYPED, {"QUERY_STRING": "a=b", "PATH_INFO": "/x y"}, "200 OK", b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", {}, "204 No Content", b""),
        (b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n", {}, "304 Not Modified", b""),
        (TYPED[:-2], {"REQUEST_METHOD": "HEAD"}, "200 OK", b""),
        (
            TYPED,
            {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "4", "wsgi.input": BytesIO(b"body")},
            "200 OK",
            b"ok",
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nKeep-Alive: x\r\n\r\n"
            b"2\r\nok\r\n0\r\n\r\n",
            {},
            "200 OK",
            b"ok",
        ),
    ],
)
def test_an_answer_is_valid_wsgi(answer: bytes, environ: dict[str, Any], status: str, body: bytes) -> None:
    with proxy(answer) as front:
        assert validated(front, **environ) == (status, body)
        assert front.in_flight() == 0


@pytest.mark.parametrize("accept", ["", "text/html", "application/json"])
def test_a_local_reply_is_valid_wsgi(accept: str) -> None:
    with proxy(REFUSED) as front:
        status, body = validated(front, HTTP_ACCEPT=accept)
        assert status == "502 Bad Gateway"
        assert b"connect_refused" in body


def test_the_request_is_put_together_from_cgi_keys() -> None:
    with proxy(OK) as front:
        front.call(base() | {"HTTP_HOST": "a", "PATH_INFO": "/x y", "QUERY_STRING": "b", "HTTP_X_A": "1"})
        head = front.heads[0]
        assert head[:2] == [b"GET /x%20y?b HTTP/1.1", b"Host: a"]
        assert b"X-A: 1" in head


def test_a_chunked_body_of_unknown_length_is_read_to_its_end() -> None:
    with proxy(OK) as front:
        environ = {"HTTP_HOST": "a", "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": BytesIO(b"body")}
        assert front.call(base("POST") | environ).status == "200 OK"
        assert b"Transfer-Encoding: chunked" in front.heads[0]


@pytest.mark.parametrize("length", ["abc", "-5", "+5", "5, 5", "1_0", "\u0665".encode().decode("latin-1")])
def test_a_malformed_length_is_a_bad_request(length: str) -> None:
    with proxy(OK) as front:
        environ = {"HTTP_HOST": "a", "CONTENT_LENGTH": length, "wsgi.input": BytesIO(b"x" * 10)}
        assert front.call(base("POST") | environ).status == "400 Bad Request"
        assert front.received == []


def test_a_host_that_is_missing_is_a_bad_request() -> None:
    with proxy(OK) as front:
        assert front.call(base() | {"PATH_INFO": "/"}).status == "400 Bad Request"
