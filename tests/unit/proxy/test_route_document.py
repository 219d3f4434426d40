"""A route as people are told of it: nothing in it is a secret."""

import json
from typing import Any

import pytest

from lbg.config.schema import Config
from lbg.proxy.route_document import route_document
from lbg.routing.table import RouteTable, routes_of


def told(**settings: Any) -> dict[str, Any]:
    """Return the document of a route, in whose settings the word "hunter2" stands for each secret."""
    pools = {"main": {"endpoints": ["http://a:1"]}}
    config = Config.model_validate({"pools": pools, "routes": [settings]})
    (route,) = RouteTable(routes_of(config.routes)).routes
    document = route_document(route)
    assert "hunter2" not in json.dumps(document)
    return document


@pytest.mark.parametrize("name", ["X-Auth", "X-Pass", "X-Pwd", "X-Session"])
def test_fields_that_are_called_like_a_secret_are_hidden(name: str) -> None:
    filters = [{"use": "headers", "request": {"set": {name: "hunter2", "X-Env": "b"}}}]
    document = told(pool="main", headers={name: "hunter2"}, filters=filters)
    assert document["filters"][0]["request"]["set"] == {name: "(hidden)", "X-Env": "b"}
    assert document["conditions"] == [f"header {name} is (hidden)"]


def test_credentials_in_other_fields_are_hidden() -> None:
    filters = [{"use": "headers", "request": {"set": {"X-Internal": "Bearer hunter2"}}}]
    conditions = {"X-Internal": "Bearer hunter2", "X-Other": {"regex": "^Basic hunter2"}}
    document = told(pool="main", headers=conditions, filters=filters)
    assert document["filters"][0]["request"]["set"] == {"X-Internal": "Bearer (hidden)"}
    assert document["conditions"] == [
        'header X-Internal is "Bearer (hidden)"',
        "header X-Other matches ^Basic (hidden)",
    ]


def test_the_query_that_another_pool_is_asked_with_is_hidden() -> None:
    document = told(
        pool="main", filters=[{"use": "forward_auth", "pool": "main", "path": "/c?token=hunter2"}]
    )
    assert document["filters"][0]["path"] == "/c?(hidden)"


def test_users_in_the_url_of_a_redirect_are_hidden() -> None:
    document = told(redirect="https://ann:hunter2@example.com/")
    assert document["action"]["redirect"]["to"] == "https://(hidden)@example.com/"
