"""Who is banned, and how bans are lifted."""

import pytest

from lbg.state.ban_list import Ban
from lbg.state.bucket_layout import WAYS, limit_row
from lbg.state.key_text import ABSENT
from lbg.state.limit_table import OTHERS
from lbg.state.limiter import Outcome
from tests.unit.state.limits import HOUR, MINUTE, SECOND, START, Limits, neighbours, outcomes

RULE = {"ban_after": 2, "ban": MINUTE}
PASSED, BANNED = Outcome.PASSED, Outcome.BANNED


@pytest.fixture
def limits() -> Limits:
    return Limits()


def ban(limits: Limits, key: bytes, name: str = "api", **rule: bool) -> None:
    """Have a key banned now."""
    outcomes(limits.limiter(name, **RULE, **rule), key, limits.now, 5)


def keys(limits: Limits, limit: str | None = None) -> list[str]:
    return [each.key for each in limits.buckets.bans(limit)]


def test_a_ban_is_told_with_all_there_is_to_know(limits: Limits) -> None:
    ban(limits, b"192.0.2.1")
    limits.now += SECOND
    assert limits.buckets.bans() == [Ban("api", "192.0.2.1", START, START + MINUTE, 1, 2)]
    limits.now += 2 * MINUTE
    ban(limits, b"192.0.2.1")
    assert limits.buckets.bans() == [
        Ban("api", "192.0.2.1", limits.now, limits.now + 2 * MINUTE, times=2, rejections=2)
    ]


def test_only_who_is_banned_now_is_listed(limits: Limits) -> None:
    ban(limits, b"a")
    outcomes(limits.limiter(**RULE), b"b", START, 4)
    assert keys(limits) == ["a"]
    limits.now += MINUTE
    assert keys(limits) == []


def test_the_latest_comes_first(limits: Limits) -> None:
    for key in (b"a", b"b", b"c"):
        limits.now += SECOND
        ban(limits, key)
    assert keys(limits) == ["c", "b", "a"]


def test_all_of_a_set_are_listed(limits: Limits) -> None:
    for key in neighbours(limits.limiter(), WAYS):
        ban(limits, key)
    assert len(keys(limits)) == WAYS


def test_bans_by_one_limit_can_be_asked_for(limits: Limits) -> None:
    ban(limits, b"a")
    ban(limits, b"b", "other")
    assert keys(limits, "other") == ["b"]
    assert keys(limits, "unknown") == []


def test_a_file_that_no_limit_was_applied_with_is_not_touched() -> None:
    limits = Limits()
    assert not limits.memory.reserved
    assert keys(limits) == []
    assert limits.buckets.limits() == []


def test_a_lifted_ban_is_over_and_forgotten(limits: Limits) -> None:
    ban(limits, b"a")
    lifted = limits.buckets.lift("a")
    assert [each.key for each in lifted] == ["a"]
    assert keys(limits) == []
    limits.now += 10 * SECOND
    assert outcomes(limits.limiter(**RULE), b"a", limits.now, 3) == [PASSED] * 3
    limits.now += MINUTE
    ban(limits, b"a")
    assert limits.buckets.bans()[0].times == 1


def test_other_bans_stay(limits: Limits) -> None:
    for key in neighbours(limits.limiter(), 3):
        ban(limits, key)
    first, second, third = sorted(keys(limits))
    limits.buckets.lift(second)
    assert sorted(keys(limits)) == [first, third]


def test_a_ban_is_lifted_by_all_limits_or_by_the_one_that_is_named(limits: Limits) -> None:
    for name in ("api", "other", "third"):
        ban(limits, b"a", name)
    assert [each.limit for each in limits.buckets.lift("a", "other")] == ["other"]
    assert {each.limit for each in limits.buckets.lift("a")} == {"api", "third"}


def test_nothing_is_lifted_where_nothing_is_banned(limits: Limits) -> None:
    ban(limits, b"a")
    limits.now += HOUR
    assert limits.buckets.lift("a") == []
    assert limits.buckets.lift("b") == []


def test_a_secret_is_listed_by_a_digest_and_can_be_lifted_by_that_or_by_itself(limits: Limits) -> None:
    for given in (None, "Bearer xyz"):
        ban(limits, b"Bearer xyz", secret=True)
        (shown,) = keys(limits)
        assert shown.startswith("digest:")
        assert "xyz" not in shown
        assert len(limits.buckets.lift(given or shown)) == 1
        limits.now += HOUR


def test_the_client_that_stands_for_an_absent_key_can_be_lifted_by_its_address(limits: Limits) -> None:
    ban(limits, ABSENT + b"192.0.2.1", secret=True)
    assert keys(limits) == ["192.0.2.1"]
    assert len(limits.buckets.lift("192.0.2.1")) == 1


def test_a_long_key_can_be_lifted_as_it_is_shown_and_as_it_is(limits: Limits) -> None:
    for lift in ("x" * 40 + "...", "x" * 300):
        ban(limits, b"x" * 300)
        (shown,) = keys(limits)
        assert shown.startswith("x" * 40 + "...")
        assert len(limits.buckets.lift(shown if "." in lift else lift)) == 1
        limits.now += HOUR


def test_a_ban_by_a_limit_that_is_forgotten_can_still_be_lifted(limits: Limits) -> None:
    ban(limits, b"a")
    limits.memory.view[limit_row(1)] = 0
    assert [each.limit for each in limits.buckets.bans()] == [OTHERS]
    assert len(limits.buckets.lift("a")) == 1


def test_a_ban_of_another_worker_is_lifted_for_it(limits: Limits) -> None:
    worker = Limits(limits.memory, worker=4)
    ban(worker, b"a")
    assert outcomes(worker.limiter(**RULE), b"a", START, 1) == [BANNED]
    limits.buckets.lift("a")
    assert outcomes(worker.limiter(**RULE), b"a", START + 3 * SECOND, 1) == [PASSED]
