"""Routes in the admin API."""

from typing import Any
from urllib.parse import urlencode

import pytest

from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams
from lbg.control.route_lookup import add_route_lookup
from lbg.health.events import EventLog
from tests.unit.control.control_app import Answer, cells_of, published
from tests.unit.proxy.explainers import explained


def app(token: str = "") -> ControlApp:
    """Return the application of a worker that knows two routes."""
    explainer = explained(
        {"name": "all"}, {"name": "env", "path": "/a", "headers": {"X-Env": "b, c"}}
    ).explainer
    parts = [lambda flask: add_route_lookup(flask, explainer)]
    return ControlApp(published(token=token), cells_of(), EventStreams(EventLog()), parts=parts)


def ask(*query: tuple[str, str]) -> Answer:
    """Return the answer to a question about a request."""
    return Answer(app(), "/api/v1/route", QUERY_STRING=urlencode(query))


def test_the_way_of_a_request_is_told() -> None:
    answer = ask(
        ("method", "put"), ("url", "http://h/a?x=1&y=%2F"), ("header", "X-Env: b"), ("header", "X-Env: c")
    )
    document: dict[str, Any] = answer.document
    assert (answer.status, document["method"], document["url"]) == (200, "PUT", "http://h/a?x=1&y=%2F")
    assert document["route"]["name"] == "all"
    assert ask(("url", "/a"), ("header", "X-Env: b, c")).document["route"]["name"] == "env"


def test_the_client_can_be_named() -> None:
    assert ask(("url", "/"), ("client", "192.0.2.1")).status == 200
    assert ask(("url", "/"), ("client", "x")).status == 400


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ([], "Url is missing, expected a URL or a path."),
        ([("url", "x")], 'Expected a URL such as "http://host/path", or a path, got "x".'),
        ([("url", "/"), ("method", "")], 'Expected a method such as "GET", got "".'),
        ([("url", "/"), ("header", "x")], 'Expected a header field such as "Name: value", got "x".'),
        ([("url", "/é")], "Expected a URL of visible ASCII characters, others as %XX, got"),
    ],
)
def test_what_can_be_no_request_is_a_problem(query: list[tuple[str, str]], detail: str) -> None:
    answer = ask(*query)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.document["detail"].startswith(detail)


def test_strangers_learn_nothing() -> None:
    assert Answer(app(token="t" * 16), "/api/v1/route", QUERY_STRING="url=/").status == 401


def test_without_an_explainer_there_is_nothing_at_this_path() -> None:
    without = ControlApp(published(), cells_of(), EventStreams(EventLog()))
    assert Answer(without, "/api/v1/route").status == 404
