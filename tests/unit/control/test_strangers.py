"""Who may use the admin listener without a token."""

import pytest

from tests.unit.control.control_app import Answer, app


@pytest.mark.parametrize("host", ["127.0.0.1:9090", "localhost:9090", "LOCALHOST", "[::1]:9090", "10.0.0.1"])
def test_an_address_or_localhost_is_a_name_of_this_listener(host: str) -> None:
    assert Answer(app(), "/api/v1/status", HTTP_HOST=host).status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:9090", "127.0.0.1.evil.example", "", "localhost.evil.example"]
)
def test_another_name_that_leads_here_is_refused(host: str) -> None:
    answer = Answer(app(), "/api/v1/status", HTTP_HOST=host)
    assert answer.status == 403
    assert "admin.token" in answer.document["detail"]


def test_a_page_of_another_site_is_refused_even_by_our_own_name() -> None:
    answer = Answer(app(), "/api/v1/status", HTTP_HOST="localhost:9090", HTTP_ORIGIN="http://evil.example")
    assert answer.status == 403


def test_a_page_of_ours_is_let_in() -> None:
    origin = "http://localhost:9090"
    assert Answer(app(), "/api/v1/status", HTTP_HOST="localhost:9090", HTTP_ORIGIN=origin).status == 200


def test_who_has_the_token_may_come_by_any_name() -> None:
    given = {"HTTP_HOST": "lbg.internal", "HTTP_AUTHORIZATION": "Bearer secret"}
    assert Answer(app(token="secret"), "/api/v1/status", **given).status == 200


def test_health_is_for_everybody() -> None:
    assert Answer(app(), "/health/live", HTTP_HOST="evil.example").status == 200
