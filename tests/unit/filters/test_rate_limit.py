"""`rate_limit`: what is let through, what clients are told, and that faults stop nobody."""

import logging
from typing import Any

import pytest

from tests.unit.filters.limited import Application, Limits, call, codes
from tests.unit.state.limits import HOUR, MINUTE, SECOND, banned

BANS = {"ban_after": 2, "ban": 60.0}


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
def app() -> Application:
    return Application()


def test_what_is_beyond_the_rate_never_reaches_the_application(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app)
    assert codes(filtered, 5) == [200] * 3 + [429] * 2
    limits.now += SECOND // 10
    assert codes(filtered, 2) == [200, 429]
    assert app.calls == 4


def test_without_a_burst_a_second_s_worth_comes_at_once_beyond_the_first(
    limits: Limits, app: Application
) -> None:
    assert codes(limits.rate_limit(app, burst=None), 13) == [200] * 11 + [429] * 2


def test_a_rejection_tells_when_to_come_again(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, rate="1/10s", burst=0)
    codes(filtered, 1)
    answer = call(filtered)
    assert (answer.code, answer.reason, answer.values("Retry-After")) == (429, "rate_limited", ["10"])
    limits.now += 8 * SECOND - 1
    assert call(filtered).values("Retry-After") == ["3"]
    limits.now += 2 * SECOND
    assert call(filtered).values("Retry-After") == ["1"]
    limits.now += 1
    assert call(filtered).code == 200


def test_each_client_has_a_limit_of_its_own(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app)
    codes(filtered, 5, peer="192.0.2.1")
    assert codes(filtered, 1, peer="192.0.2.2") == [200]


def test_clients_of_one_ipv6_network_have_one_limit(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app)
    assert codes(filtered, 3, peer="2001:db8::1") == [200] * 3
    assert codes(filtered, 1, peer="2001:db8::ffff:1") == [429]
    assert codes(filtered, 1, peer="2001:db8:0:1::1") == [200]


def test_a_field_can_be_the_key(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, key="header:X-Tenant")
    assert codes(filtered, 4, ("X-Tenant", "a")) == [200] * 3 + [429]
    assert codes(filtered, 1, ("X-Tenant", "b")) == [200]


def test_whoever_leaves_the_key_out_is_limited_by_its_address(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, key="header:X-Tenant")
    assert codes(filtered, 4) == [200] * 3 + [429]
    assert codes(filtered, 1, peer="192.0.2.2") == [200]
    assert codes(filtered, 1, ("X-Tenant", "192.0.2.1")) == [200]


def test_limits_of_one_name_are_one(limits: Limits, app: Application) -> None:
    one, other = limits.rate_limit(app, name="all"), limits.rate_limit(app, name="all")
    assert codes(one, 2) + codes(other, 2) == [200] * 3 + [429]
    assert codes(limits.rate_limit(app), 1) == [200]


def test_an_allowed_client_is_never_limited_nor_banned(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, allow=["192.0.2.0/24", "2001:db8::/32"], headers="draft", **BANS)
    assert set(codes(filtered, 50, peer="192.0.2.7")) == {200}
    assert set(codes(filtered, 50, peer="2001:db8::1")) == {200}
    assert call(filtered, peer="192.0.2.7").values("RateLimit") == []
    assert codes(filtered, 4, peer="198.51.100.1") == [200] * 3 + [429]


