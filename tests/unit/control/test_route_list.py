"""All routes in the admin API."""

from pathlib import Path
from typing import Any

import pytest

from lbg.config.schema import Config
from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams
from lbg.control.route_list import RouteList, add_route_list
from lbg.health.events import EventLog
from tests.unit.control.control_app import Answer, cells_of, published
from tests.unit.control.counting import Counting

POOLS = {"web": {"endpoints": ["http://a:1"]}, "next": {"endpoints": ["http://b:2"]}}


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting(tmp_path)


def listed(counting: Counting, *routes: dict[str, Any]) -> RouteList:
    """Return the list of these routes."""
    return RouteList(Config.model_validate({"pools": POOLS, "routes": list(routes)}), counting.series)


def test_a_route_is_told_whole(counting: Counting) -> None:
    (found,) = listed(
        counting,
        {
            "name": "all",
            "host": "a.example",
            "path": "/v1",
            "methods": ["GET"],
            "headers": {"X-Env": "b"},
            "pool": "web",
            "strip_prefix": "/v1",
            "filters": ["compress", {"use": "rate_limit", "rate": "1/s"}, {"use": "shop:sign", "a": 1}],
        },
    ).documents()
    assert found == {
        "name": "all",
        "index": 0,
        "host": "a.example",
        "path": "/v1",
        "path_exact": None,
        "path_regex": None,
        "methods": ["GET"],
        "headers": {"X-Env": {"values": ["b"], "regex": "", "present": True}},
        "query": {},
        "pool": "web",
        "strip_prefix": "/v1",
        "rewrite": None,
        "filters": ["compress", "rate_limit", "shop:sign"],
        "requests": 0,
    }


def test_routes_are_in_order_of_precedence(counting: Counting) -> None:
    routes = [{"name": "any"}, {"name": "deep", "path": "/a/b"}, {"name": "exact", "path_exact": "/a/b"}]
    found = listed(counting, *({"pool": "web", **route} for route in routes)).documents()
    assert [(route["name"], route["index"]) for route in found] == [("exact", 2), ("deep", 1), ("any", 0)]
    assert found[0]["path_exact"] == "/a/b"


def test_only_what_becomes_of_requests_is_told(counting: Counting) -> None:
    found = listed(
        counting,
        {"path": "/split", "split": [{"pool": "web", "weight": 9}, {"pool": "next", "weight": 1}]},
        {"path": "/moved", "redirect": "/here"},
        {"path": "/fixed", "respond": {"body": "ok"}},
        {"path": "/off", "pool": "web", "maintenance": True},
    ).documents()
    actions = ("pool", "split", "split_key", "redirect", "respond", "maintenance")
    told = {route["path"]: [name for name in actions if name in route] for route in found}
    assert told == {
        "/split": ["split"],
        "/moved": ["redirect"],
        "/fixed": ["respond"],
        "/off": ["pool", "maintenance"],
    }


def test_secrets_are_hidden(counting: Counting) -> None:
    (found,) = listed(counting, {"pool": "web", "headers": {"X-Token": "hunter2"}}).documents()
    assert found["headers"]["X-Token"]["values"] == ["(hidden)"]


def test_requests_of_all_workers_are_counted(counting: Counting) -> None:
    routes = listed(counting, {"name": "all", "pool": "web"}, {"name": "none", "path": "/x", "pool": "web"})
    counting.requests("web", 3, worker=1, bucket=4)
    counting.requests("web", 2, worker=2, code="503")
    counting.tunnels("web", 1)
    assert {route["name"]: route["requests"] for route in routes.documents()} == {"all": 6, "none": 0}
    counting.requests("web", 1)
    assert routes.documents()[-1]["requests"] == 7


def test_the_admin_api_tells_it(counting: Counting) -> None:
    def ask(token: str) -> Answer:
        control = ControlApp(published(token=token), cells_of(), EventStreams(EventLog()))
        control.parts.append(lambda flask: add_route_list(flask, listed(counting, {"pool": "web"})))
        return Answer(control, "/api/v1/routes")

    assert [route["name"] for route in ask("").document] == ["*/"]
    assert ask("t" * 16).status == 401
