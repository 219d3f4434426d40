"""How a response is framed, for every method, status, version and length."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.server.parser import Request
from lbg.server.response import Response
from tests.unit.net.scripted_stream import ScriptedStream, as_stream
from tests.unit.server.services import TickedService


@dataclass(frozen=True)
class Written:
    """What a response looks like on the wire."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes
    keep_alive: bool

    def values(self, name: str) -> list[str]:
        """Return all values of a header."""
        return [value for key, value in self.headers if key.lower() == name]


def respond(
    status: str,
    headers: list[tuple[str, str]],
    body: list[bytes],
    *,
    method: str = "GET",
    version: str = "1.1",
    keep_alive: bool = True,
    complete: bool = True,
    stopping: bool = False,
) -> Written:
    """Return what reaches the client."""
    request = Request()
    request.method, request.version, request.complete = method, version, complete
    request.keep_alive = keep_alive
    stream = ScriptedStream()
    service = TickedService(None)
    service.stopping = stopping
    response = Response(as_stream(stream), service)
    response.begin(request)
    response.start(status, headers)
    response.send_all(body)
    head, separator, content = stream.sent.partition(b"\r\n\r\n")
    assert separator
    line, *fields = head.decode("latin-1").split("\r\n")
    parsed = [(name, value) for name, _, value in (field.partition(": ") for field in fields)]
    return Written(line, parsed, content, response.keep_alive)


CHUNKED_BODY = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"

# Method, status, version, Content-Length; then: the body on the wire, is it chunked, is its length told,
# does the connection stay.
TABLE = [
    ("GET", 200, "1.1", "3", b"abc", False, True, True),
    ("GET", 200, "1.1", None, CHUNKED_BODY, True, False, True),
    ("GET", 200, "1.0", "3", b"abc", False, True, True),
    ("GET", 200, "1.0", None, b"abc", False, False, False),
    ("POST", 200, "1.1", None, CHUNKED_BODY, True, False, True),
    ("GET", 404, "1.1", None, CHUNKED_BODY, True, False, True),
    ("GET", 205, "1.1", "0", b"", False, True, True),
    ("GET", 200, "1.1", "0", b"", False, True, True),
    ("GET", 200, "1.0", "0", b"", False, True, True),
    ("HEAD", 200, "1.1", "3", b"", False, True, True),
    ("HEAD", 200, "1.1", None, b"", False, False, True),
    ("HEAD", 200, "1.0", "3", b"", False, True, True),
    ("HEAD", 200, "1.0", None, b"", False, False, True),
    ("GET", 204, "1.1", None, b"", False, False, True),
    ("GET", 204, "1.1", "3", b"", False, False, True),
    ("GET", 204, "1.0", None, b"", False, False, True),
    ("GET", 304, "1.1", None, b"", False, False, True),
    ("GET", 304, "1.1", "3", b"", False, True, True),
    ("GET", 304, "1.0", "3", b"", False, True, True),
    ("HEAD", 304, "1.1", "3", b"", False, True, True),
    ("HEAD", 204, "1.1", None, b"", False, False, True),
]


@pytest.mark.parametrize(("method", "status", "version", "length", "wire", "chunked", "told", "stays"), TABLE)
def test_the_framing_of_a_response(
    method: str,
    status: int,
    version: str,
    length: str | None,
    wire: bytes,
    chunked: bool,
    told: bool,
    stays: bool,
) -> None:
    headers = [] if length is None else [("Content-Length", length)]
    body = [] if length == "0" or method == "HEAD" or status in {204, 304} else [b"ab", b"c"]
    written = respond(f"{status} Any", headers, body, method=method, version=version)
    assert written.line == f"HTTP/1.1 {status} Any"
    assert written.body == wire
    assert written.values("transfer-encoding") == (["chunked"] if chunked else [])
    assert written.values("content-length") == ([length] if told else [])
    assert written.keep_alive is stays


@pytest.mark.parametrize("length", [None, "3"])
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
def test_a_body_where_none_may_be_is_not_sent(method: str, status: int, length: str | None) -> None:
    headers = [] if length is None else [("Content-Length", length)]
    assert respond(f"{status} Any", headers, [b"abc"], method=method).body == b""


@settings(deadline=None)
@given(
    st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
    st.sampled_from([200, 201, 204, 206, 304, 404, 500]),
    st.sampled_from(["1.0", "1.1"]),
    st.booleans(),
    st.lists(st.binary(max_size=20), max_size=4),
)
def test_the_client_can_always_tell_where_a_response_ends(
    method: str,
    status: int,
    version: str,
    with_length: bool,
    body: list[bytes],
) -> None:
    size = sum(map(len, body))
    headers = [("Content-Length", str(size))] if with_length else []
    written = respond(f"{status} Any", headers, body, method=method, version=version)
    ends = written.values("transfer-encoding") == ["chunked"] or written.values("content-length") == [
        str(size)
    ]
    bodiless = method == "HEAD" or status in {204, 304}
    assert ends or bodiless or not written.keep_alive
    assert not (written.values("transfer-encoding") and written.values("content-length"))
    assert bodiless <= (written.body == b"")
    assert not (version == "1.0" and written.values("transfer-encoding"))


@pytest.mark.parametrize(
    ("version", "keep_alive", "connection"),
    [("1.1", True, []), ("1.1", False, ["close"]), ("1.0", True, ["keep-alive"]), ("1.0", False, ["close"])],
)
def test_the_client_is_told_whether_the_connection_stays(
    version: str,
    keep_alive: bool,
    connection: list[str],
) -> None:
    written = respond("200 OK", [("Content-Length", "0")], [], version=version, keep_alive=keep_alive)
    assert (written.values("connection"), written.keep_alive) == (connection, keep_alive)


def test_an_early_answer_to_an_unread_body_closes_the_connection() -> None:
    written = respond("413 Too Large", [("Content-Length", "0")], [], complete=False)
    assert (written.values("connection"), written.keep_alive) == (["close"], False)


def test_a_stopping_server_closes_the_connection_behind_its_answer() -> None:
    written = respond("200 OK", [("Content-Length", "0")], [], stopping=True)
    assert (written.values("connection"), written.keep_alive) == (["close"], False)
