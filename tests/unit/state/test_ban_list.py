"""Who is banned, and how bans are lifted."""

import pytest

from lbg.state.ban_list import Ban
from lbg.state.bucket_layout import SETS, WAYS, Kind, Part
from lbg.state.key_text import ABSENT
from lbg.state.limiter import Outcome
from tests.unit.state.limits import (
    HOUR,
    MINUTE,
    SECOND,
    START,
    Limits,
    banned,
    neighbours,
    outcomes,
    survey,
)

RULE = {"ban_after": 2, "ban": MINUTE}
ALL = ("api", "other", "third")
PASSED, BANNED = Outcome.PASSED, Outcome.BANNED


@pytest.fixture
def limits() -> Limits:
    return Limits()


def ban(limits: Limits, key: bytes, name: str = "api", **rule: bool) -> None:
    """Have a key banned now."""
    outcomes(limits.limiter(name, **RULE, **rule), key, limits.now, 5)


def keys(limits: Limits, *names: str) -> list[str]:
    return [each.key for each in banned(limits.buckets, *(names or ALL))]


def test_a_ban_is_told_with_all_there_is_to_know(limits: Limits) -> None:
    ban(limits, b"192.0.2.1")
    limits.now += SECOND
    assert banned(limits.buckets, "api") == [Ban("api", "192.0.2.1", START, START + MINUTE, 1, 2)]
    limits.now += 2 * MINUTE
    ban(limits, b"192.0.2.1")
    assert banned(limits.buckets, "api") == [
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
    assert limits.buckets.lift("a", ALL) == []
    assert list(limits.buckets.limits([("api", Kind.RATE)])) == []


def test_a_lifted_ban_is_over_and_forgotten(limits: Limits) -> None:
    ban(limits, b"a")
    lifted = limits.buckets.lift("a", ALL)
    assert [each.key for each in lifted] == ["a"]
    assert keys(limits) == []
    limits.now += 10 * SECOND
    assert outcomes(limits.limiter(**RULE), b"a", limits.now, 3) == [PASSED] * 3
    limits.now += MINUTE
    ban(limits, b"a")
    assert banned(limits.buckets, "api")[0].times == 1


def test_other_bans_stay(limits: Limits) -> None:
    for key in neighbours(limits.limiter(), 3):
        ban(limits, key)
    first, second, third = sorted(keys(limits))
    limits.buckets.lift(second, ALL)
    assert sorted(keys(limits)) == [first, third]
    assert survey(limits.buckets.bans(ALL, 0)).counts == {"api": 2}


def test_a_ban_is_lifted_by_all_limits_or_by_the_one_that_is_named(limits: Limits) -> None:
    for name in ("api", "other", "third"):
        ban(limits, b"a", name)
    assert [each.limit for each in limits.buckets.lift("a", ["other"])] == ["other"]
    assert {each.limit for each in limits.buckets.lift("a", ALL)} == {"api", "third"}


def test_nothing_is_lifted_where_nothing_is_banned(limits: Limits) -> None:
    ban(limits, b"a")
    limits.now += HOUR
    assert limits.buckets.lift("a", ALL) == []
    assert limits.buckets.lift("b", ALL) == []


def test_a_secret_is_listed_by_a_digest_and_can_be_lifted_by_that_or_by_itself(limits: Limits) -> None:
    for given in (None, "Bearer xyz"):
        ban(limits, b"Bearer xyz", secret=True)
        (shown,) = keys(limits)
        assert shown.startswith("digest:")
        assert "xyz" not in shown
        assert len(limits.buckets.lift(given or shown, ALL)) == 1
        limits.now += HOUR


def test_the_client_that_stands_for_an_absent_key_can_be_lifted_by_its_address(limits: Limits) -> None:
    ban(limits, ABSENT + b"192.0.2.1", secret=True)
    assert keys(limits) == ["192.0.2.1"]
    assert len(limits.buckets.lift("192.0.2.1", ALL)) == 1


def test_a_long_key_can_be_lifted_as_it_is_shown_and_as_it_is(limits: Limits) -> None:
    for lift in ("x" * 40 + "...", "x" * 300):
        ban(limits, b"x" * 300)
        (shown,) = keys(limits)
        assert shown.startswith("x" * 40 + "...")
        assert len(limits.buckets.lift(shown if "." in lift else lift, ALL)) == 1
        limits.now += HOUR


def test_bans_by_limits_that_are_not_asked_for_are_neither_told_nor_lifted(limits: Limits) -> None:
    ban(limits, b"a", "earlier")
    ban(limits, b"b")
    bans = survey(limits.buckets.bans(ALL, 10))
    assert [each.key for each in bans.latest] == ["b"]
    assert bans.counts == {"api": 1}
    assert limits.buckets.lift("a", ALL) == []
    assert keys(limits, "earlier") == ["a"]
    ban(limits, b"c", "earlier", secret=True)
    shown = next(key for key in keys(limits, "earlier") if key != "a")
    assert limits.buckets.lift(shown, ALL) == []


def test_the_latest_are_told_and_all_are_counted(limits: Limits) -> None:
    for number in range(20):
        limits.now += SECOND
        ban(limits, b"%d" % number, ALL[number % 2])
    for most in (0, 1, 5):
        bans = survey(limits.buckets.bans(ALL, most))
        assert [each.key for each in bans.latest] == [f"{19 - number}" for number in range(most)]
        assert bans.counts == {"api": 10, "other": 10}


def test_others_have_their_turn_while_bans_are_looked_for(limits: Limits) -> None:
    for number in range(1000):
        ban(limits, b"%d" % number)
    steps = limits.buckets.bans(ALL, 1000)
    assert sum(1 for _ in steps) >= SETS / 256 + 1000 / 256


def test_a_place_that_became_another_key_s_meanwhile_is_left_out(limits: Limits) -> None:
    ban(limits, b"a")
    base, _ = limits.limiter()._place(b"a")
    steps = limits.buckets.bans(ALL, 10)
    for _ in range(SETS // 128):
        next(steps)
    assert next(steps, "in the end") is None  # all sets are read, no ban is
    limits.memory.view[base + Part.HELD : base + Part.HELD + WAYS] = memoryview(bytes(8 * WAYS)).cast("Q")
    bans = survey(steps)
    assert (bans.latest, bans.counts) == ([], {"api": 1})


def test_only_the_set_of_a_key_is_looked_into_to_lift_its_ban(limits: Limits) -> None:
    base, _ = limits.limiter()._place(b"a")
    entered: list[int] = []
    enter = limits.memory.enter

    def noted(cell: int) -> None:
        entered.append(cell)
        enter(cell)

    limits.memory.enter = noted
    for given in (None, "a"):
        ban(limits, b"a", secret=True)
        (shown,) = keys(limits)
        entered.clear()
        assert len(limits.buckets.lift(given or shown, ALL)) == 1
        assert entered == [base]
        limits.now += HOUR


def test_a_digest_lifts_no_ban_that_is_shown_otherwise(limits: Limits) -> None:
    ban(limits, b"a")
    _, digest = limits.limiter()._place(b"a")
    assert limits.buckets.lift(f"digest:{digest[:8].hex()}", ALL) == []
    assert limits.buckets.lift(f"other...{digest[:8].hex()}", ALL) == []


def test_a_ban_of_a_key_that_took_the_place_at_the_same_time_is_not_lifted(limits: Limits) -> None:
    ban(limits, b"a")
    base, digest = limits.limiter()._place(b"a")
    enter = limits.memory.enter

    def enter_late(cell: int) -> None:
        start = limits.memory.memory.find(digest, base * 8)
        limits.memory.memory[start : start + len(digest)] = bytes(len(digest))
        enter(cell)

    limits.memory.enter = enter_late
    assert limits.buckets.lift("a", ALL) == []


def test_a_ban_that_was_lifted_by_another_at_the_same_time_is_not_lifted_again(limits: Limits) -> None:
    ban(limits, b"a")
    base, _ = limits.limiter()._place(b"a")
    enter = limits.memory.enter

    def enter_late(cell: int) -> None:
        limits.memory.view[base + Part.HELD : base + Part.HELD + WAYS] = memoryview(bytes(8 * WAYS)).cast("Q")
        enter(cell)

    limits.memory.enter = enter_late
    assert limits.buckets.lift("a", ALL) == []


def test_a_ban_of_another_worker_is_lifted_for_it(limits: Limits) -> None:
    worker = Limits(limits.memory, worker=4)
    ban(worker, b"a")
    assert outcomes(worker.limiter(**RULE), b"a", START, 1) == [BANNED]
    limits.buckets.lift("a", ALL)
    assert outcomes(worker.limiter(**RULE), b"a", START + 3 * SECOND, 1) == [PASSED]
