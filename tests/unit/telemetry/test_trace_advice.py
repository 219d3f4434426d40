"""What to do about each reason."""

from typing import Any

import pytest

from lbg.errors import REASONS
from lbg.telemetry.trace_advice import advice
from lbg.telemetry.trace_document import Ended, trace_document
from lbg.upstream.candidates import Candidate
from tests.unit.telemetry.entries import environ_of
from tests.unit.telemetry.traced import Traced, config_of, failure, refusal, route_of


def told(record: Traced, took: float = 2.35) -> str:
    status = record.reason.status if record.reason is not None else 200
    ended = Ended("failed", status, 0, took, 1700000000.0)
    return advice(trace_document(environ_of(), record, config_of(), ended))


def met(reason: str, text: str) -> str:
    return told(refusal(reason, attempts=(failure("api.local:80", reason, text),)))


@pytest.mark.parametrize("reason", REASONS)
def test_an_advice_is_one_sentence_without_gaps(reason: str) -> None:
    text = told(refusal(reason))
    assert text.endswith(".")
    assert ". " not in text
    assert not set("{}") & set(text)


@pytest.mark.parametrize("reason", REASONS)
def test_an_advice_is_whole_though_no_key_decided(reason: str) -> None:
    document = trace_document({}, refusal(reason, pool=None), config_of(), Ended("failed", 500, 0, 0.0, 0.0))
    text = advice(document | {"setting": None})
    assert text.endswith(".")
    assert not text.endswith((" .", ";.", "raise ."))


@pytest.mark.parametrize(
    ("reason", "key"),
    [
        ("headers_too_large", "server.max_header_bytes"),
        ("client_header_timeout", "server.header_timeout"),
        ("response_timeout", "pools.api.timeouts.response"),
        ("read_timeout", "pools.api.timeouts.idle"),
        ("shutdown", "server.shutdown_grace"),
    ],
)
def test_the_key_to_raise_is_named(reason: str, key: str) -> None:
    assert told(refusal(reason)).endswith(f" raise {key}.")


def test_the_keys_of_both_limits_are_named_where_either_may_have_decided() -> None:
    limits = [{"use": "rate_limit", "rate": "1/h"}, {"use": "concurrency", "limit": 3}]
    text = told(refusal("rate_limited", route=route_of(*limits)))
    assert text.endswith("raise routes[0].filters[0].rate or routes[0].filters[1].limit.")


def test_too_many_fields_are_not_blamed_on_a_limit_of_bytes() -> None:
    text = told(refusal("headers_too_large", detail="The request has more than 100 header fields."))
    assert text == "Find out what fills the head: cookies, mostly."


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("connect refused", "Nothing listens there"),
        ("connect failed: too many open files", "file descriptors"),
        ("connect refused: the backlog is full", "full backlog"),
    ],
)
def test_only_what_refuses_is_said_not_to_listen(text: str, part: str) -> None:
    assert part in met("connect_refused", text)


def test_the_name_to_look_up_is_told() -> None:
    assert "`getent hosts api.local`" in met("dns_failure", "api.local: Name or service not known")


def test_the_endpoint_to_take_back_into_service_is_told() -> None:
    held = (Candidate("10.0.0.1:80", usable=False, why="draining"),)
    assert told(refusal("all_draining", candidates=held)).startswith("`lbg ready api/10.0.0.1:80` ")


def test_whose_endpoints_went_down_is_not_told_to_wait_longer() -> None:
    down = "went down while the request waited"
    tries = [failure(name, "upstream_reset", down) for name in ("a:1", "b:2")]
    last = failure("c:3", "response_timeout", "no response in time")
    assert told(refusal("response_timeout", attempts=(*tries, last))) == (
        "2 other endpoints went down meanwhile: see `lbg status`."
    )
    assert "1 other endpoint went" in told(refusal("response_timeout", attempts=(tries[0], last)))
    assert "raise pools.api" in told(refusal("response_timeout", attempts=(last,)))


def test_an_endpoint_that_somebody_held_back_is_offered_in_an_outage() -> None:
    down = Candidate("10.0.0.1:80", usable=False, why="down since 12:01:03: connect refused")
    held = [
        Candidate(f"10.0.0.{number}:80", usable=False, why=why)
        for number, why in ((2, "in maintenance since 12:01:03"), (3, "draining since 12:01:03"))
    ]
    assert "lbg ready" not in told(refusal("no_healthy", candidates=(down,)))
    one = told(refusal("no_healthy", candidates=(down, held[0])))
    assert one.endswith("; `lbg ready api/10.0.0.2:80` brings it back.")
    assert told(refusal("no_healthy", candidates=(*held, down))).endswith(" brings one back.")


def test_nothing_is_to_be_done_about_a_reason_of_another_version() -> None:
    document: dict[str, Any] = {"reason": "new_one", "setting": None, "candidates": [], "attempts": []}
    assert advice(document | {"endpoint": None, "pool": None}) == ""
