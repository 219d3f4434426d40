import pytest

from lbg.cli.route_text import route_text
from lbg.state.layout import Health
from tests.unit.proxy.explainers import POOL, explained


def lines(front, *request, **keys):
    return route_text(front.ask(*request, **keys)).splitlines()


def test_all_of_a_way_is_shown_in_order():
    split = [{"pool": "main", "weight": 19}, {"pool": "canary", "weight": 1}]
    front = explained(
        {"path": "/api", "methods": "PUT"},
        {
            "name": "api",
            "path": "/api",
            "headers": {"X-Env": ["a", "b"]},
            "split": split,
            "split_key": "header:X-Key",
            "strip_prefix": "/api",
            "filters": [{"use": "access", "deny_paths": "/x"}, {"use": "rate_limit", "rate": "5/s"}],
        },
        {"name": "get", "host": "h", "path": "/api", "methods": "POST"},
        pools={"main": POOL, "canary": {"endpoints": ["http://c:3"]}},
    )
    shown = lines(front, "GET", "http://h/%61pi/x%2Fy?z", "X-Env: b", "X-Key: 1", "A_B: c")
    assert shown[:11] == [
        "request     GET http://h/%61pi/x%2Fy?z",
        "compared    path /api/x%2Fy",
        "dropped     A_B: no field that lbg looks at",
        "passed over get: the method is GET, expected POST",
        "            */api:PUT: the method is GET, expected PUT",
        'route       api, for any host, paths below /api, header X-Env is "a" or "b"',
        'filter 1    access deny_paths=["/x"]',
        'filter 2    rate_limit rate="5/s"',
        "target      /x%2Fy?z",
        "split       95 % main, 5 % canary; the key header:X-Key leads to main",
        "pool        main, balance = hash: by the key, the same in every worker",
    ]
    assert shown[11] == "key         header:X-Key"
    first, second = shown[12:]
    assert first.startswith("tried       1. ")
    assert second.startswith("            2. ")


def test_endpoints_that_are_not_tried_are_shown_with_the_reason():
    front = explained({}, pools={"main": POOL | {"health": {"type": "none"}}})
    front.set_health(0, health=Health.DOWN)
    front.set_in_flight(1, 3)
    shown = lines(front, "GET", "/", "X-Key: 1")
    assert "tried       1. b:2 unchecked: no active checks (3 in flight)" in shown
    assert "not tried   a:1 down (0 in flight)" in shown


@pytest.mark.parametrize(
    ("route", "answer"),
    [
        ({"redirect": "/new{uri}"}, "answer      302 to /new/x"),
        ({"respond": {"status": 404}}, "answer      404, a fixed response"),
        ({"maintenance": True}, "answer      503, maintenance; who passes: nobody"),
        ({"maintenance": {"allow": "10.0.0.0/8"}}, "answer      503, maintenance; who passes: 10.0.0.0/8"),
    ],
)
def test_what_is_not_forwarded_is_shown_by_its_answer(route, answer):
    assert lines(explained(route), "GET", "/x")[-1] == answer


def test_a_refusal_is_shown_with_its_cause():
    shown = lines(explained({"host": "a"}), "GET", "http://b/")
    assert shown[-2:] == [
        "refused     404 no_route: No route leads from this host and path to a backend.",
        'because     no route is for the host "b"',
    ]


def test_what_could_move_a_cursor_is_not_printed():
    front = explained({"path_regex": "/\x1b.*"})
    assert "\x1b" not in route_text(front.ask("GET", "/%1bx"))
