"""Requests that nobody sends."""

import pytest

from lbg.proxy.inquiry import BadInquiry, Inquiry


@pytest.mark.parametrize(
    ("url", "host", "path", "query"),
    [
        ("http://Example.com:8080/a%2Fb?x=1", "example.com", "/a%2Fb", "x=1"),
        ("https://example.com", "example.com", "/", ""),
        ("HTTP://[::1]:80/", "[::1]", "/", ""),
        ("/a?b?c", "", "/a", "b?c"),
        ("*", "", "*", ""),
    ],
)
def test_a_url_or_a_path_is_taken_apart(url: str, host: str, path: str, query: str) -> None:
    asked = Inquiry.of("GET", url)
    assert (asked.host, asked.raw_path, asked.environ["QUERY_STRING"]) == (host, path, query)


def test_the_scheme_is_known() -> None:
    assert Inquiry.of("GET", "HTTPS://a/").environ["wsgi.url_scheme"] == "https"
    assert Inquiry.of("GET", "/").environ["wsgi.url_scheme"] == "http"


def test_header_fields_become_what_a_server_makes_of_them() -> None:
    headers = ["X-A: 1", "x-a:2 ", "Cookie: a=1", "Cookie: b=2", "Content-Type: text/plain", "X-E: é"]
    environ = Inquiry.of("get", "/", [*headers, "Host: A.example:1"], "2001:db8::1").environ
    assert environ["REQUEST_METHOD"] == "GET"
    assert (environ["HTTP_X_A"], environ["HTTP_COOKIE"]) == ("1,2", "a=1; b=2")
    assert (environ["CONTENT_TYPE"], environ["HTTP_HOST"]) == ("text/plain", "A.example:1")
    assert environ["HTTP_X_E"] == "é".encode().decode("latin-1")
    assert environ["lbg.exchange"].client == environ["REMOTE_ADDR"] == "2001:db8::1"


def test_the_host_of_a_url_wins_over_the_field() -> None:
    asked = Inquiry.of("GET", "http://a/", ["Host: b"])
    assert (asked.host, asked.environ["HTTP_HOST"]) == ("a", "a")


def test_fields_that_never_reach_routing_are_told() -> None:
    asked = Inquiry.of("GET", "/", ["X_A: 1", "Proxy: x"])
    assert asked.dropped == ("X_A", "Proxy")
    assert Inquiry.of("GET", "/", ["X_A: 1"], underscores=True).dropped == ()


@pytest.mark.parametrize(
    ("method", "url", "headers", "client", "sentence"),
    [
        ("G T", "/", [], "", 'expected a method such as "GET", got "G T"'),
        ("", "/", [], "", "expected a method"),
        ("connect", "/", [], "", "CONNECT takes no route, lbg answers it with 405"),
        ("GET", "", [], "", "expected a URL of visible ASCII characters"),
        ("GET", "/a b", [], "", "expected a URL of visible ASCII characters, others as %XX"),
        ("GET", "/é", [], "", "expected a URL of visible ASCII characters"),
        ("GET", "/a#b", [], "", 'no client sends what follows "#"'),
        ("GET", "example.com/x", [], "", 'expected a URL such as "http://host/path", or a path'),
        ("GET", "ftp://a/", [], "", "expected a URL such as"),
        ("GET", "http:///x", [], "", "expected a URL such as"),
        ("GET", "http://a@b/", [], "", '"a@b" cannot be a host'),
        ("GET", "http://a:99999/", [], "", '"a:99999" cannot be a host'),
        ("GET", "/", ["Host: a b"], "", '"a b" cannot be a host'),
        ("GET", "/", ["Host: a", "host: b"], "", "one Host"),
        ("GET", "/", ["X-A"], "", 'expected a header field such as "Name: value", got "X-A"'),
        ("GET", "/", ["X A: 1"], "", "expected a header field"),
        ("GET", "/", ["X-A: 1\r\nX-B: 2"], "", "the value of X-A holds control characters"),
        ("GET", "/", [], "a.b", 'expected an address such as "192.0.2.1", got "a.b"'),
    ],
)
def test_what_can_be_no_request_is_told_in_a_sentence(
    method: str, url: str, headers: list[str], client: str, sentence: str
) -> None:
    with pytest.raises(BadInquiry) as refused:
        Inquiry.of(method, url, headers, client)
    assert sentence in str(refused.value)
    assert str(refused.value).isprintable()
