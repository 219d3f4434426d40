"""Limits and bans on the admin listener."""

from typing import Any

import pytest

from lbg.control.app import ControlApp
from lbg.health.events import EventLog
from lbg.state.bucket_memory import BucketMemory
from lbg.state.buckets import Buckets
from lbg.state.gcra import Rate
from lbg.state.limiter import RateRule
from tests.unit.control.control_app import Answer, cells_of, published

SECOND = 1_000_000_000


@pytest.fixture
def buckets() -> Buckets:
    return Buckets(BucketMemory.private())


@pytest.fixture
def app(buckets: Buckets) -> ControlApp:
    return ControlApp(published(), cells_of(), EventLog(), buckets=buckets)


def ban(buckets: Buckets, key: bytes, name: str = "api") -> None:
    """Have a key banned for a minute."""
    limiter = buckets.limiter(RateRule(name, Rate.of(1, 3600 * SECOND, 0), ban_after=2, ban=60 * SECOND))
    for _ in range(4):
        limiter.hit(key, buckets._clock())


def get(app: ControlApp, path: str, query: str = "") -> Any:
    answer = Answer(app, path, QUERY_STRING=query)
    assert answer.status == 200
    return answer.document


def delete(app: ControlApp, key: str, query: str = "") -> Answer:
    return Answer(app, f"/api/v1/bans/{key}", REQUEST_METHOD="DELETE", QUERY_STRING=query)


def test_who_is_banned_is_listed(app: ControlApp, buckets: Buckets) -> None:
    assert get(app, "/api/v1/bans") == []
    ban(buckets, b"192.0.2.1")
    (document,) = get(app, "/api/v1/bans")
    assert document.pop("since") < document.pop("until")
    assert 58 < document.pop("seconds_left") <= 60
    assert document == {
        "limit": "api",
        "key": "192.0.2.1",
        "times": 1,
        "reason": "2 rejections within a minute",
    }


def test_bans_by_one_limit_can_be_asked_for(app: ControlApp, buckets: Buckets) -> None:
    ban(buckets, b"a")
    ban(buckets, b"b", "other/limit#0")
    assert [each["key"] for each in get(app, "/api/v1/bans", "limit=other/limit%230")] == ["b"]


@pytest.mark.parametrize("key", ["192.0.2.1", "2001:db8::/64", "/v1/reports", "//x", "two words", "a%2Fb"])
def test_a_ban_can_be_lifted(app: ControlApp, buckets: Buckets, key: str) -> None:
    ban(buckets, key.encode())
    answer = delete(app, key)
    assert answer.status == 200
    assert [each["key"] for each in answer.document] == [key]
    assert get(app, "/api/v1/bans") == []


def test_a_key_of_other_scripts_can_be_lifted(app: ControlApp, buckets: Buckets) -> None:
    ban(buckets, "Köln".encode())
    assert delete(app, "Köln".encode().decode("latin-1")).status == 200


def test_the_address_of_a_client_lifts_the_ban_of_its_network(app: ControlApp, buckets: Buckets) -> None:
    ban(buckets, b"2001:db8::/64")
    assert [each["key"] for each in delete(app, "2001:db8::1:2").document] == ["2001:db8::/64"]


def test_only_the_ban_by_the_limit_that_is_named_is_lifted(app: ControlApp, buckets: Buckets) -> None:
    ban(buckets, b"a")
    ban(buckets, b"a", "other")
    assert [each["limit"] for each in delete(app, "a", "limit=other").document] == ["other"]
    assert [each["limit"] for each in get(app, "/api/v1/bans")] == ["api"]
    assert [each["limit"] for each in delete(app, "a").document] == ["api"]


def test_lifting_what_is_not_banned_is_a_problem_that_says_what_to_do(app: ControlApp) -> None:
    answer = delete(app, "a")
    assert (answer.status, answer.headers["Content-Type"]) == (404, "application/problem+json")
    assert answer.document["detail"] == '"a" is not banned. GET /api/v1/bans lists who is.'
    answer = delete(app, "a", "limit=api")
    assert answer.document["detail"] == '"a" is not banned by the limit "api". GET /api/v1/bans lists who is.'


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/bans/a"), ("POST", "/api/v1/bans/a"), ("PUT", "/api/v1/bans")]
)
def test_another_method_is_a_problem(app: ControlApp, method: str, path: str) -> None:
    answer = Answer(app, path, REQUEST_METHOD=method)
    assert (answer.status, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert "DELETE" in answer.headers["Allow"] or "GET" in answer.headers["Allow"]


def test_with_a_token_bans_are_not_for_strangers(buckets: Buckets) -> None:
    app = ControlApp(published(token="secret"), cells_of(), EventLog(), buckets=buckets)
    ban(buckets, b"a")
    assert delete(app, "a").status == 401
    assert len(buckets.bans()) == 1


def test_limits_tell_what_they_counted(app: ControlApp, buckets: Buckets) -> None:
    assert get(app, "/api/v1/limits") == []
    ban(buckets, b"a")
    ban(buckets, b"b")
    buckets.holder("api", 1).acquire(b"a")
    assert get(app, "/api/v1/limits") == [
        {
            "limit": "api",
            "kind": "rate",
            "passed": 2,
            "rejected": 4,
            "banned": 2,
            "bans": 2,
            "would_reject": 0,
            "evictions": 0,
            "uncounted": 0,
            "banned_now": 2,
        },
        {
            "limit": "api",
            "kind": "concurrency",
            "passed": 1,
            "rejected": 0,
            "banned": 0,
            "bans": 0,
            "would_reject": 0,
            "evictions": 0,
            "uncounted": 0,
        },
    ]
