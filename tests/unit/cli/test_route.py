import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.unit.cli.admin_listener import answer, problem
from tests.unit.proxy.explainers import explained

FILE = """
[pools.main]
endpoints = ["http://127.0.0.1:8001"]

[[routes]]
name = "api"
path = "/api"
methods = ["GET"]
pool = "main"
strip_prefix = "/api"
"""


@pytest.fixture
def lbg_toml(tmp_path):
    (tmp_path / "lbg.toml").write_text(FILE)


def document(*request, **keys):
    return explained({"name": "all"}, {"name": "put", "path": "/a", "methods": "PUT"}, **keys).ask(*request)


def test_it_asks_the_running_lbg_and_shows_the_answer(command, listener, lbg_toml):
    listener.script = [answer(document("GET", "/a"))]
    status, out, err = command(
        "route", "get", "/a?x=%20&y", "-H", "X-A: 1", "-H", "X-B: 2", "--client", "192.0.2.1"
    )
    assert (status, err) == (0, "")
    assert "route       all, for any host, any path" in out.splitlines()
    (request,) = listener.requests
    parts = urlsplit(request.url)
    assert (parts.netloc, parts.path) == ("127.0.0.1:9090", "/api/v1/route")
    assert parse_qsl(parts.query) == [
        ("method", "get"),
        ("url", "/a?x=%20&y"),
        ("client", "192.0.2.1"),
        ("header", "X-A: 1"),
        ("header", "X-B: 2"),
    ]


def test_the_document_is_printed_as_it_is(command, listener, lbg_toml):
    expected = document("GET", "/a")
    listener.script = [answer(expected)]
    status, out, _ = command("route", "GET", "/a", "--json")
    assert (status, json.loads(out)) == (0, expected)


def test_a_file_answers_without_a_running_lbg(command, listener, lbg_toml):
    status, out, err = command("route", "GET", "/api/x%2Fy?z", "--config", "lbg.toml")
    assert (status, err, listener.requests) == (0, "", [])
    lines = out.splitlines()
    assert "route       api, for any host, paths below /api, method is GET" in lines
    assert "target      /x%2Fy?z" in lines
    assert "tried       1. 127.0.0.1:8001" in lines
    assert lines[-1].startswith("note        from the file alone: no health")


def test_a_refusal_is_an_answer(command, lbg_toml):
    status, out, _ = command("route", "PUT", "/api/x", "--config", "lbg.toml")
    assert status == 0
    assert "passed over api: the method is PUT, expected GET" in out
    assert "refused     404 no_route:" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["GET", "x"], 'lbg route: expected a URL such as "http://host/path", or a path, got "x"'),
        (["GET", "/", "-H", "x"], 'lbg route: expected a header field such as "Name: value", got "x"'),
        (["G T", "/"], 'lbg route: expected a method such as "GET", got "G T"'),
        (["GET", "/", "--client", "x"], 'lbg route: expected an address such as "192.0.2.1", got "x"'),
        (["GET", "/", "--config", ""], "lbg route: expected a file name"),
        (["GET", "/", "--config", "no.toml"], "no.toml: cannot be read: no such file or directory"),
        (["GET", "/", "--admin", "x"], "lbg route: --admin: "),
        (["GET", "/", "--admin", ":1", "--config", "lbg.toml"], "lbg route: --config asks no admin listener"),
        (["GET"], "lbg: Missing argument 'URL'."),
    ],
)
def test_a_mistake_is_one_sentence_and_asks_nobody(command, listener, lbg_toml, arguments, sentence):
    status, out, err = command("route", *arguments)
    assert (status, out, listener.requests) == (2, "", [])
    assert err.startswith(sentence)
    assert err.count("\n") == 1


def test_a_problem_that_lbg_tells_is_passed_on(command, listener, lbg_toml):
    listener.script = [problem(404, "There is nothing at this path.")]
    status, _, err = command("route", "GET", "/")
    assert (status, err) == (
        2,
        "lbg route: There is nothing at this path.\n",
    )


@pytest.mark.parametrize("other", ["x", {}, {"method": "GET", "url": 1}, None])
def test_an_answer_of_another_shape_is_told(command, listener, lbg_toml, other):
    listener.script = [answer(other)]
    assert command("route", "GET", "/") == (
        2,
        "",
        "lbg route: http://127.0.0.1:9090 answers, but not as the admin listener of this version of lbg\n",
    )
