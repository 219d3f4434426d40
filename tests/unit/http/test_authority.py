"""What may stand in Host."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.http.target import is_authority


@pytest.mark.parametrize(
    "value",
    [
        "a",
        "example.com",
        "EXAMPLE.com:80",
        "my_service:8000",
        "a:0",
        "a:65535",
        "127.0.0.1",
        "127.0.0.1:8000",
        "[::1]",
        "[::1]:65535",
        "[2001:db8::a]:1",
        "[::ffff:127.0.0.1]",
        "xn--nxasmq6b.example",
        "caf%C3%A9.example",
        "example.com.",
    ],
)
def test_a_name_or_address_with_or_without_port_is_an_authority(value: str) -> None:
    assert is_authority(value)
    assert is_authority(value)  # and still is when it is remembered


@pytest.mark.parametrize(
    "value",
    [
        "",
        ":80",
        "a b",
        "a,b",
        "user@a",
        "a:b",
        "a:-1",
        "a:+80",
        "a:65536",
        "a:123456",
        "a:80:80",
        "::1",
        "[::1",
        "[::1]:65536",
        "[::1]x",
        "[]",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        'a"b',
        "a<b",
        "a%zz",
        "%61",
        "a%2Eexample",
        "a%3a80",
        "a%7f",
        "a\x00",
        "a\r\n",
        "a\n",
        "café",
        "a:\u0661",
    ],
)
def test_anything_else_is_not(value: str) -> None:
    assert not is_authority(value)


@settings(deadline=None)
@given(st.text(max_size=20))
def test_what_is_accepted_cannot_leave_a_field_or_a_quoted_string(value: str) -> None:
    if is_authority(value):
        assert value.isascii()
        assert value.isprintable()
        assert not set(value) & set(' ,"\\/?#@<>')


@settings(deadline=None)
@given(st.integers(0, 99_999))
def test_a_port_is_at_most_65535(port: int) -> None:
    assert is_authority(f"a:{port}") == (port <= 65535)
    assert is_authority(f"[::1]:{port}") == (port <= 65535)
