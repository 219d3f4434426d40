import json

import pytest
import requests

from tests.unit.cli.admin_listener import STATUS, answer, problem, status_with


def test_the_table_is_printed_without_colours_to_a_pipe(command, listener):
    listener.script = [answer(STATUS)]
    status, out, err = command("status")
    assert (status, err) == (0, "")
    assert "UP" in out
    assert "\x1b" not in out


def test_a_pipe_gets_long_lines_whole(command, listener):
    url = "http://" + "a" * 200 + ":1"
    listener.script = [answer(status_with(url=url))]
    assert url in command("status")[1]


def test_an_endpoint_that_is_down_is_no_failure_of_the_command(command, listener):
    listener.script = [answer(status_with(state="down"))]
    assert command("status")[0] == 0


def test_the_document_can_be_had_as_it_is(command, listener):
    listener.script = [answer(STATUS)]
    status, out, err = command("status", "--json")
    assert (status, json.loads(out), err) == (0, STATUS, "")


def test_it_asks_where_the_configuration_says_with_its_token(command, listener, tmp_path):
    (tmp_path / "lbg.toml").write_text(
        '[admin]\nbind = "127.0.0.1:1234"\ntoken = "secret"\n[pools.api]\nendpoints = ["http://a"]\n'
    )
    listener.script = [answer(STATUS)]
    command("status")
    (request,) = listener.requests
    assert request.url == "http://127.0.0.1:1234/api/v1/status"
    assert request.headers["Authorization"] == "Bearer secret"


def test_it_asks_where_it_is_told_without_a_token(command, listener):
    listener.script = [answer(STATUS)]
    command("status", "--admin", "http://lb:1/lbg")
    (request,) = listener.requests
    assert request.url == "http://lb:1/lbg/api/v1/status"
    assert "Authorization" not in request.headers


def test_a_netrc_does_not_replace_the_token(command, listener, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine lb login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    listener.script = [answer(STATUS)]
    command("status", "--admin", "http://lb:1", "--token", "secret")
    assert listener.requests[0].headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (requests.ConnectionError(), "nothing answers at http://127.0.0.1:9090; is lbg running?"),
        (
            requests.ReadTimeout(),
            "http://127.0.0.1:9090 does not answer in time: "
            "the control worker may hang; requests go on, and gunicorn replaces it",
        ),
        (
            problem(401, "x"),
            "http://127.0.0.1:9090: a token is needed; set LBG_ADMIN__TOKEN or --token",
        ),
        (problem(503, "too\n\x1bmuch"), "http://127.0.0.1:9090 answers 503, too??much"),
        (problem(404, "There is no such pool."), "There is no such pool."),
        (
            answer({"detail": "Not Found"}, 404),
            "http://127.0.0.1:9090 answers 404, not what the admin listener of lbg says",
        ),
        (
            answer([b"<html>"], 404),
            "http://127.0.0.1:9090 answers 404, not what the admin listener of lbg says",
        ),
        (
            answer([b"<html>"]),
            "http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg",
        ),
        (
            answer({"version": "9"}),
            "http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg",
        ),
        (
            answer([b""], 302, Location="http://elsewhere/"),
            "http://127.0.0.1:9090 answers 302, not what the admin listener of lbg says",
        ),
    ],
)
def test_a_failure_is_one_line_and_status_2(given, message, command, listener):
    listener.script = [given]
    assert command("status") == (2, "", f"lbg status: {message}\n")


def test_a_wrong_token_is_told(command, listener):
    listener.script = [problem(401, "x")]
    assert "the token is wrong" in command("status", "--token", "x")[2]


def test_a_wrong_address_is_told(command):
    status, out, err = command("status", "--admin", "x")
    assert (status, out) == (2, "")
    assert err.startswith("lbg status: --admin: expected host:port")


def test_a_socket_that_is_not_there_is_told(command, tmp_path):
    path = tmp_path / "admin.sock"
    assert command("status", "--admin", f"unix:{path}") == (
        2,
        "",
        f"lbg status: nothing answers at unix:{path}; is lbg running?\n",
    )


def test_watching_shows_it_each_second_until_ctrl_c(command, listener, pauses):
    listener.script = [answer(STATUS), answer(status_with(state="down")), KeyboardInterrupt()]
    status, out, err = command("status", "--watch")
    assert (status, err) == (130, "")
    assert out.index("UP") < out.index("DOWN")
    assert pauses == [1.0, 1.0]


def test_while_watching_a_failure_is_shown_and_it_goes_on(command, listener, pauses):
    listener.script = [answer(STATUS), requests.ConnectionError(), answer(STATUS), KeyboardInterrupt()]
    status, out, _ = command("status", "--watch")
    assert status == 130
    assert out.count("UP") == 2
    assert "nothing answers" in out


@pytest.mark.parametrize("script", [[requests.ConnectionError()], [answer(STATUS), problem(401, "x")]])
def test_watching_ends_when_it_cannot_begin_or_never_go_on(script, command, listener, pauses):
    listener.script = [*script]
    status, _, err = command("status", "--watch")
    assert (status, err.count("\n")) == (2, 1)


def test_watching_as_json_is_a_document_a_line(command, listener, pauses):
    listener.script = [answer(STATUS), answer(STATUS), KeyboardInterrupt()]
    status, out, _ = command("status", "--watch", "--json")
    assert (status, [json.loads(line) for line in out.splitlines()]) == (130, [STATUS, STATUS])
