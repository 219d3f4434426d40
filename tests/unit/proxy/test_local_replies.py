"""Local replies with the error pages of a route."""

from pathlib import Path

import pytest

from lbg.config.routes import RouteConfig
from lbg.errors import Sent, UpstreamError
from tests.unit.proxy.proxies import Answered, proxy

REFUSED = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)


@pytest.fixture
def pages(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "502.html").write_text("<h1>Sorry</h1>")
    (tmp_path / "5xx.json").write_text('{"sorry": true}')
    return {"502": str(tmp_path / "502.html"), "5xx": str(tmp_path / "5xx.json")}


def _failed(pages: dict[str, str], accept: bytes) -> Answered:
    with proxy(REFUSED, routes=[RouteConfig(pool="api", error_pages=pages)]) as front:
        return front.ask(b"/", (b"Accept", accept))


@pytest.mark.parametrize("accept", [b"text/html", b"*/*", b"text/plain", b""])
def test_the_page_of_the_status_is_sent(pages: dict[str, str], accept: bytes) -> None:
    answered = _failed(pages, accept)
    assert (answered.status, answered.body) == ("502 Bad Gateway", b"<h1>Sorry</h1>")
    assert answered.values("content-type") == ["text/html; charset=utf-8"]
    assert answered.values("content-length") == ["14"]


def test_the_page_keeps_the_reason_in_the_fields(pages: dict[str, str]) -> None:
    answered = _failed(pages, b"text/html")
    assert answered.values("proxy-status") == ['lbg; error=connection_refused; details="connect_refused"']
    assert answered.values("x-request-id") == [answered.record.request_id]


def test_who_prefers_json_gets_the_problem_document(pages: dict[str, str]) -> None:
    assert _failed(pages, b"application/json").values("content-type") == ["application/problem+json"]


def test_the_page_of_a_class_serves_all_its_statuses(pages: dict[str, str]) -> None:
    answered = _failed({"5xx": pages["5xx"]}, b"text/html")
    assert answered.body == b'{"sorry": true}'
    assert answered.values("content-type") == ["application/json"]


def test_a_page_of_json_serves_those_who_prefer_json(pages: dict[str, str]) -> None:
    assert _failed({"5xx": pages["5xx"]}, b"application/json").body == b'{"sorry": true}'


def test_other_statuses_have_our_own_words(pages: dict[str, str]) -> None:
    assert b"connect_refused" in _failed({"404": pages["502"]}, b"text/plain").body


def test_without_a_route_there_is_no_page(pages: dict[str, str]) -> None:
    routes = [RouteConfig(host="b.example", pool="api", error_pages={"404": pages["502"]})]
    with proxy(REFUSED, routes=routes) as front:
        assert b"no_route" in front.ask().body
