"""Timing: which part of a request tells how fast its endpoint is, and which of its ends."""

import time
from collections.abc import Callable

import pytest

from lbg.balancing.latency import Latency
from lbg.upstream.timing import Timing, retry_after

UNSET = 0.0


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("lbg.upstream.timing.monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_the_time_from_the_whole_request_to_the_head_counts(clock: Clock) -> None:
    latency = Latency()
    timing = Timing(latency)
    clock.now = 103.0  # connecting
    timing.sent(whole=False)
    clock.now = 110.0  # the client sends its body
    timing.sent()
    clock.now = 110.5
    timing.answered(200, [])
    assert latency.at(clock.now) == 0.5


def test_an_answer_before_the_whole_request_tells_nothing(clock: Clock) -> None:
    latency = Latency()
    timing = Timing(latency)
    timing.sent(whole=False)
    clock.now = 110.0
    timing.answered(413, [])
    assert (latency.at(clock.now), latency.asked) == (UNSET, 0)


@pytest.mark.parametrize(
    ("status", "fields", "counts"),
    [
        (200, [], 0.5),
        (404, [], 0.5),
        (200, [("Retry-After", "60")], 0.5),
        (429, [], 5.0),
        (500, [], 5.0),
        (503, [("X", "1"), ("retry-AFTER", " 60 ")], 60.0),
        (429, [("Retry-After", "86400")], 300.0),
    ],
)
def test_the_status_decides_what_an_answer_counts_for(
    clock: Clock, status: int, fields: list[tuple[str, str]], counts: float
) -> None:
    latency = Latency()
    timing = Timing(latency)
    timing.sent()
    clock.now += 0.5
    timing.answered(status, fields)
    assert latency.at(clock.now) == counts


@pytest.mark.parametrize(
    ("end", "counts"),
    [(Timing.failed, 8.0), (Timing.given_up, 8.0), (Timing.dropped, UNSET)],
)
def test_the_end_without_an_answer_decides_what_its_time_counts_for(
    clock: Clock, end: Callable[[Timing], None], counts: float
) -> None:
    latency = Latency()
    timing = Timing(latency)
    clock.now += 8.0
    end(timing)
    assert (latency.at(clock.now), latency.asked) == (counts, 0)


def test_a_body_that_is_cut_counts_as_a_failure_but_not_for_its_length(clock: Clock) -> None:
    latency = Latency()
    timing = Timing(latency)
    timing.answered(200, [])
    clock.now += 600.0
    timing.failed()
    assert (latency.at(clock.now), latency.asked) == (5.0, 0)


def test_a_request_is_under_way_until_it_ends(clock: Clock) -> None:
    latency = Latency()
    first, second = Timing(latency), Timing(latency)
    assert latency.asked == 2
    first.answered(200, [])
    assert latency.asked == 1
    second.given_up()
    assert latency.asked == 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("9" * 5000, 0.0),
        ("\u0663", 0.0),
        ("Fri, 31 Dec 1999 23:59:59 GMT", 0.0),
    ],
)
def test_what_is_not_a_time_to_come_is_none(value: str, seconds: float) -> None:
    assert retry_after([("Retry-After", value)]) == seconds


def test_a_date_is_as_far_away_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    when = time.mktime(time.strptime("2030-01-01", "%Y-%m-%d")) - time.timezone
    monkeypatch.setattr("lbg.upstream.timing.time", lambda: when - 90)
    assert retry_after([("Retry-After", "Tue, 01 Jan 2030 00:00:00 GMT")]) == 90.0


def test_without_the_field_there_is_no_time() -> None:
    assert retry_after([("X", "5")]) == 0.0
