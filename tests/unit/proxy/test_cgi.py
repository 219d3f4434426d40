"""Requests from plain CGI keys, under servers that give nothing else."""

import pytest

from lbg.errors import LocalReply
from lbg.proxy.cgi import fields_of, target_of

HOST = {"HTTP_HOST": "a"}


def test_keys_become_field_names() -> None:
    environ = HOST | {
        "HTTP_X_FORWARDED_FOR": "1.1.1.1",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "5",
        "PATH_INFO": "/",
    }
    assert fields_of(environ) == [
        (b"Host", b"a"),
        (b"X-Forwarded-For", b"1.1.1.1"),
        (b"Content-Type", b"a/b"),
        (b"Content-Length", b"5"),
    ]


def test_values_keep_their_bytes() -> None:
    assert fields_of(HOST | {"HTTP_X_A": "caf\xe9"})[1] == (b"X-A", b"caf\xe9")


def test_empty_content_keys_are_no_fields() -> None:
    assert fields_of(HOST | {"CONTENT_TYPE": "", "CONTENT_LENGTH": ""}) == [(b"Host", b"a")]


@pytest.mark.parametrize("host", ["a,b", "a b", "", "a/b"])
def test_a_malformed_or_doubled_host_is_refused(host: str) -> None:
    with pytest.raises(LocalReply) as caught:
        fields_of({"HTTP_HOST": host})
    assert caught.value.status == 400


def test_a_new_client_needs_a_host_and_an_old_one_does_not() -> None:
    with pytest.raises(LocalReply):
        fields_of({"SERVER_PROTOCOL": "HTTP/1.1"})
    assert fields_of({"SERVER_PROTOCOL": "HTTP/1.0"}) == []


@pytest.mark.parametrize("key", ["RAW_URI", "REQUEST_URI"])
def test_the_raw_target_is_taken_where_the_server_tells_it(key: str) -> None:
    environ = {key: "/a%2Fb//c/../d?e", "PATH_INFO": "/wrong"}
    assert target_of(environ) == b"/a%2Fb//c/../d?e"


def test_an_absolute_target_becomes_its_path() -> None:
    assert target_of({"RAW_URI": "http://a:1/b?c"}) == b"/b?c"


@pytest.mark.parametrize(
    ("environ", "target"),
    [
        ({"PATH_INFO": "/a b"}, b"/a%20b"),
        ({"PATH_INFO": "/caf\xc3\xa9"}, b"/caf%C3%A9"),
        ({"PATH_INFO": "/a?b#c"}, b"/a%3Fb%23c"),
        ({"PATH_INFO": "/a%b"}, b"/a%25b"),
        ({"SCRIPT_NAME": "/app", "PATH_INFO": "/a", "QUERY_STRING": "b=%20&c"}, b"/app/a?b=%20&c"),
        ({"PATH_INFO": "/a\r\nX-Evil: 1"}, b"/a%0D%0AX-Evil:%201"),
        ({"PATH_INFO": ""}, b"/"),
        ({}, b"/"),
    ],
)
def test_otherwise_the_target_is_put_together_again(environ: dict[str, str], target: bytes) -> None:
    assert target_of(environ) == target
