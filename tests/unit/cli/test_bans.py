import json

import pytest

from tests.unit.cli.admin_listener import answer, problem

BAN = {
    "limit": "api",
    "key": "192.0.2.1",
    "since": "2025-06-16T10:00:00Z",
    "until": "2025-06-16T10:01:00Z",
    "seconds_left": 42.4,
    "times": 2,
    "reason": "10 rejections within a minute",
}


def listed(document):
    return answer([json.dumps(document).encode()])


def listed_bans(bans, total=None):
    return listed({"total": len(bans) if total is None else total, "bans": bans})


def test_bans_are_a_table(command, listener):
    listener.script = [listed_bans([BAN, BAN | {"key": "2001:db8::/64", "seconds_left": 3600.0}])]
    status, out, err = command("bans")
    assert (status, err) == (0, "")
    heading, first, second = out.splitlines()
    assert heading.split() == ["KEY", "LIMIT", "FOR", "ANOTHER", "TIMES", "REASON"]
    assert first.split()[:5] == ["192.0.2.1", "api", "42", "s", "2"]
    assert first.rstrip().endswith("10 rejections within a minute")
    assert second.split()[:4] == ["2001:db8::/64", "api", "1", "h"]
    assert listener.requests[0].url.endswith("/api/v1/bans")


def test_how_many_there_are_is_told_when_not_all_are_listed(command, listener):
    listener.script = [listed_bans([BAN, BAN], total=35012)]
    assert command("bans")[1].splitlines()[-1] == "These are the latest 2 of 35,012."


def test_when_nobody_is_banned_it_says_so(command, listener):
    listener.script = [listed_bans([])]
    assert command("bans") == (0, "Nobody is banned.\n", "")


def test_the_document_can_be_had_as_it_is(command, listener):
    listener.script = [listed_bans([BAN])]
    status, out, err = command("bans", "--json")
    assert (status, json.loads(out), err) == (0, {"total": 1, "bans": [BAN]}, "")


def test_bans_by_one_limit_can_be_asked_for(command, listener):
    listener.script = [listed_bans([])]
    command("bans", "--limit", "shop.example/v1#0")
    assert listener.requests[0].url.endswith("/api/v1/bans?limit=shop.example%2Fv1%230")


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::/64", "2001%3Adb8%3A%3A%2F64"),
        ("digest:0123abc", "digest%3A0123abc"),
        ("/v1/reports", "%2Fv1%2Freports"),
        ("50%", "50%25"),
    ],
)
def test_a_ban_is_lifted(command, listener, key, path):
    listener.script = [listed([BAN])]
    status, out, err = command("unban", key)
    assert (status, out, err) == (0, "192.0.2.1 is not banned any more by the limit api\n", "")
    (request,) = listener.requests
    assert (request.method, request.url.partition("/api/v1/")[2]) == ("DELETE", f"bans/{path}")


def test_a_ban_by_one_limit_is_lifted(command, listener):
    listener.script = [listed([BAN])]
    command("unban", "a", "--limit", "api")
    assert listener.requests[0].url.endswith("/api/v1/bans/a?limit=api")


def test_what_is_not_banned_is_told_with_status_2(command, listener):
    listener.script = [problem(404, '"a" is not banned. GET /api/v1/bans lists who is.')]
    status, out, err = command("unban", "a")
    assert (status, out) == (2, "")
    assert err == ('lbg unban: "a" is not banned. `lbg bans` lists who is.\n')


@pytest.mark.parametrize(
    "document",
    [
        {"x": 1},
        [BAN],
        {"total": 1, "bans": [{"key": "a"}]},
        {"total": 1, "bans": [BAN | {"times": "many"}]},
        {"total": "many", "bans": [BAN]},
    ],
)
def test_another_document_is_not_taken_for_a_list_of_bans(command, listener, document):
    listener.script = [listed(document)]
    status, out, err = command("bans")
    assert (status, out) == (2, "")
    assert err.endswith("but not as the admin listener of this version of lbg\n")


def test_what_a_client_sent_cannot_move_the_cursor(command, listener):
    listener.script = [listed_bans([BAN | {"key": "a\x1b[2J"}])]
    assert "\x1b" not in command("bans")[1]


def test_it_goes_where_it_is_told_with_the_token(command, listener):
    listener.script = [listed_bans([]), listed([BAN])]
    command("bans", "--admin", "http://lb:1", "--token", "secret")
    command("unban", "a", "--admin", "http://lb:1", "--token", "secret")
    for request in listener.requests:
        assert request.url.startswith("http://lb:1/")
        assert request.headers["Authorization"] == "Bearer secret"
