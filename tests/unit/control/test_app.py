"""The admin listener."""

import json
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from lbg import __version__
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.control.app import ControlApp
from lbg.server.roles import Role
from lbg.state.cells import Cells
from lbg.state.document import Published

PATHS = ["/health/live", "/health/ready", "/api/v1/status"]


class Answer:
    """Status, headers and document of an answer that wsgiref has checked."""

    def __init__(self, app: ControlApp, path: str, **environ: Any) -> None:
        environ = {"PATH_INFO": path, "SCRIPT_NAME": "", "QUERY_STRING": "", **environ}
        setup_testing_defaults(environ)
        checked: Any = validator(app)
        result = checked(environ, self._start)
        self.body = b"".join(result)
        result.close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Any:
        self.status = int(status[:3])
        self.headers = dict(headers)
        return lambda _: None

    @property
    def document(self) -> dict[str, Any]:
        """The JSON in the body."""
        found: dict[str, Any] = json.loads(self.body)
        return found


def app(*roles: Role, token: str = "") -> ControlApp:
    """Return the application of a master with these workers."""
    config = Config.model_validate(
        {"admin": {"token": token}, "pools": {"api": {"endpoints": ["http://a:1"]}}}
    )
    cells = Cells.private()
    for slot, role in enumerate(roles):
        cells.register(slot, 4711 + slot, role.number, 0)
    return ControlApp(Published(Snapshot.of(config, 1, "lbg.toml"), {"api/a:1": 0}), cells)


def test_it_is_alive() -> None:
    answer = Answer(app(), "/health/live")
    assert (answer.status, answer.document) == (200, {"status": "ok", "version": __version__})


def test_it_is_ready_with_a_proxy_worker() -> None:
    assert Answer(app(Role.CONTROL, Role.PROXY), "/health/ready").status == 200


def test_without_a_proxy_worker_it_says_why_it_is_not() -> None:
    answer = Answer(app(Role.CONTROL), "/health/ready")
    assert (answer.status, answer.document["detail"]) == (503, "No proxy worker has started yet.")
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_the_status_is_a_document() -> None:
    answer = Answer(app(Role.COMBINED), "/api/v1/status")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.document["pools"]) == ["api"]


@pytest.mark.parametrize("path", PATHS)
def test_head_is_answered_without_a_body(path: str) -> None:
    answer = Answer(app(Role.COMBINED), path, REQUEST_METHOD="HEAD")
    assert (answer.status, answer.body) == (200, b"")


def test_another_path_is_a_problem_document() -> None:
    answer = Answer(app(), "/nothing")
    assert (answer.status, answer.document["status"]) == (404, 404)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_another_method_is_a_problem_document_that_names_the_allowed_ones() -> None:
    answer = Answer(app(), "/api/v1/status", REQUEST_METHOD="POST")
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
@pytest.mark.parametrize("path", ["/api/v1/status", "/", "/nothing", "/health"])
def test_with_a_token_strangers_see_nothing(path: str, authorization: str | None) -> None:
    given = {} if authorization is None else {"HTTP_AUTHORIZATION": authorization}
    answer = Answer(app(token="secret"), path, **given)
    assert (answer.status, answer.headers.get("WWW-Authenticate")) == (401, "Bearer")
    assert b"pools" not in answer.body
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
