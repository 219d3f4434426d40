import json

import pytest
import requests

from tests.unit.cli.admin_listener import STATUS, answer, problem

POOLS = STATUS["pools"]
TWO = POOLS | {"web": {"endpoints": []}}


def endpoint(**changes):
    """Return the document of the endpoint as it is after a change."""
    return POOLS["api"]["endpoints"][0] | changes


def posted(listener):
    """Return the path and the document of the one change that was asked for."""
    (change,) = [request for request in listener.requests if request.method == "POST"]
    assert change.headers["Content-Type"] == "application/json"
    return change.path_url, json.loads(change.body)


@pytest.mark.parametrize(
    ("command_name", "after", "line"),
    [
        ("drain", {"admin": "drain", "state": "draining"}, "api/a:1 is draining: 2 requests in flight"),
        ("maint", {"admin": "maint", "state": "maint"}, "api/a:1 is in maintenance: 2 requests in flight"),
        ("ready", {"admin": "ready"}, "api/a:1 is ready: UP, status 200 in 3 ms"),
    ],
)
def test_a_state_is_asked_for_and_what_came_of_it_is_printed(command, listener, command_name, after, line):
    listener.script = [answer(TWO), answer(endpoint(**after))]
    assert command(command_name, "api/a:1") == (0, f"{line}\n", "")
    assert posted(listener) == ("/api/v1/pools/api/endpoints/a%3A1/state", {"state": command_name})


@pytest.mark.parametrize(
    ("weight", "configured", "past"), [(5, 1, "configured is 1"), (1, 1, "as configured")]
)
def test_a_weight_is_asked_for_and_what_came_of_it_is_printed(command, listener, weight, configured, past):
    listener.script = [answer(TWO), answer(endpoint(weight=weight, configured_weight=configured))]
    assert command("weight", "api/a:1", str(weight)) == (0, f"api/a:1 has weight {weight}, {past}\n", "")
    assert posted(listener) == ("/api/v1/pools/api/endpoints/a%3A1/weight", {"weight": weight})


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a:1", "a%3A1"),
        ("api/a:1", "a%3A1"),
        ("http://a:1", "http%3A%2F%2Fa%3A1"),
        ("unix:/run/a b.sock", "unix%3A%2Frun%2Fa%20b.sock"),
        ("api/unix:/run/a.sock", "unix%3A%2Frun%2Fa.sock"),
        ("[::1]:80", "%5B%3A%3A1%5D%3A80"),
        ("web/a:1", "web%2Fa%3A1"),
    ],
)
def test_the_only_pool_may_be_left_out(command, listener, name, path):
    listener.script = [answer(POOLS), answer(endpoint(admin="drain"))]
    assert command("drain", name)[0] == 0
    assert posted(listener)[0] == f"/api/v1/pools/api/endpoints/{path}/state"


@pytest.mark.parametrize("name", ["a:1", "apj/a:1", "http://a:1", ""])
def test_with_several_pools_one_must_be_named(command, listener, name):
    listener.script = [answer(TWO)]
    expected = f"lbg drain: expected POOL/ENDPOINT with one of the pools api, web, got {name}\n"
    assert command("drain", name) == (2, "", expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (requests.ConnectionError(), "nothing answers at http://127.0.0.1:9090; is lbg running?"),
        (problem(404, "There is no\nsuch."), "There is no?such."),
        (problem(503, "Try again."), "http://127.0.0.1:9090 answers 503, Try again."),
        (problem(401, "x"), "http://127.0.0.1:9090: a token is needed; set LBG_ADMIN__TOKEN or --token"),
        (
            answer({"pool": "api"}),
            "http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg",
        ),
    ],
)
@pytest.mark.parametrize("arguments", [("maint", "a:1"), ("weight", "a:1", "5")], ids=["state", "weight"])
def test_a_refusal_is_one_line_and_status_2(command, listener, arguments, given, message):
    listener.script = [answer(POOLS), given]
    assert command(*arguments) == (2, "", f"lbg {arguments[0]}: {message}\n")


@pytest.mark.parametrize("document", [None, 5])
def test_pools_that_are_none_are_told(command, listener, document):
    listener.script = [answer(document)]
    status, out, err = command("drain", "a:1")
    assert (status, out) == (2, "")
    assert "not as the admin listener of this version of lbg" in err


def test_it_asks_where_it_is_told_with_the_token(command, listener):
    listener.script = [answer(POOLS), answer(endpoint(admin="drain"))]
    command("drain", "a:1", "--admin", "http://lb:1/lbg", "--token", "secret")
    assert [request.url.partition("/api")[0] for request in listener.requests] == ["http://lb:1/lbg"] * 2
    assert [request.headers["Authorization"] for request in listener.requests] == ["Bearer secret"] * 2


@pytest.mark.parametrize(
    "arguments", [("drain",), ("weight", "a:1"), ("weight", "a:1", "x"), ("ready", "a", "b")]
)
def test_a_mistake_in_usage_asks_nothing(command, listener, arguments):
    status, out, err = command(*arguments)
    assert (status, out, err.count("\n"), listener.requests) == (2, "", 1, [])


def test_control_characters_do_not_reach_the_terminal(command, listener):
    listener.script = [answer(POOLS), answer(endpoint(reason="\x1b[2J", name="a\nb"))]
    out = command("ready", "a:1")[1]
    assert out.count("\n") == 1
    assert "\x1b" not in out
