"""The retry budget: a share of the requests, never less than a floor, never more in any window."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.upstream.budget import RetryBudget


def begun(share: float = 0.2, **options: float) -> RetryBudget:
    budget = RetryBudget(share, **options)
    budget.sample(0.0, 0, 0)
    return budget


@pytest.mark.parametrize(
    ("share", "requests", "most"),
    [(0.2, 1000, 200), (0.2, 151, 31), (0.2, 150, 30), (0.2, 0, 30), (0.0, 100_000, 30), (1.0, 500, 500)],
)
def test_a_share_of_the_requests_may_be_tried_again_and_the_floor_always(
    share: float, requests: int, most: int
) -> None:
    budget = begun(share)
    assert budget.allows(9.0, requests, most - 1)
    assert not budget.allows(9.0, requests, most)


def test_the_floor_is_per_second_of_the_window() -> None:
    budget = begun(0.2, floor=2.0, window=5.0)
    assert budget.allows(1.0, 0, 9)
    assert not budget.allows(1.0, 0, 10)


def test_without_a_floor_and_without_requests_there_is_none() -> None:
    assert not begun(0.2, floor=0.0).allows(1.0, 0, 0)


def test_what_was_tried_before_the_window_does_not_count() -> None:
    budget = begun()
    for second in range(1, 21):
        budget.sample(float(second), 0, min(second * 10, 30))
    assert budget.allows(20.0, 0, 30)


def test_totals_of_long_ago_do_not_count() -> None:
    budget = RetryBudget(0.2)
    budget.sample(0.0, 10**9, 10**8)
    assert budget.allows(1.0, 10**9 + 200, 10**8 + 39)
    assert not budget.allows(1.0, 10**9 + 200, 10**8 + 40)


def test_before_the_first_sample_a_retry_is_allowed() -> None:
    assert RetryBudget(0.2).allows(0.0, 10**9, 10**8)


@settings(deadline=None)
@given(
    st.sampled_from([0.0, 0.1, 0.2, 1.0]),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=100),
)
def test_no_window_has_more_retries_than_its_requests_and_the_floor_afford(
    share: float, quarters: list[tuple[int, int]]
) -> None:
    budget, now, requests, retries = begun(share), 0.0, 0, 0
    arrived, tried = [0], [0]
    for arriving, wanted in quarters:
        now, requests = now + 0.25, requests + arriving
        if now == int(now):
            budget.sample(now, requests, retries)
        for _ in range(wanted):
            retries += budget.allows(now, requests, retries)
        arrived.append(requests)
        tried.append(retries)
    for end in range(len(tried)):
        begin = max(0, end - 40)  # 10 s, and a second more for the age of the sample
        afford = max(share * (arrived[end] - arrived[max(0, begin - 4)]), 30.0)
        assert tried[end] - tried[begin] <= math.ceil(afford)


def test_the_repr_tells_share_and_floor() -> None:
    assert repr(RetryBudget(0.2)).startswith("<RetryBudget 20% of requests, at least 30.0 in <Window")
