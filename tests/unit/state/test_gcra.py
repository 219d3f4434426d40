"""GCRA: what passes, how long the rest must wait, and that no window ever holds too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.state.gcra import Rate, advance, remaining

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
START = 1_000 * SECOND


def passes(rate: Rate, times: list[int], tat: int = 0) -> list[bool]:
    """Return which of the requests at these times pass."""
    verdicts = []
    for now in times:
        tat, early = advance(tat, now, rate.interval, rate.tolerance)
        verdicts.append(not early)
    return verdicts


@pytest.mark.parametrize(
    ("count", "period", "burst", "interval", "tolerance"),
    [
        (100, SECOND, 20, 10_000_000, 200_000_000),
        (100, SECOND, None, 10_000_000, SECOND),
        (30, MINUTE, 0, 2 * SECOND, 0),
        (30, MINUTE, None, 2 * SECOND, 2 * SECOND),  # half a request in a second is one
        (90, MINUTE, None, 666_666_667, 2 * 666_666_667),
        (1, SECOND, 3, SECOND, 3 * SECOND),
        (3, SECOND, 1, 333_333_334, 333_333_334),  # rounded up
    ],
)
def test_a_rate_is_an_interval_and_a_tolerance(
    count: int, period: int, burst: int | None, interval: int, tolerance: int
) -> None:
    assert Rate.of(count, period, burst) == Rate(interval, tolerance)


@pytest.mark.parametrize("burst", [0, 1, 2, 20])
def test_a_burst_lets_one_more_through_at_once(burst: int) -> None:
    assert passes(Rate.of(100, SECOND, burst), [START] * 50) == [True] * (burst + 1) + [False] * (49 - burst)


def test_after_the_burst_requests_pass_at_the_rate() -> None:
    rate = Rate.of(10, SECOND, 2)
    times = [START + number * 10_000_000 for number in range(200)]  # 100 in a second, for two seconds
    assert sum(passes(rate, times)) == 2 + 20


def test_whoever_keeps_to_the_rate_is_never_rejected() -> None:
    rate = Rate.of(10, SECOND, 0)
    assert all(passes(rate, [START + number * rate.interval for number in range(100)]))


def test_a_rejected_request_costs_nothing() -> None:
    rate = Rate.of(10, SECOND, 0)
    often = [START, *(START + number * 1_000_000 for number in range(1, 100)), START + 100_000_000]
    assert passes(rate, often) == [True] + [False] * 99 + [True]


def test_the_wait_is_until_the_next_passes_and_not_a_nanosecond_less() -> None:
    rate = Rate.of(100, SECOND, 5)
    tat = 0
    for _ in range(6):
        tat, early = advance(tat, START, rate.interval, rate.tolerance)
        assert not early
    tat, early = advance(tat, START + 3, rate.interval, rate.tolerance)
    assert early == rate.interval - 3
    assert advance(tat, START + rate.interval - 1, rate.interval, rate.tolerance)[1] == 1
    assert advance(tat, START + rate.interval, rate.interval, rate.tolerance)[1] == 0


def test_the_time_left_by_a_slower_rate_is_cut_to_what_this_one_could_bring() -> None:
    rate = Rate.of(100, SECOND, 20)
    tat, early = advance(START + 3600 * SECOND, START, rate.interval, rate.tolerance)
    assert (tat, early) == (START + rate.tolerance + rate.interval, rate.interval)
    assert advance(tat, START + rate.interval, rate.interval, rate.tolerance)[1] == 0


def test_the_greatest_rates_and_bursts_fit_into_64_bits() -> None:
    slowest = Rate.of(1, 99_999 * 86_400 * SECOND, 10**9)
    tat = 0
    for _ in range(3):
        tat, _ = advance(tat, 2**60, slowest.interval, slowest.tolerance)
    assert tat < 2**64


def test_what_is_left_falls_with_each_request_and_comes_back_with_time() -> None:
    rate = Rate.of(100, SECOND, 3)
    left, tat = [remaining(0, START, rate.interval, rate.tolerance)], 0
    for _ in range(5):
        tat, _ = advance(tat, START, rate.interval, rate.tolerance)
        left.append(remaining(tat, START, rate.interval, rate.tolerance))
    assert left == [4, 3, 2, 1, 0, 0]
    assert remaining(tat, START + rate.interval - 1, rate.interval, rate.tolerance) == 0
    assert remaining(tat, START + rate.interval, rate.interval, rate.tolerance) == 1
    assert remaining(tat, START + 10 * SECOND, rate.interval, rate.tolerance) == 4


RATES = st.builds(
    Rate.of, st.integers(1, 1000), st.sampled_from([SECOND, 10 * SECOND, MINUTE]), st.integers(0, 50)
)
STEPS = st.lists(st.integers(0, 2 * SECOND) | st.integers(0, 20_000_000), min_size=1, max_size=120)


@given(RATES, STEPS)
def test_no_window_holds_more_than_the_rate_and_the_burst(rate: Rate, steps: list[int]) -> None:
    times = [START + sum(steps[: index + 1]) for index in range(len(steps))]
    assert_no_window_holds_too_much(rate, times)


@given(RATES, st.lists(st.tuples(st.integers(0, SECOND), st.integers(0, SECOND)), max_size=100))
def test_that_holds_when_workers_read_the_clock_up_to_a_second_before_they_decide(
    rate: Rate, steps: list[tuple[int, int]]
) -> None:
    now, times = START, []
    for step, before in steps:
        now += step
        times.append(now - before)
    assert_no_window_holds_too_much(rate, times)


def assert_no_window_holds_too_much(rate: Rate, times: list[int]) -> None:
    verdicts = passes(rate, times)
    passed = sorted(time for time, verdict in zip(times, verdicts, strict=True) if verdict)
    for first, begins in enumerate(passed):
        for last in range(first, len(passed)):
            beyond_burst = (last - first) * rate.interval - rate.tolerance
            assert beyond_burst <= passed[last] - begins


@given(RATES, STEPS)
def test_what_is_left_is_what_then_passes(rate: Rate, steps: list[int]) -> None:
    tat, now = 0, START
    for step in steps:
        now += step
        tat, _ = advance(tat, now, rate.interval, rate.tolerance)
    left = remaining(tat, now, rate.interval, rate.tolerance)
    assert sum(passes(rate, [now] * (left + 3), tat)) == left
