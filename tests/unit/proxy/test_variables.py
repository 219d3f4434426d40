"""Texts with variables, filled in for a request."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.config.routes import RouteConfig
from lbg.proxy.record import Record
from lbg.proxy.variables import Renderer
from lbg.routing.route import Route


def _render(text: str, *, decoded: bool = False, **facts: Any) -> str:
    """Return the text for a request of which `facts` are known."""
    record = Record(facts.pop("request_id", "id-1"))
    record.client = facts.pop("client", "192.0.2.1")
    record.path = facts.pop("path", "/a/b")
    route = RouteConfig(path_regex=facts.pop("path_regex", ""))
    record.route = facts.pop("route", Route("shop", route, 0))
    for name in ("pool", "endpoint"):
        setattr(record, name, facts.pop(name, None))
    status = facts.pop("status", "")
    environ = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": "10.0.0.1",
        "HTTP_HOST": "Shop.Example.:8080",
        "QUERY_STRING": "a=1&b=%2f",
        "wsgi.url_scheme": "http",
        "lbg.raw_target": b"/a//b?a=1&b=%2f",
        "lbg.exchange": record,
        **facts,
    }
    return Renderer.of(text, decoded=decoded).render(environ, status)


class Named:
    """A pool or an endpoint."""

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("", ""),
        ("plain", "plain"),
        ("100 %s %% {{x}} {{{{", "100 %s %% {x} {{"),
        ("{client_ip}", "192.0.2.1"),
        ("{peer_ip}", "10.0.0.1"),
        ("{host}", "shop.example"),
        ("{header:Host}", "Shop.Example.:8080"),
        ("{method}", "GET"),
        ("{scheme}", "http"),
        ("{path}", "/a/b"),
        ("{query}", "a=1&b=%2f"),
        ("{uri}", "/a//b?a=1&b=%2f"),
        ("{request_id}", "id-1"),
        ("{route}", "shop"),
        ("{query:b}", "/"),
        ("{query:none}{header:X-None}{cookie:none}{pool}{endpoint}{status}{match:1}", ""),
        ("%{method}%%{{{host}}}s", "%GET%%{shop.example}s"),
    ],
)
def test_a_variable_stands_for_what_is_known_of_the_request(text: str, rendered: str) -> None:
    assert _render(text) == rendered


def test_a_text_without_variables_is_a_constant() -> None:
    assert Renderer.of("100 %d {{}}").constant == "100 %d {}"
    assert Renderer.of("{method}").constant is None


def test_fields_and_cookies_are_found_by_their_names() -> None:
    known = {"HTTP_X_A_B": "1", "CONTENT_TYPE": "a/b", "HTTP_COOKIE": "x=0; sid=2"}
    assert _render("{header:x-a-b} {header:Content-Type} {cookie:sid}", **known) == "1 a/b 2"


def test_the_answer_is_known_once_it_is_there() -> None:
    facts = {"pool": Named("api"), "endpoint": Named("unix:/é"), "status": "502"}
    rendered = _render("{pool} {endpoint} {status}", **facts)
    assert rendered.encode("latin-1").decode() == "api unix:/é 502"


def test_a_name_beyond_latin_1_is_told_in_utf_8() -> None:
    rendered = _render("{route}", route=Route("*~/日本", RouteConfig(), 0))
    assert rendered.encode("latin-1").decode() == "*~/日本"


def test_a_request_without_a_route_has_no_name_for_it() -> None:
    assert _render("{route}{match:1}", route=None) == ""


def test_under_another_server_the_target_is_put_together() -> None:
    facts = {"lbg.raw_target": None, "PATH_INFO": "/a b", "QUERY_STRING": "x"}
    assert _render("{uri}", **facts) == "/a%20b?x"


@pytest.mark.parametrize("facts", [{"HTTP_HOST": "[::1]:80"}, {"HTTP_HOST": "[::1]"}])
def test_the_host_of_an_address_keeps_its_brackets(facts: dict[str, str]) -> None:
    assert _render("{host}", **facts) == "[::1]"


@pytest.mark.parametrize(
    ("path", "rendered"),
    [
        ("/a b", "/a%20b"),
        ("/caf\xc3\xa9", "/caf%C3%A9"),
        ("/a%2Fb", "/a%2Fb"),
        ("/100%", "/100%25"),
        ("/a?b#c", "/a%3Fb%23c"),
        ('/<a href="x">\'&;', "/%3Ca%20href=%22x%22%3E%27%26%3B"),
        ("/a\r\nX-Evil: 1", "/a%0D%0AX-Evil:%201"),
        ("/\\evil.example", "/%5Cevil.example"),
        ("*", "*"),
    ],
)
def test_the_path_is_as_it_can_stand_in_a_url(path: str, rendered: str) -> None:
    assert _render("{path}", path=path) == rendered


@pytest.mark.parametrize(
    ("query", "rendered"),
    [("q=a+b", "a%20b"), ("q=%26x%3d1", "%26x=1"), ("q=%0d%0a", "%0D%0A"), ("q=%zz", "%25zz"), ("q", "")],
)
def test_a_parameter_is_as_it_can_stand_in_a_url(query: str, rendered: str) -> None:
    assert _render("{query:q}", QUERY_STRING=query) == rendered


def test_who_encodes_it_himself_gets_it_decoded() -> None:
    known = {"path": "/a b%2F\xc3\xa9", "path_regex": "/(.*)", "QUERY_STRING": "q=a+b%26%c3%a9"}
    rendered = _render("{path}|{query:q}|{match:1}", decoded=True, **known)
    assert rendered == "/a b%2F\xc3\xa9|a b&\xc3\xa9|a b%2F\xc3\xa9"


@pytest.mark.parametrize(
    ("regex", "path", "text", "rendered"),
    [
        (r"/u/([0-9]+)/(?P<rest>.*)", "/u/7/a b", "{match:1}|{match:rest}|{match:0}", "7|a%20b|/u/7/a%20b"),
        (r"/u/([0-9]+)", "/u/7", "{match:2}{match:none}", ""),
        (r"/u/([0-9]+)?", "/u/", "{match:1}", ""),
        (r"/(é.)", "/\xc3\xa9\xc3\xa9", "{match:1}", "%C3%A9%C3%A9"),
        (r"/(.*)", "/\xff", "{match:1}", "%FF"),
        (r"/(.*)", "/a\nb", "{match:1}", "a%0Ab"),
        (r"/u/([0-9]+)", "/u/7/more", "{match:1}", ""),
    ],
)
def test_groups_of_the_pattern_for_paths_are_known(regex: str, path: str, text: str, rendered: str) -> None:
    assert _render(text, path_regex=regex, path=path) == rendered


EVERYTHING = (
    "{client_ip}{peer_ip}{host}{method}{scheme}{path}{query}{uri}{request_id}{route}{header:X-A}{cookie:sid}"
    "{query:q}{match:1}"
)
_TEXT = st.text(st.characters(max_codepoint=255), max_size=20)


@pytest.mark.parametrize("decoded", [True, False])
@given(text=_TEXT)
def test_no_value_can_break_out_of_a_field(decoded: bool, text: str) -> None:
    facts = {
        "path": f"/{text}",
        "path_regex": "(.*)",
        "QUERY_STRING": f"q={text}",
        "HTTP_X_A": text,
        "HTTP_COOKIE": f"sid={text}",
        "HTTP_HOST": text,
        "lbg.raw_target": f"/{text}".encode("latin-1"),
    }
    rendered = _render(EVERYTHING, decoded=decoded, **facts)
    assert not set(rendered) & set(map(chr, [*range(9), *range(10, 32), 127]))
    rendered.encode("latin-1")


def test_a_control_character_in_a_field_becomes_its_escape() -> None:
    assert _render("{header:X-A}", HTTP_X_A="a\tb\r\n\0\x7f\x80") == "a\tb%0D%0A%00%7F\x80"


@pytest.mark.parametrize("text", ["{", "}", "{none}", "{header}", "{path:x}"])
def test_a_mistake_is_found_before_any_request(text: str) -> None:
    with pytest.raises(ValueError):
        Renderer.of(text)
