"""What would become of a request, and why."""

import json
from typing import Any

import pytest

from lbg.state.layout import Admin, Ejection, Health
from tests.unit.proxy.explainers import POOL, explained


def test_the_route_is_told_and_those_that_came_before_it() -> None:
    front = explained(
        {"name": "all"},
        {"name": "put", "path": "/a", "methods": ["PUT"]},
        {"name": "env", "path": "/a", "headers": {"X-Env": "canary"}, "host": "h.example"},
    )
    document = front.ask("GET", "http://h.example/a%2Fb/../c?d")
    assert (document["host"], document["path"]) == ("h.example", "/c")
    assert (document["route"]["name"], document["passed_over"], document["refused"]) == ("all", [], None)
    document = front.ask("GET", "http://h.example/a")
    assert document["passed_over"] == [
        {"route": "env", "why": 'header X-Env is absent, expected "canary"'},
        {"route": "put", "why": "the method is GET, expected PUT"},
    ]
    assert front.ask("GET", "http://h.example/a", "X-Env: canary")["route"]["name"] == "env"


def test_of_many_that_were_passed_over_some_are_told() -> None:
    routes: list[dict[str, Any]] = [{"headers": {"X-A": str(number)}} for number in range(60)]
    document = explained(*routes, {}).ask("GET", "/")
    assert (len(document["passed_over"]), document["passed_over_more"]) == (50, 10)


@pytest.mark.parametrize(
    ("url", "status", "reason", "why"),
    [
        (
            "http://h.example/x/../private",
            400,
            "bad_request",
            "route private, but a backend may read it as /x/../",
        ),
        ("http://h.example/%2Fprivate", 400, "bad_request", "may read it as /private: the route private"),
        ("http://h.example/..", 400, "bad_request", "above the root"),
        ("http://other/", 404, "no_route", 'no route is for the host "other"'),
        ("/", 404, "no_route", "no route is for any host"),
        ("http://sub.w.example/b", 404, "no_route", "there is 1 route for this host, but none for this path"),
        (
            "http://sub.w.example/a",
            404,
            "no_route",
            "the conditions of all routes for this host and path fail",
        ),
    ],
)
def test_a_refusal_is_told_with_its_cause(url: str, status: int, reason: str, why: str) -> None:
    front = explained(
        {"host": "h.example"},
        {"name": "private", "host": "h.example", "path": "/private"},
        {"host": "*.w.example", "path": "/a", "methods": "PUT"},
    )
    refused = front.ask("GET", url)["refused"]
    assert (refused["status"], refused["reason"]) == (status, reason)
    assert why in refused["why"]


def test_a_path_of_too_many_readings_is_refused_with_that_cause() -> None:
    document = explained({}).ask("GET", "/%3b//%5c%3b;/./%2f%2e\\.")
    assert document["refused"]["why"].endswith("in too many other ways")


def test_the_target_is_told_as_it_goes_upstream() -> None:
    front = explained({}, {"path": "/api", "strip_prefix": "/api"})
    assert front.ask("GET", "/x%2Fy//?a=1")["target"] == "/x%2Fy//?a=1"
    assert front.ask("GET", "/api/x%2Fy?a=1")["target"] == "/x%2Fy?a=1"


def test_filters_are_told_in_order_and_without_secrets() -> None:
    secret = "hunter" * 4
    filters = [
        {"use": "rate_limit", "rate": "100/s", "key": "header:X-Api-Key"},
        {"use": "headers", "request": {"set": {"X-A": "b", "Authorization": secret}}},
        {"use": "query", "set": {"token": secret, "a": "b"}},
        {"use": "my.filters:make", "password": secret, "other": secret},
    ]
    pools = {"main": POOL | {"sticky": {"secret": secret}}}
    front = explained({"filters": filters, "headers": {"X-Token": secret}}, pools=pools)
    document = front.ask("GET", "/", f"X-Token: {secret}")
    assert document["route"]["filters"] == [
        {"use": "rate_limit", "rate": "100/s", "key": "header:X-Api-Key"},
        {"use": "headers", "request": {"set": {"X-A": "b", "Authorization": "(hidden)"}}},
        {"use": "query", "set": {"token": "(hidden)", "a": "b"}},
        {"use": "my.filters:make", "options": ["other", "password"]},
    ]
    assert secret not in json.dumps([document, front.ask("GET", "/"), front.documents()])


