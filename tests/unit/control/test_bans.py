"""Limits and bans on the admin listener."""

from dataclasses import replace
from typing import Any

import pytest

from lbg.config.schema import Config
from lbg.control.app import ControlApp
from lbg.control.bans import add_bans
from lbg.control.event_stream import EventStreams
from lbg.health.events import EventLog
from lbg.routing.limits_in_force import LimitsInForce
from lbg.state.bucket_memory import BucketMemory
from lbg.state.buckets import Buckets
from lbg.state.gcra import Rate
from lbg.state.limiter import RateRule
from tests.unit.control.control_app import POOLS, Answer, cells_of, published
from tests.unit.state.limits import banned

SECOND = 1_000_000_000


@pytest.fixture
def buckets() -> Buckets:
    return Buckets(BucketMemory.private())


@pytest.fixture
def app(buckets: Buckets) -> ControlApp:
    return control(buckets, *(rate_limit(name) for name in ("api", "other", "")))


def rate_limit(name: str = "", **table: object) -> dict[str, object]:
    return {"use": "rate_limit", "rate": "1/h", "burst": 0, "ban_after": 2, "name": name, **table}


def control(buckets: Buckets, *filters: dict[str, object], token: str = "") -> ControlApp:
    """Return the application for a route with these filters."""
    before = published(token=token)
    routes = [{"name": "shop", "pool": "web", "filters": filters}]
    config = Config.model_validate({"admin": {"token": token}, "pools": POOLS, "routes": routes})
    snapshot = replace(before.snapshot, config=config)
    limits = LimitsInForce.of(config.routes)
    parts = [lambda flask: add_bans(flask, buckets, limits)]
    return ControlApp(replace(before, snapshot=snapshot), cells_of(), EventStreams(EventLog()), parts=parts)


def ban(buckets: Buckets, key: bytes, name: str = "api", after: int = 2) -> None:
    """Have a key banned for a minute."""
    limiter = buckets.limiter(RateRule(name, Rate.of(1, 3600 * SECOND, 0), ban_after=after, ban=60 * SECOND))
    for _ in range(4):
        limiter.hit(key, buckets._clock())


def get(app: ControlApp, path: str, query: str = "") -> Any:
    answer = Answer(app, path, QUERY_STRING=query)
    assert answer.status == 200
    return answer.document


def listed(app: ControlApp, query: str = "") -> Any:
    return get(app, "/api/v1/bans", query)["bans"]


def delete(app: ControlApp, key: str, query: str = "") -> Answer:
    return Answer(app, f"/api/v1/bans/{key}", REQUEST_METHOD="DELETE", QUERY_STRING=query)


def test_who_is_banned_is_listed(app: ControlApp, buckets: Buckets) -> None:
    assert get(app, "/api/v1/bans") == {"total": 0, "bans": []}
    ban(buckets, b"192.0.2.1")
    (document,) = listed(app)
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
    ban(buckets, b"b", "shop#2")
    assert [each["key"] for each in listed(app, "limit=shop%232")] == ["b"]
    assert get(app, "/api/v1/bans", "limit=shop%232")["total"] == 1
    assert get(app, "/api/v1/bans", "limit=unknown") == {"total": 0, "bans": []}


def test_one_rejection_is_one(app: ControlApp, buckets: Buckets) -> None:
    ban(buckets, b"a", after=1)
    assert listed(app)[0]["reason"] == "1 rejection within a minute"


def test_the_latest_bans_are_listed_with_how_many_there_are(app: ControlApp, buckets: Buckets) -> None:
    for number in range(1002):
        ban(buckets, b"%d" % number)
    answer = get(app, "/api/v1/bans")
    assert (answer["total"], len(answer["bans"])) == (1002, 1000)
    assert answer["bans"][0]["key"] == "1001"
    assert [each["key"] for each in listed(app, "count=2")] == ["1001", "1000"]
    assert get(app, "/api/v1/bans", "count=0") == {"total": 1002, "bans": []}
    assert len(listed(app, "count=5000")) == 1002


@pytest.mark.parametrize("count", ["", "-1", "x", "1.0", "5001", "9" * 5000, "%C2%B2"])
def test_a_count_that_cannot_be_is_a_problem(app: ControlApp, count: str) -> None:
    answer = Answer(app, "/api/v1/bans", QUERY_STRING=f"count={count}")
    assert answer.status == 400
    assert answer.document["detail"].startswith("count: expected a whole number of at most 5000, got")


@pytest.mark.parametrize("path", ["/api/v1/bans", "/api/v1/limits"])
def test_others_have_their_turn_while_bans_are_looked_for(
    app: ControlApp, buckets: Buckets, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("lbg.control.bans.sleep", pauses.append)
    buckets.limiter(RateRule("api", Rate.of(1, SECOND, 0)))
    get(app, path)
    assert len(pauses) >= 32


GHOSTS = {
    "bans no more": [rate_limit("api", ban_after=0)],
    "runs dry": [rate_limit("api", dry_run=True)],
    "has another name": [rate_limit("other")],
    "is gone": [],
    "limits what is in flight": [{"use": "concurrency", "limit": 1, "name": "api"}],
}


@pytest.mark.parametrize("filters", GHOSTS.values(), ids=GHOSTS.keys())
def test_a_ban_by_a_limit_that_does_not_ban_is_none(
    buckets: Buckets, filters: list[dict[str, object]]
) -> None:
    ban(buckets, b"a")
    app = control(buckets, *filters)
    assert get(app, "/api/v1/bans") == {"total": 0, "bans": []}
    assert delete(app, "a").status == 404
    assert all(limit.get("banned_now", 0) == 0 for limit in get(app, "/api/v1/limits"))


def test_a_limit_without_a_name_is_known_by_its_place(buckets: Buckets) -> None:
    ban(buckets, b"a", "shop#1")
    app = control(buckets, {"use": "request_id"}, rate_limit())
    assert [each["limit"] for each in listed(app)] == ["shop#1"]
    assert [each["limit"] for each in get(app, "/api/v1/limits")] == ["shop#1"]


def test_limits_of_earlier_configurations_are_not_listed(buckets: Buckets) -> None:
    ban(buckets, b"a", "earlier")
    ban(buckets, b"a", "api")
    buckets.holder("api", 1)
    app = control(buckets, rate_limit("api"))
    assert [(each["limit"], each["kind"]) for each in get(app, "/api/v1/limits")] == [("api", "rate")]


@pytest.mark.parametrize("key", ["192.0.2.1", "2001:db8::/64", "/v1/reports", "//x", "two words", "a%2Fb"])
def test_a_ban_can_be_lifted(app: ControlApp, buckets: Buckets, key: str) -> None:
    ban(buckets, key.encode())
    answer = delete(app, key)
    assert answer.status == 200
    assert [each["key"] for each in answer.document] == [key]
    assert listed(app) == []


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
    assert [each["limit"] for each in listed(app)] == ["api"]
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
    app = control(buckets, rate_limit("api"), token="secret")
    ban(buckets, b"a")
    assert delete(app, "a").status == 401
    assert len(banned(buckets, "api")) == 1


def test_limits_tell_what_they_counted(buckets: Buckets) -> None:
    app = control(buckets, rate_limit("api"), {"use": "concurrency", "limit": 1, "name": "api"})
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
