"""One rate limit: who passes, who is banned and for how long, and who keeps a place in the table."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.state.bucket_layout import WAYS, Part
from lbg.state.gcra import Rate, advance
from lbg.state.limiter import Limiter, Outcome
from tests.unit.state.limits import HOUR, MINUTE, SECOND, START, Limits, neighbours, outcomes

PASSED, REJECTED, BANNED, NEWLY = Outcome.PASSED, Outcome.REJECTED, Outcome.BANNED, Outcome.NEWLY_BANNED


@pytest.fixture
def limits() -> Limits:
    return Limits()


def test_a_burst_passes_and_the_rest_is_rejected(limits: Limits) -> None:
    assert outcomes(limits.limiter(), b"a", START, 5) == [PASSED] * 3 + [REJECTED] * 2


def test_a_decision_tells_the_arrival_time_that_is_due_next(limits: Limits) -> None:
    limiter = limits.limiter()
    assert [limiter.hit(b"a", START)[1] - START for _ in range(5)] == [
        SECOND,
        2 * SECOND,
        3 * SECOND,
        3 * SECOND,
        3 * SECOND,
    ]


def test_keys_and_limits_have_nothing_to_do_with_each_other(limits: Limits) -> None:
    api, other = limits.limiter(), limits.limiter("other")
    outcomes(api, b"a", START, 5)
    assert outcomes(api, b"b", START, 1) == [PASSED]
    assert outcomes(other, b"a", START, 1) == [PASSED]


def test_limits_of_one_name_are_one(limits: Limits) -> None:
    outcomes(limits.limiter(), b"a", START, 2)
    assert outcomes(limits.limiter(), b"a", START, 2) == [PASSED, REJECTED]


def test_workers_share_a_limit(limits: Limits) -> None:
    other = Limits(limits.memory, worker=3)
    outcomes(limits.limiter(), b"a", START, 2)
    assert outcomes(other.limiter(), b"a", START, 2) == [PASSED, REJECTED]
    assert limits.counts() == {"passed": 3, "rejected": 1}


def test_a_long_key_is_as_good_as_a_short_one(limits: Limits) -> None:
    limiter = limits.limiter()
    assert outcomes(limiter, b"a" * 70_000, START, 4) == [PASSED] * 3 + [REJECTED]
    assert outcomes(limiter, b"a" * 70_001, START, 1) == [PASSED]


def test_a_key_that_comes_once_is_not_remembered(limits: Limits) -> None:
    limiter = limits.limiter()
    limiter.hit(b"a", START)
    assert limiter._places == {}


def test_the_digests_that_are_remembered_are_bounded(limits: Limits) -> None:
    limiter = limits.limiter()
    for number in range(10_000):
        outcomes(limiter, b"%d" % number, START, 2)
    outcomes(limiter, b"long" * 100, START, 2)
    assert 0 < len(limiter._places) <= 4096
    assert max(map(len, limiter._places)) <= 64


Hits = st.lists(
    st.tuples(st.sampled_from([b"a", b"b", b"c"]), st.integers(0, 2), st.integers(0, 2 * SECOND)), max_size=60
)


@given(Hits, st.integers(0, 4), st.integers(1, 20))
def test_it_decides_as_gcra_does_for_each_key_whichever_worker_is_asked(
    hits: list[tuple[bytes, int, int]], burst: int, count: int
) -> None:
    first = Limits()
    rate = Rate.of(count, SECOND, burst)
    workers = [Limits(first.memory, worker).limiter(rate=rate) for worker in range(3)]
    tats: dict[bytes, int] = {}
    now = START
    for key, worker, step in hits:
        now += step
        tats[key], early = advance(tats.get(key, 0), now, rate.interval, rate.tolerance)
        assert workers[worker].hit(key, now) == (REJECTED if early else PASSED, tats[key])


def test_as_many_rejections_as_given_lead_to_a_ban_that_begins_with_the_last(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=3, ban=60 * SECOND)
    assert outcomes(limiter, b"a", START, 8) == [PASSED] * 3 + [REJECTED] * 2 + [NEWLY] + [BANNED] * 2
    assert limiter.hit(b"a", START + 59 * SECOND) == (BANNED, START + 60 * SECOND)
    assert limiter.hit(b"a", START + 60 * SECOND)[0] is PASSED
    assert limits.counts() == {"passed": 4, "rejected": 3, "banned": 3, "bans": 1}


def test_one_rejection_can_be_enough(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=1, ban=60 * SECOND)
    assert outcomes(limiter, b"a", START, 5) == [PASSED] * 3 + [NEWLY, BANNED]


def test_a_ban_is_of_one_key(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=1, ban=60 * SECOND)
    outcomes(limiter, b"a", START, 5)
    assert outcomes(limiter, b"b", START, 1) == [PASSED]


def test_without_a_number_nobody_is_banned(limits: Limits) -> None:
    assert set(outcomes(limits.limiter(ban_after=0), b"a", START, 1000)[3:]) == {REJECTED}


def reject(limiter: Limiter, now: int) -> Outcome:
    """Have a key rejected once, whatever it was before, and return what became of that request."""
    while (outcome := limiter.hit(b"a", now)[0]) is PASSED:
        pass
    return outcome


def test_rejections_of_more_than_a_minute_ago_do_not_count(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=3, ban=60 * SECOND)
    assert reject(limiter, START) is REJECTED
    assert reject(limiter, START + SECOND) is REJECTED
    assert reject(limiter, START + 61 * SECOND) is REJECTED
    assert reject(limiter, START + 62 * SECOND) is REJECTED
    assert reject(limiter, START + 63 * SECOND) is NEWLY


def test_the_minute_slides(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=3, ban=60 * SECOND)
    assert [reject(limiter, START + second * SECOND) for second in (0, 50, 70, 80)] == [REJECTED] * 3 + [
        NEWLY
    ]


def test_what_led_to_a_ban_does_not_lead_to_the_next(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=3, ban=SECOND)
    assert [reject(limiter, START) for _ in range(3)] == [REJECTED, REJECTED, NEWLY]
    again = START + 2 * SECOND
    assert [reject(limiter, again) for _ in range(3)] == [REJECTED, REJECTED, NEWLY]


def bans(limiter: Limiter, gap: int, number: int) -> list[int]:
    """Return the lengths of bans in seconds, each `gap` ns after the end of the one before."""
    lengths, now = [], START
    for _ in range(number):
        while (decision := limiter.hit(b"a", now))[0] is not NEWLY:
            pass
        lengths.append((decision[1] - now) // SECOND)
        now = decision[1] + gap
    return lengths


def test_each_further_ban_is_twice_as_long_up_to_an_hour(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=2, ban=60 * SECOND)
    assert bans(limiter, SECOND, 9) == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]


def test_a_ban_configured_longer_than_an_hour_stays_as_long(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=2, ban=5 * HOUR)
    assert bans(limiter, SECOND, 3) == [5 * 3600] * 3


def test_an_hour_after_its_end_a_ban_is_forgotten(limits: Limits) -> None:
    assert bans(limits.limiter(ban_after=2, ban=60 * SECOND), HOUR - 1, 2) == [60, 120]
    assert bans(limits.limiter("other", ban_after=2, ban=60 * SECOND), HOUR, 2) == [60, 60]


def test_a_rejection_does_not_shorten_the_memory_of_a_ban(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=2, ban=MINUTE)
    assert [reject(limiter, START) for _ in range(2)] == [REJECTED, NEWLY]
    assert reject(limiter, START + 2 * MINUTE) is REJECTED
    later = START + 4 * MINUTE
    assert [reject(limiter, later) for _ in range(2)] == [REJECTED, NEWLY]
    assert limiter.hit(b"a", later) == (BANNED, later + 2 * MINUTE)


def test_the_greatest_number_of_rejections_that_can_be_counted_bans(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=2**31, ban=SECOND)
    assert NEWLY in outcomes(limiter, b"a", START, 70_000)


def test_a_dry_run_counts_for_itself_and_bans_nobody(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=1, ban=60 * SECOND, dry_run=True)
    assert outcomes(limiter, b"a", START, 5) == [PASSED] * 3 + [REJECTED] * 2
    assert limits.counts() == {"passed": 3, "would_reject": 2}


def test_who_was_banned_passes_when_the_limit_bans_no_more(limits: Limits) -> None:
    outcomes(limits.limiter(ban_after=1, ban=HOUR), b"a", START, 5)
    assert outcomes(limits.limiter(), b"a", START + MINUTE, 1) == [PASSED]


def test_a_key_whose_time_has_passed_makes_room_without_an_eviction(limits: Limits) -> None:
    limiter = limits.limiter()
    for number, key in enumerate(neighbours(limiter, 4 * WAYS)):
        assert outcomes(limiter, key, START + number // WAYS * MINUTE, 4)[:3] == [PASSED] * 3
    assert "evictions" not in limits.counts()


def test_a_full_set_forgets_who_did_not_come_for_longest_and_that_is_counted(limits: Limits) -> None:
    limiter = limits.limiter()
    *keys, new = neighbours(limiter, WAYS + 1)
    for number, key in enumerate(keys):
        outcomes(limiter, key, START + number, 3)
    assert outcomes(limiter, keys[0], START + WAYS, 1) == [REJECTED]
    assert outcomes(limiter, new, START + WAYS, 1) == [PASSED]
    assert limits.counts()["evictions"] == 1
    assert [limiter.hit(key, START + WAYS)[0] for key in (keys[0], *keys[2:])] == [REJECTED] * (WAYS - 1)
    assert outcomes(limiter, keys[1], START + WAYS, 1) == [PASSED]


def test_who_takes_a_place_begins_anew(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=5, ban=MINUTE)
    keys = neighbours(limiter, 2 * WAYS)
    for key in keys[:WAYS]:
        outcomes(limiter, key, START, 7)  # four rejections
    for key in keys[WAYS:]:
        assert outcomes(limiter, key, START + 1, 8) == [PASSED] * 3 + [REJECTED] * 4 + [NEWLY]


def test_banned_keys_stay_when_others_want_their_place(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=1, ban=MINUTE)
    banned, *others = neighbours(limiter, 4 * WAYS)
    outcomes(limiter, banned, START, 4)
    for number, key in enumerate(others):
        limiter.hit(key, START + 1 + number)
    assert outcomes(limiter, banned, START + 30 * SECOND, 1) == [BANNED]


def test_where_all_are_banned_the_ban_that_began_first_ends_for_another_key_and_that_is_counted(
    limits: Limits,
) -> None:
    limiter = limits.limiter(ban_after=1, ban=MINUTE)
    *keys, new = neighbours(limiter, WAYS + 1)
    for key in keys:
        limiter.hit(key, START)
    first = keys.pop(3)
    outcomes(limiter, first, START, 4)
    for number, key in enumerate(keys):
        outcomes(limiter, key, START + 1 + number, 4)
    assert outcomes(limiter, first, START + SECOND, 1) == [BANNED]  # who came last can be the one that goes
    assert outcomes(limiter, new, START + SECOND, 5) == [PASSED] * 3 + [NEWLY, BANNED]
    assert limits.counts()["evictions"] == 1
    assert [limiter.hit(key, START + SECOND)[0] for key in keys] == [BANNED] * (WAYS - 1)


def test_where_all_are_banned_no_key_is_free_of_the_limit(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=1, ban=HOUR)
    for key in neighbours(limiter, 4 * WAYS):
        assert outcomes(limiter, key, START, 5) == [PASSED] * 3 + [NEWLY, BANNED]
    assert limits.counts()["evictions"] == 3 * WAYS


def test_a_ban_that_is_over_makes_room(limits: Limits) -> None:
    limiter = limits.limiter(ban_after=1, ban=MINUTE)
    *keys, new = neighbours(limiter, WAYS + 1)
    for key in keys:
        outcomes(limiter, key, START, 4)
    assert outcomes(limiter, new, START + MINUTE, 4) == [PASSED] * 3 + [NEWLY]


class Killed(BaseException):
    pass


class Mortal:
    """Memory that lets so many stores happen; the process dies at the next one, in the middle of it."""

    def __init__(self, stores: list[int], target: Any) -> None:
        self._stores = stores
        self._target = target
        self.find = getattr(target, "find", None)

    def __getitem__(self, at: Any) -> Any:
        return self._target[at]

    def __setitem__(self, at: Any, value: Any) -> None:
        if not self._stores[0]:
            if isinstance(at, slice) and len(value) > 8:
                self._target[at.start : at.start + 8] = value[:8]
            raise Killed
        self._stores[0] -= 1
        self._target[at] = value


def kill_within(limiter: Limiter, stores: int, key: bytes, now: int) -> bool:
    """Hit until it dies at a store; return whether it did."""
    left = [stores]
    memory = limiter._memory
    mapped, limiter._view = memory.memory, Mortal(left, memory.view)  # type: ignore[assignment]
    memory.memory = Mortal(left, mapped)  # type: ignore[assignment]
    try:
        limiter.hit(key, now)
    except Killed:
        return True
    finally:
        memory.memory = mapped
    return False


@pytest.mark.parametrize("before", [0, 3, 4, 5])
@pytest.mark.parametrize("crowded", [False, True])
def test_a_worker_killed_between_two_stores_leaves_nobody_shut_out_and_nobody_free(
    before: int, crowded: bool
) -> None:
    deaths = 0
    for stores in range(30):
        limits = Limits()
        rule = {"ban_after": 3, "ban": MINUTE}
        limiter = limits.limiter(**rule)
        victim, *others = neighbours(limiter, WAYS + 1)
        if crowded:
            for key in others:
                outcomes(limiter, key, START - SECOND, 5)
        outcomes(limiter, victim, START, before)
        deaths += kill_within(limits.limiter(**rule), stores, victim, START)
        survivor = limits.limiter(**rule)
        verdicts = outcomes(survivor, victim, START, 10)
        assert verdicts.count(PASSED) <= 3
        assert verdicts[-1] in (REJECTED, BANNED)
        assert survivor.hit(victim, START + 2 * HOUR)[0] is PASSED
        for key in others:
            assert outcomes(survivor, key, START + 2 * HOUR, 8)[:3] == [PASSED] * 3
    assert 1 <= deaths < 30


def test_an_entry_of_a_torn_digest_is_used_again(limits: Limits) -> None:
    limiter = limits.limiter()
    keys = neighbours(limiter, WAYS)
    base, _ = limiter._place(keys[0])
    limits.memory.view[base] = 12345
    assert limits.memory.view[base + Part.HELD] == 0
    for key in keys:
        assert outcomes(limiter, key, START, 4)[-1] is REJECTED
    assert "evictions" not in limits.counts()