def test_of_basic_auth_the_names_are_told_and_no_hash() -> None:
    hashed = "scrypt:32768:8:1$abcdefgh$" + "0123456789abcdef" * 8
    front = explained({"filters": [{"use": "basic_auth", "users": {"bob": hashed, "al": hashed}}]})
    document = front.ask("GET", "/")
    assert document["route"]["filters"] == [{"use": "basic_auth", "users": ["al", "bob"]}]
    assert "abcdefgh" not in json.dumps([document, front.documents()])


def test_a_redirect_tells_where_it_leads() -> None:
    front = explained(
        {"path_regex": "/old/(.*)", "redirect": {"to": "https://{host}/{match:1}", "status": 308}}
    )
    document = front.ask("GET", "http://h.example:81/old/x")
    assert (document["outcome"], document["location"]) == ("redirect", "https://h.example/x")
    assert document["route"]["action"] == {"redirect": {"to": "https://{host}/{match:1}", "status": 308}}
    assert document["pool"] is None


def test_a_fixed_response_is_told() -> None:
    document = explained({"respond": {"status": 204}}).ask("GET", "/")
    assert (document["outcome"], document["route"]["action"]["respond"]["status"]) == ("respond", 204)


def test_maintenance_lets_those_it_allows_pass() -> None:
    front = explained({"maintenance": {"allow": ["10.0.0.0/8"]}})
    assert front.ask("GET", "/")["outcome"] == "maintenance"
    assert front.ask("GET", "/", client="192.0.2.1")["outcome"] == "maintenance"
    allowed = front.ask("GET", "/", client="10.1.2.3")
    assert (allowed["outcome"], allowed["pool"]["name"]) == ("forward", "main")


def test_a_split_tells_shares_and_where_the_key_leads() -> None:
    split = [{"pool": "main", "weight": 95}, {"pool": "canary", "weight": 5}]
    pools = {"main": POOL, "canary": {"endpoints": ["http://c:3"]}}
    front = explained({"split": split, "split_key": "header:X-User"}, pools=pools)
    picked = {user: front.ask("GET", "/", f"X-User: {user}") for user in map(str, range(100))}
    assert {one["split"]["pool"] for one in picked.values()} == {"main", "canary"}
    for document in picked.values():
        assert document["split"]["shares"] == {"main": 0.95, "canary": 0.05}
        assert document["pool"]["name"] == document["split"]["pool"]
    again = front.ask("GET", "/", "X-User: 7")
    assert again["split"] == picked["7"]["split"]
    assert again["split"]["note"] == ""
    assert (
        front.ask("GET", "/")["split"]["note"]
        == "the request has no header:X-User for a key; this is one draw"
    )


@pytest.mark.parametrize(
    ("spec", "client", "note"),
    [
        ("client_ip", "", "the client's address, which was not given"),
        ("client_ip", "192.0.2.1", ""),
        ("my.module:key", "", "my.module:key tells the key, which is not asked here"),
        ("cookie:id", "", "the request has no cookie:id for a key"),
    ],
)
def test_a_key_that_is_not_known_here_is_said_to_be(spec: str, client: str, note: str) -> None:
    front = explained({}, pools={"main": POOL | {"hash_key": spec}})
    pool = front.ask("GET", "/", client=client)["pool"]
    assert pool["key"] == spec
    assert note in pool["key_note"]
    assert bool(note) is bool(pool["key_note"])


def names(documents: list[dict[str, Any]]) -> list[str]:
    return [one["name"] for one in documents]


def test_endpoints_come_in_the_order_in_which_the_pool_tries_them() -> None:
    front = explained({})
    for key in map(str, range(20)):
        order = names(front.ask("GET", "/", f"X-Key: {key}")["pool"]["candidates"])
        lease = next(iter(front.pools["main"]._rotation.tiers[0].order(key.encode(), 0.0)))
        assert order[0] == lease.name
        assert sorted(order) == ["a:1", "b:2"]


def test_endpoints_that_are_not_tried_are_told_with_the_reason() -> None:
    pools = {
        "main": {
            "endpoints": ["http://a:1", "http://b:2", "http://c:3", "http://d:4"],
            "balance": "least_requests",
        }
    }
    front = explained({}, pools=pools)
    front.set_health(0, health=Health.DOWN)
    front.set_health(1, ejection=Ejection.EJECTED)
    front.set_health(2, admin=Admin.MAINT)
    pool = front.ask("GET", "/")["pool"]
    assert names(pool["candidates"]) == ["d:4"]
    told = {one["name"]: (one["state"], one["usable"]) for one in pool["others"]}
    assert told == {"a:1": ("down", False), "b:2": ("ejected", False), "c:3": ("maint", False)}
    assert "in maintenance" in pool["others"][2]["sentence"]


