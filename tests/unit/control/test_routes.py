"""Whatever goes wrong at the admin listener is told in a problem document."""

import logging

import pytest
from flask import Flask, abort

from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams
from lbg.health.events import EventLog
from tests.unit.control.control_app import Answer, app, cells_of, published


def with_bugs(flask: Flask) -> None:
    """Register views that fail."""

    @flask.get("/bug")
    def bug() -> str:
        raise KeyError("hunter2")

    @flask.get("/abort/<int:status>")
    def end(status: int) -> str:
        abort(status)


def ask(path: str) -> Answer:
    """Return the answer of an admin listener with bugs."""
    control = ControlApp(published(), cells_of(), EventStreams(EventLog()))
    control.parts.append(with_bugs)
    return Answer(control, path)


def test_a_bug_in_a_view_is_a_problem_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        answer = ask("/bug")
    assert (answer.status, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.document == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "detail": "lbg has failed to answer; its log says why.",
    }
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("lbg.control", "Exception on /bug [GET]")
    assert record.exc_info


@pytest.mark.parametrize("status", [400, 403, 404, 406, 409, 413, 415, 429, 500, 501, 503])
def test_any_error_is_a_problem(status: int) -> None:
    answer = ask(f"/abort/{status}")
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.document["status"] == status
    assert answer.document["title"]
    assert answer.document["detail"].endswith(".")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/pools/nothing", 404),
        ("PUT", "/api/v1/status", 405),
        ("POST", "/api/v1/pools/web/endpoints/a:1/state", 415),
        ("DELETE", "/api/v1/routes", 404),
    ],
)
def test_a_mistake_of_the_client_is_a_problem(method: str, path: str, status: int) -> None:
    answer = Answer(app(), path, REQUEST_METHOD=method)
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.document["status"] == status
