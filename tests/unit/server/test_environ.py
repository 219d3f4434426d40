"""The WSGI environ of a request."""

from io import BytesIO
from typing import Any

import pytest

from lbg.errors import RequestError
from lbg.http.headers import EnvironKeys
from lbg.server.environ import FileWrapper, base_environ, fill_environ
from lbg.server.parser import Request, RequestParser


def parsed(message: bytes) -> Request:
    """Return the request that `message` begins with."""
    parser = RequestParser(65536)
    parser.feed(message)
    request = parser.next()
    assert request is not None
    return request


def environ_of(message: bytes) -> dict[str, Any]:
    """Return what `message` adds to an environ."""
    environ: dict[str, Any] = {}
    fill_environ(environ, parsed(message), EnvironKeys(underscores=False))
    return environ


def of_target(target: bytes) -> dict[str, Any]:
    return environ_of(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")


def fault(message: bytes) -> int:
    with pytest.raises(RequestError) as caught:
        environ_of(message)
    return caught.value.status


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        (b"/", "/", ""),
        (b"/a/b?c=d&e", "/a/b", "c=d&e"),
        (b"/a?b?c", "/a", "b?c"),
        (b"/a%20b%2Fc", "/a b/c", ""),
        (b"/caf%C3%A9", "/caf\xc3\xa9", ""),
        (b"//a/../b", "//a/../b", ""),
        (b"/?%20", "/", "%20"),
    ],
)
def test_the_path_is_decoded_and_the_raw_target_kept(target: bytes, path: str, query: str) -> None:
    environ = of_target(target)
    assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)
    assert environ["lbg.raw_target"] == target
    assert environ["RAW_URI"] == environ["REQUEST_URI"] == target.decode()


def test_method_protocol_and_raw_fields_are_told() -> None:
    environ = environ_of(b"PUT / HTTP/1.0\r\nX-A: 1\r\nx-a: 2\r\n\r\n")
    assert (environ["REQUEST_METHOD"], environ["SERVER_PROTOCOL"]) == ("PUT", "HTTP/1.0")
    assert environ["lbg.headers"] == [(b"X-A", b"1"), (b"x-a", b"2")]


def test_repeated_fields_are_joined_and_cookies_as_cookies_are() -> None:
    environ = environ_of(
        b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\n"
        b"Cookie: a=1\r\nCookie: b=2\r\nContent-Type: c/d\r\n\r\n"
    )
    assert environ["HTTP_X_A"] == "1,2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "c/d"


def test_names_that_could_forge_others_have_no_key() -> None:
    environ = environ_of(b"GET / HTTP/1.1\r\nHost: a\r\nX_A: 1\r\nProxy: 2\r\nHTTP_HOST: b\r\n\r\n")
    assert {key for key in environ if key.startswith("HTTP_")} == {"HTTP_HOST"}
    assert environ["HTTP_HOST"] == "a"


def test_values_are_latin_1_text() -> None:
    assert environ_of(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: \xe9\r\n\r\n")["HTTP_X_A"] == "\xe9"


def test_an_absolute_target_names_the_host_and_the_path() -> None:
    environ = environ_of(b"GET http://b:81/c?d HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n")
    assert (environ["HTTP_HOST"], environ["PATH_INFO"], environ["QUERY_STRING"]) == ("b:81", "/c", "d")
    assert environ["lbg.raw_target"] == b"/c?d"
    assert environ["lbg.headers"] == [(b"Host", b"b:81"), (b"X-A", b"1")]


def test_an_old_client_needs_no_host() -> None:
    assert "HTTP_HOST" not in environ_of(b"GET / HTTP/1.0\r\n\r\n")


def test_options_may_ask_about_the_server() -> None:
    assert environ_of(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")["PATH_INFO"] == "*"


@pytest.mark.parametrize(
    "message",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: \r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\n\r\n",
        b"GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
)
def test_a_target_or_host_no_server_may_accept_is_refused(message: bytes) -> None:
    assert fault(message) == 400


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity, chunked"])
def test_a_coding_we_cannot_take_off_is_not_implemented(coding: bytes) -> None:
    assert fault(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + coding + b"\r\n\r\n0\r\n\r\n") == 501


@pytest.mark.parametrize(
    ("field", "length", "chunked"),
    [(b"Content-Length: 12", 12, False), (b"Transfer-Encoding: CHUNKED", 0, True), (b"X-A: 1", 0, False)],
)
def test_the_framing_of_the_body_is_noted(field: bytes, length: int, chunked: bool) -> None:
    request = parsed(b"POST / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n")
    fill_environ({}, request, EnvironKeys(underscores=False))
    assert (request.length, request.chunked) == (length, chunked)


def test_the_base_is_what_pep_3333_asks_for() -> None:
    base = base_environ("https", ("a", "443"), multiprocess=False)
    assert (base["SERVER_NAME"], base["SERVER_PORT"], base["wsgi.url_scheme"]) == ("a", "443", "https")
    assert base["wsgi.version"] == (1, 0)
    assert base["wsgi.multiprocess"] is False
    assert base["wsgi.input_terminated"] is True


def test_a_file_is_given_in_blocks_and_closed() -> None:
    file = BytesIO(b"0123456789")
    wrapped = FileWrapper(file, 4)
    assert list(wrapped) == [b"0123", b"4567", b"89"]
    wrapped.close()
    assert file.closed


def test_a_file_without_close_needs_none() -> None:
    class Readable:
        def read(self, size: int) -> bytes:
            return b""

    assert not hasattr(FileWrapper(Readable()), "close")
