"""The admin listener."""

import pytest

from lbg import __version__
from lbg.server.roles import Role
from tests.unit.control.control_app import POOLS, Answer, app, cells_of

PATHS = [
    "/health/live",
    "/health/ready",
    "/api/v1/status",
    "/api/v1/pools",
    "/api/v1/pools/api",
    "/api/v1/endpoints",
    "/api/v1/events",
]


def test_it_is_alive() -> None:
    answer = Answer(app(), "/health/live")
    assert (answer.status, answer.document) == (200, {"status": "ok", "version": __version__})


def test_it_is_ready_with_a_proxy_worker_after_the_first_checks() -> None:
    assert Answer(app(Role.CONTROL, Role.PROXY), "/health/ready").status == 200


def test_without_a_proxy_worker_it_says_why_it_is_not() -> None:
    answer = Answer(app(Role.CONTROL), "/health/ready")
    assert (answer.status, answer.document["detail"]) == (503, "No proxy worker has started yet.")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_before_the_first_checks_are_over_it_is_not_ready_but_alive() -> None:
    control = app(cells=cells_of(Role.COMBINED, checked=False))
    assert Answer(control, "/health/ready").status == 503
    assert Answer(control, "/health/live").status == 200


def test_the_status_is_a_document() -> None:
    answer = Answer(app(Role.COMBINED), "/api/v1/status")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.document["pools"]) == list(POOLS)


def test_pools_are_documents_by_name() -> None:
    pools = Answer(app(), "/api/v1/pools").document
    assert list(pools) == list(POOLS)
    assert Answer(app(), "/api/v1/pools/api").document["retries"] == 0
    assert [endpoint["url"] for endpoint in pools["web"]["endpoints"]] == ["http://a:1", "http://b:2"]


def test_endpoints_of_all_pools_are_a_list() -> None:
    endpoints = Answer(app(), "/api/v1/endpoints").document
    assert [(one["pool"], one["url"]) for one in endpoints] == [
        ("web", "http://a:1"),
        ("web", "http://b:2"),
        ("api", "http://a:1"),
    ]


def test_an_unknown_pool_is_a_problem_that_names_the_known_ones() -> None:
    answer = Answer(app(), "/api/v1/pools/ap\nI")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.document["detail"] == 'There is no pool "ap\\nI". There is: web, api.'


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_without_a_body(path: str) -> None:
    answer = Answer(app(Role.COMBINED), path, REQUEST_METHOD="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("path", [*PATHS, "/nothing"])
def test_nothing_is_kept_by_caches(path: str) -> None:
    assert Answer(app(Role.COMBINED), path, pieces=1).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/nothing", "/api/v1", "/api/v1/pools/", "/api/v1/pools/api/x"])
def test_another_path_is_a_problem_document(path: str) -> None:
    answer = Answer(app(), path)
    assert (answer.status, answer.document["status"]) == (404, 404)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", PATHS)
def test_another_method_is_a_problem_document_that_names_the_allowed_ones(path: str) -> None:
    answer = Answer(app(), path, REQUEST_METHOD="POST")
    assert (answer.status, answer.document["status"]) == (405, 405)
    assert "GET" in answer.headers.get("Allow", "")


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer wrong",
        "Bearer secretx",
        "Bearer secre",
        "Basic secret",
        "secret",
        "Bearer s\xe9cret",
    ],
)
@pytest.mark.parametrize("path", [*PATHS[2:], "/dashboard", "/dashboard/nothing", "/nothing", "/health"])
def test_with_a_token_strangers_see_nothing(path: str, authorization: str | None) -> None:
    given = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    answer = Answer(app(token="secret"), path, **given)
    assert (answer.status, answer.headers.get("WWW-Authenticate")) == (401, "Bearer")
    assert b"endpoints" not in answer.body
    assert b"secret" not in answer.body


@pytest.mark.parametrize("authorization", ["Bearer secret", "bearer secret", "BEARER secret"])
def test_with_its_token_everything_is_there(authorization: str) -> None:
    assert Answer(app(token="secret"), "/api/v1/status", HTTP_AUTHORIZATION=authorization).status == 200


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
def test_health_needs_no_token(path: str) -> None:
    assert Answer(app(Role.COMBINED, token="secret"), path).status == 200


@pytest.mark.parametrize(
    "path", ["/health/../api/v1/status", "/health//api/v1/status", "/health/%2e%2e/api/v1/status"]
)
def test_a_path_that_starts_like_health_shows_nothing_else(path: str) -> None:
    answer = Answer(app(token="secret"), path)
    assert answer.status in {401, 404}
    assert b"pools" not in answer.body


def test_flask_is_not_made_before_it_is_asked() -> None:
    assert app()._flask is None
