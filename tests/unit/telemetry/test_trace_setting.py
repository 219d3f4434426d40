"""The key of the configuration that decided."""

from typing import Any

import pytest

from lbg.errors import Sent, UpstreamError
from lbg.telemetry.trace_setting import filters_of, has_key, retry_setting, setting_of
from lbg.upstream.retry import GiveUp, RetryPolicy
from tests.unit.telemetry.traced import POOL, config_of, route_of

ACCESS = {"use": "access", "deny": ["10.0.0.0/8"]}
RATE = {"use": "rate_limit", "rate": "5/m", "ban_after": 9}
CONCURRENCY = {"use": "concurrency", "limit": 3, "name": "few"}


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("no_healthy", 'pools.api.when_all_down = "fail_closed"'),
        ("queue_full", "pools.api.queue.size = 7"),
        ("queue_timeout", "pools.api.queue.timeout = 4.5"),
        ("dns_failure", None),
        ("connect_timeout", "pools.api.timeouts.connect = 1.5"),
        ("response_timeout", "pools.api.timeouts.response = 2.5"),
        ("read_timeout", "pools.api.timeouts.idle = 3.5"),
        ("headers_too_large", "server.max_header_bytes = 65536"),
        ("uri_too_long", "server.max_header_bytes = 65536"),
        ("body_too_large", "server.max_body_bytes = 0"),
        ("client_header_timeout", "server.header_timeout = 10.0"),
        ("client_body_timeout", "server.body_timeout = 30.0"),
        ("loop", 'server.via = "lbg"'),
        ("shutdown", "server.shutdown_grace = 30.0"),
        ("connect_refused", None),
        ("bad_request", None),
    ],
)
def test_a_reason_has_its_key_with_the_value_in_force(reason: str, line: str | None) -> None:
    assert setting_of(reason, config_of(), None, "api", 0.1) == line


def test_the_time_to_connect_decided_on_a_name_when_the_resolver_was_silent() -> None:
    line = "pools.api.timeouts.connect = 1.5"
    assert setting_of("dns_failure", config_of(), None, "api", 1.5) == line


@pytest.mark.parametrize("reason", ["queue_timeout", "connect_timeout", "response_timeout", "read_timeout"])
def test_the_total_timeout_decided_when_it_was_over(reason: str) -> None:
    pools = {"api": {**POOL, "timeouts": {"total": 2.0}}}
    config = config_of(pools=pools)
    assert setting_of(reason, config, None, "api", 2.0) == "pools.api.timeouts.total = 2.0"
    assert setting_of(reason, config, None, "api", 1.9) != "pools.api.timeouts.total = 2.0"


@pytest.mark.parametrize(
    ("reason", "filters", "line"),
    [
        ("denied", [RATE, ACCESS], 'routes[0].filters[1].use = "access"'),
        ("rate_limited", [ACCESS, RATE], 'routes[0].filters[1].rate = "5/m"'),
        (
            "rate_limited",
            [RATE, CONCURRENCY],
            'routes[0].filters[0].rate = "5/m" or routes[0].filters[1].limit = 3',
        ),
        ("banned", [RATE], "routes[0].filters[0].ban_after = 9"),
        ("body_too_large", [{"use": "body_limit", "limit": 12}], "routes[0].filters[0].limit = 12"),
        ("filter_error", [RATE, {"use": "a.b:C"}], 'routes[0].filters[1].use = "a.b:C"'),
    ],
)
def test_a_filter_that_answers_is_named_by_its_place(
    reason: str, filters: list[dict[str, Any]], line: str
) -> None:
    assert setting_of(reason, config_of(), route_of(*filters), "api", 0.1) == line


@pytest.mark.parametrize(
    ("reason", "detail", "has"),
    [
        (None, "", False),
        ("headers_too_large", "The request head is larger than 5 bytes.", True),
        ("headers_too_large", "The request has more than 100 header fields.", False),
        ("filter_error", "A header rule of this route made an invalid Host.", False),
    ],
)
def test_a_limit_of_our_own_has_no_key(reason: str | None, detail: str, has: bool) -> None:
    assert has_key(reason, detail) is has


def test_a_pool_that_is_not_configured_any_more_has_no_keys() -> None:
    assert setting_of("queue_full", config_of(), None, "gone", 0.1) is None
    assert retry_setting("3 attempts were made", config_of(), "gone") is None


class Request:
    method = "GET"
    attempt = 3
    replayable = True


@pytest.mark.parametrize(
    ("policy", "request_", "line"),
    [
        (RetryPolicy(attempts=3), {}, "pools.api.retry.attempts = 3"),
        (RetryPolicy(on=frozenset()), {}, 'pools.api.retry.on = ["connect", "stale", "reset", "down"]'),
        (RetryPolicy(), {"replayable": False}, "pools.api.retry.buffer = 65536"),
    ],
)
def test_why_there_is_no_further_try_has_its_key(
    policy: RetryPolicy, request_: dict[str, Any], line: str
) -> None:
    request = Request()
    for name, value in request_.items():
        setattr(request, name, value)
    decision = policy.decide(request, UpstreamError("connect_refused", "no", sent=Sent.NOTHING))
    assert isinstance(decision, GiveUp)
    assert retry_setting(decision.why, config_of(), "api") == line


def test_filters_are_named_up_to_the_one_that_answered() -> None:
    route = route_of(ACCESS, CONCURRENCY, {"use": "compress"})
    assert filters_of(None, "", "") == []
    assert filters_of(route, "", "") == ["access", "concurrency (few)", "compress"]
    assert filters_of(route, "denied", "") == ["access"]
    assert filters_of(route, "rate_limited", "") == ["access", "concurrency (few)"]


def test_filters_end_with_the_one_that_had_no_answer_from_its_own_pool() -> None:
    route = route_of({"use": "forward_auth", "pool": "api"}, {"use": "compress"})
    assert filters_of(route, "connect_refused", "forward_auth had no answer") == ["forward_auth"]
    assert filters_of(route, "connect_refused", "") == ["forward_auth", "compress"]
