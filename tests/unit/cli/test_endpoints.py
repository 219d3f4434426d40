import json

import pytest

from tests.unit.cli.admin_listener import answer, problem


def change(**changes):
    """Return what is told of a change."""
    return {
        "generation": 4,
        "changed": True,
        "summary": "1 pool changed, 1 endpoint added",
        "endpoints": {"added": ["api/b:2"], "removed": ["api/a:1"]},
        "source": "lbg.toml",
        "amendments": {"added": [], "removed": []},
    } | changes


def test_an_endpoint_is_added_with_what_was_said_of_it(command, listener):
    listener.script = [answer(change(), 201)]
    assert command("add", "api", "http://b:2", "--weight", "3", "--backup") == (
        0,
        "api/b:2 is added; configuration 4 is in force\n",
        "",
    )
    (request,) = listener.requests
    assert (request.method, request.path_url) == ("POST", "/api/v1/pools/api/endpoints")
    assert json.loads(request.body) == {"url": "http://b:2", "weight": 3, "backup": True}


@pytest.mark.parametrize(
    ("name", "path"),
    [("a:1", "a%3A1"), ("http://a:1", "http%3A%2F%2Fa%3A1"), ("unix:/a b", "unix%3A%2Fa%20b")],
)
def test_an_endpoint_is_removed_by_any_of_its_names(command, listener, name, path):
    listener.script = [answer(change())]
    assert command("remove", "api", name) == (0, "api/a:1 is removed; configuration 4 is in force\n", "")
    (request,) = listener.requests
    assert (request.method, request.path_url) == ("DELETE", f"/api/v1/pools/api/endpoints/{path}")


@pytest.mark.parametrize("words", [("add", "api", "http://b:2"), ("remove", "api", "b:2"), ("reload",)])
def test_a_refusal_is_told_in_one_line(command, listener, words):
    listener.script = [problem(409, "api/b:2 is there already.")]
    status, out, err = command(*words)
    assert (status, out) == (2, "")
    assert err.endswith(": api/b:2 is there already.\n")


def test_a_reload_tells_what_changed(command, listener):
    listener.script = [answer(change())]
    assert command("reload") == (0, "configuration 4 is in force: 1 pool changed, 1 endpoint added\n", "")
    assert listener.requests[0].path_url == "/api/v1/reload"


def test_a_reload_tells_what_was_added_and_removed_before(command, listener):
    amendments = {"added": ["api/b:2"], "removed": ["api/a:1"]}
    listener.script = [answer(change(amendments=amendments))]
    _, out, _ = command("reload")
    assert out.endswith("\nit is lbg.toml, without api/a:1 (lbg remove), with api/b:2 (lbg add)\n")


def test_a_reload_tells_each_mistake(command, listener):
    mistakes = [{"text": "lbg.toml:3: pools.api: wrong\x1b[2J"}, {"text": "lbg.toml:9: other"}]
    listener.script = [answer({"detail": "2 mistakes", "errors": mistakes}, 422)]
    assert command("reload") == (
        1,
        "",
        "lbg.toml:3: pools.api: wrong?[2J\nlbg.toml:9: other\nlbg reload: nothing was changed\n",
    )


@pytest.mark.parametrize("words", [("add", "api", "http://b:2"), ("remove", "api", "b:2"), ("reload",)])
def test_another_document_is_not_of_this_version(command, listener, words):
    listener.script = [answer([])]
    status, _, err = command(*words)
    assert status == 2
    assert "but not as the admin listener of this version of lbg" in err
