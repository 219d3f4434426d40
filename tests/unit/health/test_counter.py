"""The health counter: HAProxy's vectors, and what holds for any rise and fall."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.health.counter import HealthCounter

RULES = st.builds(HealthCounter, st.integers(1, 10), st.integers(1, 10))
CHECKS = st.lists(st.booleans(), max_size=60)


def counts(rule: HealthCounter, checks: list[bool]) -> list[int]:
    """Return the count before and after each check."""
    found = [rule.start]
    for passed in checks:
        found.append(rule.observe(found[-1], passed))
    return found


def verdicts(rule: HealthCounter, checks: str) -> str:
    """Return U for up and d for down after each of `checks`, P for passed and F for failed."""
    after = counts(rule, [check == "P" for check in checks])[1:]
    return "".join("U" if rule.is_up(count) else "d" for count in after)


@pytest.mark.parametrize(
    ("checks", "after"),
    [
        ("F", "d"),
        ("PFF", "UUU"),
        ("PFFF", "UUUd"),
        ("PFFPFFF", "UUUUUUd"),
        ("FP", "dd"),
        ("FPP", "ddU"),
        ("FPFPP", "ddddU"),
    ],
)
def test_rise_2_fall_3_is_that_of_haproxy(checks: str, after: str) -> None:
    assert verdicts(HealthCounter(rise=2, fall=3), checks) == after


@pytest.mark.parametrize(
    ("rise", "fall", "checks", "after"),
    [
        (1, 1, "FPFP", "dUdU"),
        (1, 3, "FPFFF", "dUUUd"),
        (3, 1, "FPPPF", "dddUd"),
        (3, 2, "PFFPPFPPP", "UUddddddU"),
    ],
)
def test_other_rules(rise: int, fall: int, checks: str, after: str) -> None:
    assert verdicts(HealthCounter(rise, fall), checks) == after


@given(RULES, st.booleans())
def test_a_doubtful_one_is_one_check_from_the_opposite(rule: HealthCounter, up: bool) -> None:
    count = rule.doubtful(up=up)
    assert rule.is_up(count) is up
    assert rule.is_up(rule.observe(count, passed=not up)) is not up


def test_it_starts_up_and_one_failure_from_down() -> None:
    rule = HealthCounter(2, 3)
    assert rule.is_up(rule.start)
    assert not rule.is_up(rule.observe(rule.start, passed=False))


@given(RULES, CHECKS)
def test_the_count_stays_within_its_range(rule: HealthCounter, checks: list[bool]) -> None:
    assert all(0 <= count <= rule.full for count in counts(rule, checks))


@given(RULES, CHECKS)
def test_what_is_up_goes_down_only_after_fall_failures_in_a_row_once_it_was_fully_up(
    rule: HealthCounter, checks: list[bool]
) -> None:
    count = rule.full
    failures = 0
    for passed in checks:
        before = rule.is_up(count)
        count = rule.observe(count, passed)
        failures = 0 if passed else failures + 1
        if before and not rule.is_up(count):
            assert failures >= rule.fall


@given(RULES, CHECKS)
def test_what_is_down_comes_up_exactly_after_rise_passes_in_a_row(
    rule: HealthCounter, checks: list[bool]
) -> None:
    count, passes = 0, 0
    for passed in checks:
        before = rule.is_up(count)
        count = rule.observe(count, passed)
        passes = passes + 1 if passed else 0
        if not before:
            assert rule.is_up(count) == (passes >= rule.rise)
        if not rule.is_up(count) and not passed:
            passes = 0


@given(RULES)
def test_settled_is_only_fully_up_or_fully_down(rule: HealthCounter) -> None:
    assert [count for count in range(rule.full + 1) if rule.is_settled(count)] == [0, rule.full]


@given(RULES, RULES, CHECKS)
def test_a_changed_rule_flips_no_endpoint(old: HealthCounter, new: HealthCounter, checks: list[bool]) -> None:
    count = counts(old, checks)[-1]
    up = old.is_up(count)
    kept = new.clamp(count, up)
    assert new.is_up(kept) == up
    assert 0 <= kept <= new.full


@given(RULES, st.integers(-5, 50))
def test_a_count_of_unknown_origin_comes_into_range(rule: HealthCounter, count: int) -> None:
    kept = rule.clamp(count)
    assert 0 <= kept <= rule.full
    assert kept == count or not 0 <= count <= rule.full
