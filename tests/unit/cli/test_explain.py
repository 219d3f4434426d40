"""`lbg explain`: the sentence first, then the way of the request."""

import json

import pytest

from tests.unit.cli.admin_listener import answer, problem

BRIEF = {
    "id": "abc1",
    "at": "2023-11-14T22:13:20.500Z",
    "kind": "failed",
    "method": "GET",
    "host": "shop.example",
    "path": "/things",
    "status": 502,
    "reason": "connect_refused",
    "route": "shop",
    "pool": "api",
    "endpoint": None,
    "took_ms": 250.0,
    "sentence": "502: no connection to a:1: connect refused",
}
REFUSED = BRIEF | {"id": "r", "kind": "refused", "sentence": "404: no route fits"}
NONE = {"traces": []}
FULL = BRIEF | {
    "filters": [],
    "candidates": [
        {"endpoint": "a:1", "usable": False, "why": "tried before"},
        {"endpoint": "b:2", "usable": True, "why": ""},
    ],
    "attempts": [],
    "queue_ms": 0.0,
    "setting": "pools.api.retry.attempts = 1",
    "advice": "Look whether it runs.",
    "trace_id": "0af7651916cd43dd8448eb211c80319c",
    "worker": 1,
    "steps": [{"text": "GET /things for shop.example"}, {"text": "answered 502"}],
}


def told(document):
    return answer([json.dumps(document).encode()])


def test_one_request_is_explained(command, listener):
    listener.script = [told(FULL)]
    status, out, err = command("explain", "abc1")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[:4] == [
        "502: no connection to a:1: connect refused",
        "",
        "setting   pools.api.retry.attempts = 1",
        "advice    Look whether it runs.",
    ]
    assert lines[4].startswith("request   abc1, 2023-11-1")
    assert lines[4].endswith(", connect_refused")
    assert lines[5:] == [
        "way       GET /things for shop.example",
        "          answered 502",
        "endpoints a:1 not usable: tried before",
        "          b:2 usable",
        "trace id  0af7651916cd43dd8448eb211c80319c",
    ]
    assert listener.requests[0].url.endswith("/api/v1/traces/abc1")


def test_what_is_not_known_is_left_out(command, listener):
    listener.script = [
        told(FULL | {"setting": None, "advice": "", "candidates": [], "trace_id": None, "reason": None})
    ]
    out = command("explain", "abc1")[1]
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["request", "way", "answered"]
    assert ", failed\n" in out


def test_without_an_id_the_latest_failed_ones_are_listed(command, listener):
    listener.script = [
        told({"traces": [BRIEF, BRIEF | {"id": "b", "sentence": "x" * 300, "path": "/" * 99}]}),
        told(NONE),
    ]
    status, out, err = command("explain")
    first, second = out.splitlines()
    assert (status, err) == (0, "")
    assert first.endswith("  abc1  GET /things  502: no connection to a:1: connect refused")
    assert f"  b     GET {'/' * 36}…  {'x' * 160}…" in second
    assert listener.requests[0].url.endswith("/api/v1/traces?kind=failed&limit=20")


def test_when_nothing_failed_it_says_so(command, listener):
    listener.script = [told(NONE), told(NONE)]
    assert command("explain") == (0, "No request failed that is still kept.\n", "")


def test_those_that_were_refused_come_after_those_that_failed(command, listener):
    listener.script = [told({"traces": [BRIEF]}), told({"traces": [REFUSED]})]
    lines = command("explain")[1].splitlines()
    assert lines[0].endswith("502: no connection to a:1: connect refused")
    assert lines[1:3] == ["", "Refused, by the client's own doing:"]
    assert lines[3].endswith("404: no route fits")
    assert listener.requests[1].url.endswith("/api/v1/traces?kind=refused&limit=19")


def test_where_nothing_failed_the_refused_ones_are_listed_all_the_same(command, listener):
    listener.script = [told(NONE), told({"traces": [REFUSED]})]
    lines = command("explain")[1].splitlines()
    assert lines[:2] == ["No request failed that is still kept.", ""]
    assert lines[3].endswith("404: no route fits")


def test_a_list_full_of_failed_ones_has_no_refused_ones(command, listener):
    listener.script = [told({"traces": [BRIEF] * 20})]
    assert len(command("explain")[1].splitlines()) == 20
    assert len(listener.requests) == 1


@pytest.mark.parametrize(
    ("arguments", "script", "document"),
    [
        (["abc1"], [FULL], FULL),
        ([], [{"traces": [BRIEF]}, {"traces": [REFUSED]}], {"traces": [BRIEF, REFUSED]}),
    ],
)
def test_the_document_can_be_had_as_it_is(command, listener, arguments, script, document):
    listener.script = [told(one) for one in script]
    status, out, err = command("explain", *arguments, "--json")
    assert (status, json.loads(out), err) == (0, document, "")


def test_an_id_of_any_characters_can_be_asked_for(command, listener):
    listener.script = [told(FULL)]
    command("explain", "a/b?c")
    assert listener.requests[0].url.endswith("/api/v1/traces/a%2Fb%3Fc")


def test_an_unknown_id_is_a_mistake(command, listener):
    listener.script = [problem(404, "There is no trace of it.")]
    status, out, err = command("explain", "gone")
    assert (status, out) == (2, "")
    assert err.startswith("lbg explain: ")
    assert err.endswith("There is no trace of it.\n")


def test_nothing_of_a_client_reaches_the_terminal_as_it_is(command, listener):
    listener.script = [told(FULL | {"sentence": "\x1b[31mred\nforged"})]
    assert command("explain", "abc1")[1].startswith("?[31mred?forged\n")


def test_another_listener_is_told(command, listener):
    listener.script = [told({"other": 1})]
    status, _, err = command("explain")
    assert status == 2
    assert "not as the admin listener of this version" in err
