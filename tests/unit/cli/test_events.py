import json

import pytest
import requests
from urllib3.exceptions import ProtocolError

from tests.unit.cli.admin_listener import answer, event, events, problem

LOST = "lbg events: the connection is lost; trying again until Ctrl+C\n"


def test_each_event_is_a_line_until_ctrl_c(command, listener, utc):
    listener.script = [
        events(b"retry: 2000\nid: 7\n\n", event(8), b":\n\n", event(9, "up"), KeyboardInterrupt())
    ]
    status, out, err = command("events")
    assert (status, err) == (130, "")
    assert [line.split()[2] for line in out.splitlines()] == ["DOWN", "UP"]
    assert "\x1b" not in out


def test_a_long_line_is_not_wrapped(command, listener):
    listener.script = [events(event(8, text="x" * 500), KeyboardInterrupt())]
    assert command("events")[1].count("\n") == 1


def test_as_json_each_line_is_the_document(command, listener):
    listener.script = [events(event(8, text="\x1b[2J\n"), KeyboardInterrupt())]
    _, out, _ = command("events", "--json")
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert json.loads(out)["text"] == "\x1b[2J\n"


def test_the_history_is_asked_for(command, listener):
    listener.script = [KeyboardInterrupt()]
    command("events", "--history", "5", "--token", "secret")
    (request,) = listener.requests
    assert request.url == "http://127.0.0.1:9090/api/v1/events?history=5"
    assert (request.headers["Accept"], request.headers["Authorization"]) == (
        "text/event-stream",
        "Bearer secret",
    )
    assert "Last-Event-ID" not in request.headers


@pytest.mark.parametrize(
    "loss",
    [
        events(event(8)),
        events(event(8), ProtocolError("cut")),
        events(b"id: 8\n\n", ProtocolError("cut")),
        events(b"id: 8\n\n", event(9).partition(b"\n")[2]),
    ],
)
def test_after_a_lost_connection_it_goes_on_where_it_was(loss, command, listener, pauses):
    listener.script = [loss, events(event(9), KeyboardInterrupt())]
    status, _, err = command("events", "--history", "3")
    assert (status, err, pauses) == (130, LOST, [1.0])
    again = listener.requests[1]
    assert (again.headers["Last-Event-ID"], again.url.partition("?")[2]) == ("8", "")


def test_a_loss_is_told_once_however_long_it_lasts(command, listener, pauses):
    gone = [requests.ConnectionError(), problem(503, "x"), answer([b"<html>"], 502), requests.ReadTimeout()]
    listener.script = [events(event(8)), *gone, events(event(9)), KeyboardInterrupt()]
    status, out, err = command("events")
    assert (status, out.count("\n"), err) == (130, 2, LOST * 2)
    assert len(pauses) == 6


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ([requests.ConnectionError()], "nothing answers at http://127.0.0.1:9090; is lbg running?"),
        (
            [problem(503, "100 readers follow the events already, and no more can.")],
            "http://127.0.0.1:9090 answers 503, 100 readers follow the events already, and no more can.",
        ),
        (
            [answer({"a": "status"})],
            "http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg",
        ),
        (
            [events(b"data: {}\n\n")],
            "http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg",
        ),
        (
            [events(b"data: {\n\n")],
            "http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg",
        ),
    ],
)
def test_a_failure_at_the_beginning_is_one_line_and_status_2(script, message, command, listener):
    listener.script = [*script]
    assert command("events") == (2, "", f"lbg events: {message}\n")


def test_a_token_that_no_longer_holds_ends_it(command, listener, pauses):
    listener.script = [events(event(8)), problem(401, "x")]
    status, _, err = command("events")
    assert status == 2
    assert err.startswith(LOST)
    assert "a token is needed" in err


def test_a_wrong_address_is_told(command):
    assert command("events", "--admin", "x")[0] == 2
