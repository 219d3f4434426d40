"""What a route does with a request instead of forwarding it."""

from typing import Any

import pytest

from lbg.config.routes import RouteConfig
from tests.unit.proxy.proxies import Answered, proxy
from tests.unit.upstream.scripted_endpoint import OK


def _answer(
    target: bytes = b"/", *fields: tuple[bytes, bytes], peer: str = "9.9.9.9", **route: Any
) -> Answered:
    """Return the answer of one route; what it forwards is answered 200 `ok`."""
    with proxy(OK, routes=[RouteConfig.model_validate(route)]) as front:
        return front.ask(target, *fields, peer=peer)


def test_a_redirect_takes_the_client_elsewhere() -> None:
    answered = _answer(
        b"/a%2Fb?c=d", (b"Host", b"Shop.example:81"), redirect={"to": "https://{host}{uri}", "status": 308}
    )
    assert answered.status == "308 Permanent Redirect"
    assert answered.values("location") == ["https://shop.example/a%2Fb?c=d"]
    assert answered.reason == ""


def test_a_redirect_without_a_status_is_a_302() -> None:
    assert _answer(redirect="/elsewhere").status == "302 Found"


@pytest.mark.parametrize("target", [b"//evil.example/x", b"///evil.example", b"/\\evil.example"])
def test_the_path_of_a_client_does_not_become_the_host_of_a_redirect(target: bytes) -> None:
    (location,) = _answer(target, redirect="{uri}").values("location")
    assert location.startswith("/")
    assert location[1:2] not in {"/", "\\"}


def test_a_fixed_response_is_sent_with_its_variables() -> None:
    answered = _answer(
        b"/x",
        respond={"status": 418, "body": "{method} {path} {status}", "headers": {"X-Host": "{host}"}},
    )
    assert (answered.status, answered.body) == ("418 I'm a Teapot", b"GET /x 418")
    assert answered.values("content-type") == ["text/plain; charset=utf-8"]
    assert answered.values("content-length") == ["10"]
    assert answered.values("x-host") == ["a"]


def test_a_fixed_response_can_name_its_own_content_type() -> None:
    answered = _answer(respond={"body": "{{}}", "headers": {"Content-Type": "application/json"}})
    assert answered.body == b"{}"
    assert answered.values("content-type") == ["application/json"]


def test_a_file_is_sent_as_it_is_with_its_type(tmp_path) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(b"<p>{host} \xc3\xa9</p>")
    answered = _answer(respond={"status": 200, "file": str(page)})
    assert answered.body == b"<p>{host} \xc3\xa9</p>"
    assert answered.values("content-type") == ["text/html; charset=utf-8"]


def test_no_content_has_neither_body_nor_length() -> None:
    answered = _answer(respond={"status": 204})
    assert (answered.status, answered.body, answered.headers) == ("204 No Content", b"", [])


def test_maintenance_says_sorry_to_all(tmp_path) -> None:
    answered = _answer(maintenance={"retry_after": 120}, pool="api")
    assert answered.status == "503 Service Unavailable"
    assert b"Back soon" in answered.body
    assert answered.values("retry-after") == ["120"]
    assert answered.values("cache-control") == ["no-store"]


def test_maintenance_shows_a_page_of_ones_own(tmp_path) -> None:
    page = tmp_path / "sorry.txt"
    page.write_text("later")
    assert _answer(maintenance={"page": str(page)}).body == b"later"


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "status"),
    [
        ("192.0.2.7", b"", "200 OK"),
        ("::ffff:192.0.2.7", b"", "200 OK"),
        ("198.51.100.1", b"", "503 Service Unavailable"),
        ("198.51.100.1", b"192.0.2.7", "503 Service Unavailable"),
        ("10.1.1.1", b"192.0.2.7", "200 OK"),
        ("", b"", "503 Service Unavailable"),
    ],
)
def test_maintenance_lets_those_in_who_work_on_it(peer: str, forwarded_for: bytes, status: str) -> None:
    fields = [(b"X-Forwarded-For", forwarded_for)] if forwarded_for else []
    answered = _answer(b"/", *fields, peer=peer, maintenance={"allow": ["192.0.2.0/24"]}, pool="api")
    assert answered.status == status


def test_a_page_that_is_gone_is_left_out_and_told(tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    answered = _answer(maintenance={"page": str(tmp_path / "gone.html")})
    assert b"Back soon" in answered.body
    assert "gone.html cannot be read" in caplog.text


def test_text_beyond_ascii_is_sent_as_utf_8_and_what_came_in_as_it_came() -> None:
    answered = _answer(b"/", (b"X-Name", "Zoë".encode()), respond={"body": "ü {header:X-Name}"})
    assert answered.body == "ü Zoë".encode()


def test_maintenance_shows_the_error_page_of_the_route_where_it_has_none_of_its_own(tmp_path) -> None:
    page = tmp_path / "503.html"
    page.write_text("closed")
    assert _answer(maintenance=True, pool="api", error_pages={"5xx": str(page)}).body == b"closed"


@pytest.mark.parametrize(
    ("route", "location"),
    [
        ({"path_regex": "/m/(.*)", "redirect": "https://h/{match:1}"}, "https://h/a%2Fb%20c"),
        ({"path": "/m", "redirect": "https://h{path}"}, "https://h/m/a%2Fb%20c"),
        ({"path": "/m", "redirect": "https://h/{query:q}"}, "https://h/%252F"),
    ],
)
def test_an_encoded_slash_stays_one_in_a_variable(route: dict[str, str], location: str) -> None:
    answered = _answer(b"/m/a%2Fb%20c?q=%252F", **route)
    assert answered.values("location") == [location]