def test_load_and_room_are_told() -> None:
    endpoints = [{"url": "http://a:1", "max_requests": 2}, {"url": "http://b:2", "backup": True, "weight": 3}]
    front = explained({}, pools={"main": {"endpoints": endpoints, "balance": "least_requests"}})
    front.set_in_flight(0, 2)
    first, second = front.ask("GET", "/")["pool"]["candidates"]
    assert (first["name"], first["in_flight"], first["full"], first["backup"]) == ("a:1", 2, True, False)
    assert (second["name"], second["full"], second["backup"], second["weight"]) == ("b:2", False, True, 3)


def test_an_endpoint_on_trial_is_tried_first() -> None:
    front = explained({})
    front.set_health(1, ejection=Ejection.TRIAL)
    candidates = front.ask("GET", "/")["pool"]["candidates"]
    assert [(one["name"], one["trial"]) for one in candidates] == [("b:2", True), ("a:1", False)]


def test_a_sticky_cookie_leads_to_its_endpoint() -> None:
    front = explained({}, pools={"main": POOL | {"sticky": {"secret": "s" * 16}}})
    sticky = front.pools["main"].sticky
    assert sticky is not None
    for endpoint in front.pools["main"].endpoints:
        cookie = sticky.field(endpoint, secure=False)[1].partition(";")[0]
        pool = front.ask("GET", "/", f"Cookie: {cookie}", "X-Key: 1")["pool"]
        assert (pool["sticky"], pool["candidates"][0]["name"]) == (endpoint.name, endpoint.name)
        assert len(pool["candidates"]) == 2


def test_a_pool_that_fails_open_says_so() -> None:
    front = explained({}, pools={"main": POOL | {"when_all_down": "fail_open"}})
    for slot in (0, 1):
        front.set_health(slot, health=Health.DOWN)
    pool = front.ask("GET", "/")["pool"]
    assert pool["fails_open"]
    assert len(pool["candidates"]) == 2


def test_of_a_large_pool_some_endpoints_are_told() -> None:
    pools = {"main": {"endpoints": [f"http://h{number}:1" for number in range(60)]}}
    pool = explained({}, pools=pools).ask("GET", "/")["pool"]
    assert (len(pool["candidates"]), pool["left_out"]) == (50, 10)


@pytest.mark.parametrize(
    ("balance", "order"),
    [
        ("power_of_two", "two that are drawn"),
        ("round_robin", "a place of its own"),
        ("random", "by chance"),
        ("peak_ewma", "not known here"),
        ("least_requests", "fewest requests"),
        ("hash", "there is no key"),
        ("my.module:policy", "my.module:policy decides, which is not asked here"),
    ],
)
def test_it_is_said_how_far_the_order_can_be_foretold(balance: str, order: str) -> None:
    pools = {"main": {"endpoints": ["http://a:1", "http://b:2"], "balance": balance}}
    assert order in explained({}, pools=pools).ask("GET", "/")["pool"]["order"]


def test_nothing_changes_by_asking() -> None:
    front = explained({}, pools={"main": POOL | {"balance": "round_robin"}})
    live = front.pools["main"]._rotation.tiers[0]
    before = repr(live)
    for _ in range(5):
        front.ask("GET", "/")
    assert repr(live) == before


def test_without_a_running_lbg_no_state_is_told() -> None:
    document = explained({}, live=False).ask("GET", "/", "X-Key: 1")
    assert document["live"] is False
    assert all("state" not in one for one in document["pool"]["candidates"])


def test_routes_are_told_in_order_of_precedence() -> None:
    front = explained(
        {"name": "all"},
        {"name": "exact", "path_exact": "/a", "methods": "GET"},
        {"name": "pattern", "path_regex": "/a.*", "host": "h", "rewrite": {"regex": "a", "to": "b"}},
    )
    told = [
        (one["name"], one["index"], one["host"], one["path_match"], one["path"]) for one in front.documents()
    ]
    assert told == [
        ("pattern", 2, "h", "regex", "/a.*"),
        ("exact", 1, None, "exact", "/a"),
        ("all", 0, None, "prefix", "/"),
    ]
    assert front.documents()[1]["conditions"] == ["method is GET"]
    assert front.documents()[0]["rewrite"] == {"regex": "a", "to": "b"}


def test_every_document_is_plain_json() -> None:
    front = explained(
        {"maintenance": {"allow": ["10.0.0.0/8"]}, "filters": [{"use": "access", "deny": ["10.0.0.0/8"]}]}
    )
    json.dumps([front.ask("GET", "/", client="10.0.0.1"), front.documents()])
