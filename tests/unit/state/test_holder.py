"""Concurrency limits: exact over workers, and free of what the dead held."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.state import cell_locks
from lbg.state.bucket_layout import WAYS, Count, Kind
from lbg.state.buckets import Buckets
from lbg.state.holder import FULL, UNCOUNTED, Holder
from tests.unit.state.limits import Limits
from tests.unit.state.processes import kill, resting_after, run_together


@pytest.fixture
def limits() -> Limits:
    return Limits()


def test_so_many_are_let_in_and_no_more(limits: Limits) -> None:
    holder = limits.buckets.holder("api", 2)
    places = [holder.acquire(b"a") for _ in range(4)]
    assert places[0] == places[1] >= 0
    assert places[2:] == [FULL] * 2
    assert limits.counts(kind=Kind.CONCURRENCY) == {"passed": 2, "rejected": 2}


def test_who_leaves_lets_another_in(limits: Limits) -> None:
    holder = limits.buckets.holder("api", 1)
    place = holder.acquire(b"a")
    holder.release(place)
    assert holder.acquire(b"a") >= 0
    assert holder.acquire(b"a") == FULL


def test_keys_and_limits_have_nothing_to_do_with_each_other(limits: Limits) -> None:
    assert limits.buckets.holder("api", 1).acquire(b"a") >= 0
    assert limits.buckets.holder("api", 1).acquire(b"b") >= 0
    assert limits.buckets.holder("other", 1).acquire(b"a") >= 0
    assert limits.buckets.holder("api", 1).acquire(b"a") == FULL


def test_workers_share_a_limit(limits: Limits) -> None:
    first, second = limits.buckets.holder("api", 2), Limits(limits.memory, 7).buckets.holder("api", 2)
    place = first.acquire(b"a")
    assert second.acquire(b"a") == place
    assert [first.acquire(b"a"), second.acquire(b"a")] == [FULL, FULL]
    first.release(place)
    assert second.acquire(b"a") == place


def test_what_a_dead_worker_held_is_free_and_what_others_hold_is_not(limits: Limits) -> None:
    dead, living = limits.buckets.holder("api", 2), Limits(limits.memory, 7).buckets.holder("api", 2)
    dead.acquire(b"a")
    living.acquire(b"a")
    limits.buckets.forget(0)
    assert living.acquire(b"a") >= 0
    assert living.acquire(b"a") == FULL


def test_who_was_taken_for_dead_can_still_leave(limits: Limits) -> None:
    holder = limits.buckets.holder("api", 1)
    place = holder.acquire(b"a")
    limits.buckets.forget(0)
    holder.release(place)
    assert [holder.acquire(b"a") >= 0, holder.acquire(b"a")] == [True, FULL]


def test_a_worker_that_never_limited_anything_is_forgotten_in_peace(limits: Limits) -> None:
    limits.buckets.forget(100)
    assert limits.buckets.holder("api", 1).acquire(b"a") >= 0


def neighbours(holder: Holder, number: int) -> list[bytes]:
    """Return so many keys that share a set."""
    base = holder._place(b"0")[0]
    found = (b"%d" % each for each in range(10**7) if holder._place(b"%d" % each)[0] == base)
    return [key for key, _ in zip(found, range(number), strict=False)]


def test_a_place_that_nobody_needs_is_used_again(limits: Limits) -> None:
    holder = limits.buckets.holder("api", 1)
    for key in neighbours(holder, 3 * WAYS):
        holder.release(holder.acquire(key))
    assert "uncounted" not in limits.counts(kind=Kind.CONCURRENCY)


def test_with_all_places_in_use_others_pass_uncounted(limits: Limits) -> None:
    holder = limits.buckets.holder("api", 1)
    *keys, new = neighbours(holder, WAYS + 1)
    places = [holder.acquire(key) for key in keys]
    assert len(set(places)) == WAYS
    assert [holder.acquire(new), holder.acquire(new)] == [UNCOUNTED] * 2
    holder.release(UNCOUNTED)
    assert [holder.acquire(key) for key in keys] == [FULL] * WAYS
    assert limits.counts(kind=Kind.CONCURRENCY)["uncounted"] == 2
    holder.release(places[3])
    assert holder.acquire(new) == places[3]


Steps = st.lists(st.tuples(st.integers(0, 2), st.sampled_from([b"a", b"b"]), st.booleans()), max_size=80)


@given(Steps, st.integers(1, 3))
def test_it_counts_as_a_plain_counter_does(steps: list[tuple[int, bytes, bool]], limit: int) -> None:
    first = Limits()
    holders = [Limits(first.memory, worker).buckets.holder("api", limit) for worker in range(3)]
    held: list[tuple[int, bytes, int]] = []
    for worker, key, leave in steps:
        mine = next((each for each in held if each[:2] == (worker, key)), None)
        if leave and mine is not None:
            held.remove(mine)
            holders[worker].release(mine[2])
            continue
        place = holders[worker].acquire(key)
        assert (place == FULL) == (sum(each[1] == key for each in held) >= limit)
        if place != FULL:
            held.append((worker, key, place))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cell_locks, "_PATIENCE", 30.0)
    Buckets.create(tmp_path)
    return tmp_path


def test_processes_never_hold_more_than_the_limit_together(state: Path) -> None:
    def work(worker: int) -> None:
        holder = Buckets.open(state, worker).holder("api", 3)
        for _ in range(2000):
            place = holder.acquire(b"a")
            assert holder._in_flight(place) <= 3 if place >= 0 else place == FULL
            holder.release(place)

    run_together(*(partial(work, worker) for worker in range(4)))
    holder = Buckets.open(state).holder("api", 3)
    assert [holder.acquire(b"a") >= 0 for _ in range(4)] == [True] * 3 + [False]
    (limit,) = Buckets.open(state).limits([("api", Kind.CONCURRENCY)])
    assert limit.counts[Count.PASSED] + limit.counts[Count.REJECTED] == 4 * 2000 + 4


def test_what_a_killed_process_held_ends_when_the_master_forgets_it(state: Path) -> None:
    def work() -> None:
        Buckets.open(state, 1).holder("api", 1).acquire(b"a")

    holder = Buckets.open(state, 2).holder("api", 1)
    with resting_after(work) as worker:
        kill(worker)
        assert holder.acquire(b"a") == FULL
        Buckets.open(state).forget(1)
        assert holder.acquire(b"a") >= 0
