"""What the admin API answers to changes of the configuration."""

import json
from io import BytesIO
from typing import Any

import pytest

from lbg.config.pools import EndpointConfig
from lbg.control.config_actions import add_config_actions
from tests.unit.control.control_app import Answer, app

RELOAD = "/api/v1/reload"
ENDPOINTS = "/api/v1/pools/web/endpoints"


class Failing:
    """Takes endpoints, and fails then; `added` are those it was given."""

    def __init__(self) -> None:
        self.added: list[EndpointConfig] = []

    def add(self, pool: str, endpoint: EndpointConfig) -> None:
        """Fail with what is no fault of the client."""
        self.added.append(endpoint)
        raise ValueError("a bug")


def ask(method: str, path: str, body: object = None, live: Any = None) -> Answer:
    """Return the answer to a request with a body in JSON."""
    data = json.dumps(body).encode()
    control = app()
    control.parts.append(lambda flask: add_config_actions(flask, live))
    return Answer(
        control,
        path,
        REQUEST_METHOD=method,
        CONTENT_TYPE="application/json",
        CONTENT_LENGTH=str(len(data)),
        **{"wsgi.input": BytesIO(data)},
    )


@pytest.mark.parametrize(
    ("method", "path"), [("POST", RELOAD), ("POST", ENDPOINTS), ("DELETE", f"{ENDPOINTS}/a:1")]
)
def test_a_process_that_does_not_control_says_to_try_again(method: str, path: str) -> None:
    answer = ask(method, path, {"url": "http://c:3"})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert "please try again" in answer.document["detail"]


def test_what_is_no_endpoint_is_the_fault_of_the_client() -> None:
    live = Failing()
    answer = ask("POST", ENDPOINTS, {"url": 3}, live)
    assert (answer.status, answer.document["detail"]) == (400, "url: expected a string, got 3.")
    assert live.added == []


def test_what_fails_afterwards_is_none_of_the_client() -> None:
    live = Failing()
    assert ask("POST", ENDPOINTS, {"url": "http://c:3"}, live).status == 500
    assert [one.url for one in live.added] == ["http://c:3"]
