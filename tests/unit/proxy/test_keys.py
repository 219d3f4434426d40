"""By what requests are told apart."""

import time
from typing import Any
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.config.routes import RouteConfig
from lbg.hooks.reference import HookError
from lbg.proxy.keys import client_network, cookie, key_of, parameter
from lbg.proxy.record import Record
from lbg.routing.route import Route


def _key(spec: str, **environ: Any) -> bytes | None:
    record = Record("id")
    record.client = environ.pop("client", "192.0.2.1")
    record.path = environ.pop("path", "/a")
    record.route = Route("shöp", RouteConfig(), 0)
    return key_of(spec)({"lbg.exchange": record, **environ})


@pytest.mark.parametrize(
    ("client", "key"),
    [
        ("192.0.2.1", b"192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", b"2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", b"2001:db8:1:2::/64"),
        ("::1", b"::/64"),
        ("::ffff:192.0.2.1", b"192.0.2.1"),
        ("fe80::1%eth0", b"fe80::/64"),
        ("unix:", b"unix:"),
    ],
)
def test_a_client_is_its_address_or_its_network_of_64_bits(client: str, key: bytes) -> None:
    assert _key("client_ip", client=client) == client_network(client) == key


@pytest.mark.parametrize(
    ("spec", "environ", "key"),
    [
        ("path", {"path": "/caf\xc3\xa9"}, "/café".encode()),
        ("route", {}, "shöp".encode()),
        ("host", {"HTTP_HOST": "Shop.Example.:8080"}, b"shop.example"),
        ("host", {"HTTP_HOST": "[::1]:80"}, b"[::1]"),
        ("host", {}, None),
        ("header:X-Tenant", {"HTTP_X_TENANT": "a\xff"}, b"a\xff"),
        ("header:X-Tenant", {"HTTP_X_TENANT": "\N{SNOWMAN}"}, b"\\u2603"),
        ("header:X-Tenant", {"HTTP_X_TENANT": ""}, None),
        ("header:X-Tenant", {}, None),
        ("header:content-type", {"CONTENT_TYPE": "a/b"}, b"a/b"),
        ("cookie:sid", {"HTTP_COOKIE": "a=b; sid=1"}, b"1"),
        ("cookie:sid", {"HTTP_COOKIE": "sid="}, None),
        ("cookie:sid", {}, None),
        ("query:q", {"QUERY_STRING": "a=b&q=%c3%a9"}, "é".encode()),
        ("query:q", {"QUERY_STRING": "q=\xc3\xa9"}, "é".encode()),
        ("query:q", {"QUERY_STRING": "q="}, None),
        ("query:q", {}, None),
    ],
)
def test_a_key_is_taken_from_the_request(spec: str, environ: dict[str, Any], key: bytes | None) -> None:
    assert _key(spec, **environ) == key


def test_bytes_that_are_no_utf_8_make_different_keys() -> None:
    assert _key("query:q", QUERY_STRING="q=%ff") != _key("query:q", QUERY_STRING="q=%fe")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sid=1", "1"),
        ("a=sid=2; sid=1", "1"),
        ("xsid=2;sid=1", "1"),
        ("sid2=2; \t sid=1 ; sid=3", "1"),
        ('sid="a b"', '"a b"'),
        ("sid=a=b", "a=b"),
        ("sid", None),
        ("sid =1", None),
        ("SID=1", None),
        ("", None),
        (";;;", None),
    ],
)
def test_a_cookie_is_found_by_its_name(text: str, value: str | None) -> None:
    assert cookie(text, "sid") == value


@pytest.mark.parametrize("name", ["a.b", "a|b", "(a", "^", "$", "a+"])
def test_a_name_is_no_pattern(name: str) -> None:
    assert cookie(f"axb=0; a=2; {name}=1", name) == "1"
    assert cookie("axb=0; a=2", name) is None


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("id=1", "1"),
        ("a=1&id=2&id=3", "2"),
        ("id", ""),
        ("id&a", ""),
        ("id=", ""),
        ("%69d=1", "1"),
        ("%69%64=1", "1"),
        ("i%64=a%20b+c", "a b c"),
        ("id=%zz%", "%zz%"),
        ("id=a=b", "a=b"),
        ("id=?/", "?/"),
        ("ids=1", None),
        ("aid=1", None),
        ("a=id", None),
        ("a;id=1", None),
        ("ID=1", None),
        ("id\n", None),
        ("", None),
        ("&&&", None),
    ],
)
def test_a_parameter_is_found_by_its_name(query: str, value: str | None) -> None:
    assert parameter(query, "id") == value


@given(st.text("ab&=+%2016", max_size=30), st.sampled_from(["a", "ab", "a b", "a&b", "a=", "+", "b%"]))
def test_a_parameter_is_what_the_library_finds(query: str, name: str) -> None:
    pairs = parse_qsl(query, keep_blank_values=True, encoding="latin-1")
    found = next((value for each, value in pairs if each == name), None)
    assert parameter(query, name) == found


@given(st.text(st.characters(max_codepoint=255), min_size=1, max_size=8), st.binary(max_size=8))
def test_a_parameter_comes_out_as_it_was_put_in(name: str, value: bytes) -> None:
    query = f"x=1&{quote(name, safe='', encoding='latin-1')}={quote(value)}&y"
    if name not in {"x", "y"}:
        assert parameter(query, name) == value.decode("latin-1")


@pytest.mark.parametrize("filler", [";", "; ", ";a=b", "; \t", "&", "%&", "+&a%61=", "%69&", "%69%"])
def test_a_long_field_takes_no_long_time(filler: str) -> None:
    text = filler * (65_536 // len(filler))
    begun = time.perf_counter()
    assert cookie(text + "sid", "sid") is None
    assert parameter(text, "id") is None
    assert time.perf_counter() - begun < 0.1


def by_tenant(environ: dict[str, Any]) -> Any:
    """Return what the test put there, as the function of a user would."""
    if "error" in environ:
        raise environ["error"]
    return environ.get("tenant")


@pytest.mark.parametrize(
    ("value", "key"), [(b"a", b"a"), ("é", "é".encode()), (7, b"7"), ("", None), (b"", None), (None, None)]
)
def test_a_function_of_the_user_gives_the_key(value: Any, key: bytes | None) -> None:
    assert _key(f"{__name__}:by_tenant", tenant=value) == key


def test_a_function_that_fails_gives_no_key(caplog: pytest.LogCaptureFixture) -> None:
    assert _key(f"{__name__}:by_tenant", error=RuntimeError("no database")) is None
    assert f'key "{__name__}:by_tenant"' in caplog.text
    assert "no database" in caplog.text


def test_a_value_that_is_no_text_gives_no_key() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    assert _key(f"{__name__}:by_tenant", tenant=Broken()) is None


def test_a_function_that_there_is_not_cannot_be_used() -> None:
    with pytest.raises(HookError):
        key_of(f"{__name__}:none_such")