def test_whoever_goes_on_is_banned_for_a_while(
    limits: Limits, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    filtered = limits.rate_limit(app, **BANS)
    answers = [call(filtered) for _ in range(6)]
    assert [answer.reason for answer in answers] == [""] * 3 + ["rate_limited"] + ["banned"] * 2
    assert answers[-1].code == 429
    assert answers[-1].values("Retry-After") == ["60"]
    assert caplog.messages == ["limit shop#0: 192.0.2.1 is banned for 60 s"]
    limits.now += 30 * SECOND + 1
    assert call(filtered).values("Retry-After") == ["30"]
    limits.now += 30 * SECOND
    assert call(filtered).code == 200


def test_bans_are_logged_once_a_minute_with_their_number(
    limits: Limits, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    filtered = limits.rate_limit(app, **BANS)
    for client in range(10):
        codes(filtered, 5, peer=f"192.0.2.{client}")
    limits.now += MINUTE
    codes(filtered, 5, peer="192.0.2.77")
    assert caplog.messages[1:] == [
        "limit shop#0: 192.0.2.77 is banned for 60 s; 10 bans since the last such line"
    ]


@pytest.mark.parametrize(
    "key", ["header:Authorization", "header:X-Api-Key", "cookie:session", "query:access_token"]
)
def test_a_secret_is_neither_listed_nor_logged(
    limits: Limits, app: Application, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    kind, _, name = key.partition(":")
    field = (name, "hidden") if kind == "header" else ("Cookie", f"{name}=hidden")
    filtered = limits.rate_limit(app, key=key, **BANS)
    if kind == "query":
        filtered._key = lambda _: b"hidden"
    codes(filtered, 5, field)
    (ban,) = banned(limits.buckets, "shop#0")
    assert ban.key.startswith("digest:")
    assert ban.key in caplog.text
    assert "hidden" not in caplog.text


def test_an_open_key_is_listed_as_it_is(limits: Limits, app: Application) -> None:
    codes(limits.rate_limit(app, key="header:X-Tenant", **BANS), 5, ("X-Tenant", "acme"))
    assert [ban.key for ban in banned(limits.buckets, "shop#0")] == ["acme"]


def test_the_draft_s_fields_are_on_every_response(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, rate="1/s", burst=2, headers="draft")
    answers = [call(filtered) for _ in range(4)]
    assert [answer.values("RateLimit-Policy") for answer in answers] == [['"default";q=1;w=1']] * 4
    assert [answer.values("RateLimit") for answer in answers] == [
        ['"default";r=2;t=1'],  # all of it is there again in a second
        ['"default";r=1;t=2'],
        ['"default";r=0;t=1'],  # the next one passes in a second
        ['"default";r=0;t=1'],
    ]
    assert [answer.code for answer in answers] == [200] * 3 + [429]
    assert answers[3].values("Retry-After") == ["1"]


def test_the_example_of_the_documentation(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, rate="100/s", burst=0, headers="draft")
    codes(filtered, 1)
    answer = call(filtered)
    assert answer.values("RateLimit-Policy") == ['"default";q=100;w=1']
    assert answer.values("RateLimit") == ['"default";r=0;t=1']


def test_a_limit_tells_its_name_and_a_ban_its_end(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, rate="600/m", name="api", headers="draft", **BANS)
    answer = [call(filtered) for _ in range(6)][-1]
    assert answer.reason == "banned"
    assert answer.values("RateLimit-Policy") == ['"api";q=600;w=60']
    assert answer.values("RateLimit") == ['"api";r=0;t=60']


def test_two_limits_of_a_route_both_work_and_both_tell(limits: Limits, app: Application) -> None:
    inner = limits.rate_limit(app, rate="5/h", burst=4, name="hour", headers="draft")
    outer = limits.rate_limit(inner, name="second", headers="draft")
    answer = call(outer)
    assert answer.values("RateLimit-Policy") == ['"hour";q=5;w=3600', '"second";q=10;w=1']
    assert answer.values("RateLimit") == ['"hour";r=4;t=720', '"second";r=2;t=1']
    assert codes(outer, 3) == [200, 200, 429]
    limits.now += SECOND
    assert codes(outer, 3) == [200, 200, 429]
    assert call(outer).values("RateLimit-Policy")[-1] == '"second";q=10;w=1'


def test_the_legacy_fields_can_be_had(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, headers="legacy")
    answers = [call(filtered) for _ in range(4)]
    assert [answer.values("X-RateLimit-Limit") for answer in answers] == [["10"]] * 4
    assert [answer.values("X-RateLimit-Remaining") for answer in answers] == [["2"], ["1"], ["0"], ["0"]]
    assert [answer.values("X-RateLimit-Reset") for answer in answers] == [["1"]] * 4
    assert answers[3].values("Retry-After") == ["1"]
    assert answers[3].values("RateLimit") == []


@pytest.mark.parametrize(("inner", "outer"), [("100/s", "1/h"), ("1/h", "100/s")])
def test_of_two_limits_the_legacy_fields_tell_the_closer_one(
    limits: Limits, app: Application, inner: str, outer: str
) -> None:
    both: Any = limits.rate_limit(app, rate=inner, burst=None, name="inner", headers="legacy")
    both = limits.rate_limit(both, rate=outer, burst=None, name="outer", headers="legacy")
    answer = call(both)
    assert answer.values("X-RateLimit-Limit") == ["1"]
    assert answer.values("X-RateLimit-Remaining") == ["1"]
    assert answer.values("X-RateLimit-Reset") == ["3600"]


def test_without_fields_there_is_still_a_retry_after(limits: Limits, app: Application) -> None:
    filtered = limits.rate_limit(app, headers="off")
    answers = [call(filtered) for _ in range(4)]
    assert not [name for answer in answers for name, _ in answer.headers if "ratelimit" in name.lower()]
    assert answers[3].values("Retry-After") == ["1"]


def test_the_application_s_list_of_headers_is_left_alone(limits: Limits, app: Application) -> None:
    call(limits.rate_limit(app, headers="draft"))
    assert app.headers == [("Content-Length", "2")]


def test_what_the_application_says_of_a_failure_is_passed_on(limits: Limits) -> None:
    told: list[Any] = []

    def failing(environ: Any, start_response: Any) -> list[bytes]:
        start_response("500 Oops", [], ("type", "value", None))
        return []

    list(limits.rate_limit(failing, headers="draft")(call_environ(), lambda *args: told.append(args)))
    assert told[0][0] == "500 Oops"
    assert told[0][2] == ("type", "value", None)


def call_environ() -> Any:
    return call(Application()).environ


def test_the_body_is_the_application_s_own(limits: Limits, app: Application) -> None:
    body: list[bytes] = [b"ok"]
    app.body = lambda: body
    result = limits.rate_limit(app, headers="draft")(call_environ(), lambda *_: None)
    assert result is body  # so that it can still be relayed without copying


def test_a_dry_run_lets_all_pass_tells_no_client_and_bans_nobody(
    limits: Limits, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    filtered = limits.rate_limit(app, dry_run=True, headers="draft", **BANS)
    answers = [call(filtered) for _ in range(30)]
    assert {answer.code for answer in answers} == {200}
    assert answers[0].values("RateLimit") == answers[0].values("RateLimit-Policy") == []
    limits.now += MINUTE
    codes(filtered, 5)
    assert caplog.messages == [
        "limit shop#0, dry run: would have rejected 1 since the last such line",
        "limit shop#0, dry run: would have rejected 27 since the last such line",
    ]
    assert banned(limits.buckets, "shop#0") == []


def test_a_fault_of_the_table_lets_requests_pass_and_is_logged_once_a_minute(
    limits: Limits, app: Application, caplog: pytest.LogCaptureFixture
) -> None:
    filtered = limits.rate_limit(app, headers="draft")

    def fail(*_: Any) -> Any:
        raise OSError(37, "No locks available")

    filtered._hit = fail
    assert codes(filtered, 100) == [200] * 100
    limits.now += MINUTE
    assert codes(filtered, 1) == [200]
    assert caplog.messages == [
        "limit shop#0 does not count, 1 requests passed: OSError(37, 'No locks available')",
        "limit shop#0 does not count, 100 requests passed: OSError(37, 'No locks available')",
    ]


def test_a_ban_outlives_the_filter(limits: Limits, app: Application) -> None:
    codes(limits.rate_limit(app, **BANS), 5)
    assert call(limits.rate_limit(app, **BANS)).reason == "banned"
    limits.now += HOUR
    assert call(limits.rate_limit(app, **BANS)).code == 200
