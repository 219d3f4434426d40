import json

import pytest
import requests

from tests.unit.cli.admin_listener import STATUS, answer, problem
from tests.unit.cli.top_answers import EVENT, stats_with


def answers():
    return [answer(STATUS), answer(stats_with()), answer([json.dumps([EVENT]).encode()])]


@pytest.mark.parametrize("arguments", [[], ["--once"]])
def test_where_there_is_no_terminal_one_frame_is_printed(command, listener, arguments):
    listener.script = answers()
    status, out, err = command("top", *arguments)
    assert (status, err) == (0, "")
    assert "412 requests/s" in out
    assert "\x1b" not in out
    assert [request.path_url for request in listener.requests] == [
        "/api/v1/status",
        "/api/v1/stats",
        "/api/v1/events?history=5",
    ]


def test_it_asks_where_it_is_told(command, listener):
    listener.script = answers()
    command("top", "--admin", "http://lb:1", "--token", "secret")
    assert listener.requests[1].url == "http://lb:1/api/v1/stats"
    assert {request.headers["Authorization"] for request in listener.requests} == {"Bearer secret"}


def test_without_an_answer_at_first_it_fails_in_one_line(command, listener):
    listener.script = [requests.ConnectionError()]
    status, out, err = command("top", "--admin", "127.0.0.1:1")
    assert (status, out) == (2, "")
    assert err == "lbg top: nothing answers at http://127.0.0.1:1; is lbg running?\n"


def test_an_older_lbg_without_these_numbers_is_told(command, listener):
    listener.script = [answer(STATUS), problem(404, "There is nothing at this path.")]
    status, _, err = command("top", "--admin", "127.0.0.1:1")
    assert status == 2
    assert err == "lbg top: There is nothing at this path.\n"


def test_another_document_is_told(command, listener):
    listener.script = [answer(STATUS), answer({"now": "x"}), answer([])]
    status, _, err = command("top", "--admin", "127.0.0.1:1")
    assert status == 2
    assert "not as the admin listener of this version of lbg" in err


@pytest.mark.parametrize("interval", ["0", "-1", "x", "nan"])
def test_an_interval_that_cannot_be_is_refused(command, listener, interval):
    status, _, err = command("top", "--interval", interval)
    assert status == 2
    assert "--interval" in err
    assert not listener.requests
