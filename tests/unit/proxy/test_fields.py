"""The fields of a request as filters see and change them."""

from typing import Any

import pytest

from lbg.proxy.fields import BadField, add_field, cgi_key, fields, remove_field, set_field


def _environ(**keys: str) -> dict[str, Any]:
    raw = [(key[5:].replace("_", "-").encode(), value.encode("latin-1")) for key, value in keys.items()]
    return {**keys, "lbg.headers": raw}


def test_the_fields_of_our_server_are_the_list_itself() -> None:
    environ = _environ(HTTP_A="1")
    assert fields(environ) is environ["lbg.headers"]


def test_under_another_server_the_fields_are_made_once() -> None:
    environ: dict[str, Any] = {"HTTP_HOST": "a", "HTTP_X_A": "1", "CONTENT_TYPE": "text/plain"}
    made = fields(environ)
    assert made == [(b"Host", b"a"), (b"X-A", b"1"), (b"Content-Type", b"text/plain")]
    assert fields(environ) is made


def test_a_field_is_set_in_both_places() -> None:
    environ = _environ(HTTP_X_A="1")
    environ["lbg.headers"].append((b"x-a", b"2"))
    set_field(environ, "X-A", "caf\xe9")
    assert environ["lbg.headers"] == [(b"X-A", b"caf\xe9")]
    assert environ["HTTP_X_A"] == "caf\xe9"


def test_a_field_can_be_set_and_removed_under_another_server() -> None:
    environ: dict[str, Any] = {"HTTP_HOST": "a", "HTTP_X_A": "1"}
    set_field(environ, "X-A", "2")
    assert environ["lbg.headers"] == [(b"Host", b"a"), (b"X-A", b"2")]
    remove_field(environ, "x-a")
    assert environ["lbg.headers"] == [(b"Host", b"a")]
    assert "HTTP_X_A" not in environ


def test_host_can_be_set_under_another_server() -> None:
    environ: dict[str, Any] = {"HTTP_HOST": "a", "SERVER_PROTOCOL": "HTTP/1.1"}
    set_field(environ, "Host", "b")
    assert environ["lbg.headers"] == [(b"Host", b"b")]
    assert environ["HTTP_HOST"] == "b"


@pytest.mark.parametrize(
    ("name", "key", "joined"),
    [("Cookie", "HTTP_COOKIE", "1; 2"), ("X-A", "HTTP_X_A", "1,2"), ("content-type", "CONTENT_TYPE", "1,2")],
)
def test_added_values_are_joined_for_cgi(name: str, key: str, joined: str) -> None:
    environ = _environ()
    add_field(environ, name, "1")
    add_field(environ, name, "2")
    assert environ[key] == joined
    assert [value for _, value in environ["lbg.headers"]] == [b"1", b"2"]


def test_both_ways_of_writing_a_name_are_removed() -> None:
    environ = _environ(HTTP_X_USER="1,2", HTTP_X="3")
    environ["lbg.headers"] = [(b"x_user", b"1"), (b"X-User", b"2"), (b"X", b"3")]
    remove_field(environ, "X-User")
    assert environ["lbg.headers"] == [(b"X", b"3")]


def test_removing_what_is_not_there_changes_nothing() -> None:
    environ = _environ(HTTP_A="1")
    remove_field(environ, "B")
    assert environ == _environ(HTTP_A="1")


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb", "a\0b", "snow\N{SNOWMAN}", "\ud800"])
def test_a_value_that_cannot_stand_in_a_field_changes_nothing(value: str) -> None:
    environ = _environ(HTTP_A="1")
    with pytest.raises(BadField):
        add_field(environ, "B", value)
    with pytest.raises(BadField):
        set_field(environ, "A", value)
    assert environ == _environ(HTTP_A="1")


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("x-user", None),
        ("X-User, close", "close"),
        ("keep-alive, X-USER , x-user-2", "keep-alive, x-user-2"),
        ("keep-alive", "keep-alive"),
        ("x-user-2", "x-user-2"),
        ("", ""),
    ],
)
def test_connection_no_longer_names_a_field_that_is_added(said: str, left: str | None) -> None:
    environ = _environ(HTTP_CONNECTION=said)
    add_field(environ, "X-User", "1")
    assert environ.get("HTTP_CONNECTION") == left
    expected = [] if left is None else [left.encode()]
    assert [value for name, value in environ["lbg.headers"] if name.lower() == b"connection"] == expected


@pytest.mark.parametrize(
    ("name", "key"), [("x-a-b", "HTTP_X_A_B"), ("Content-Length", "CONTENT_LENGTH"), ("Host", "HTTP_HOST")]
)
def test_names_have_cgi_keys(name: str, key: str) -> None:
    assert cgi_key(name) == key
