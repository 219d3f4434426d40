"""Rate limits of real processes: exact together, whoever is killed."""

import multiprocessing
import time
from functools import partial
from pathlib import Path
from time import monotonic_ns

import pytest

from lbg.state import cell_locks
from lbg.state.bucket_layout import Count, Kind
from lbg.state.buckets import Buckets
from lbg.state.gcra import Rate
from lbg.state.limiter import Limiter, Outcome, RateRule
from tests.unit.state.limits import HOUR, SECOND, START, outcomes
from tests.unit.state.processes import kill, resting_after, run_together

PROCESSES = 4
PASSED, REJECTED = Outcome.PASSED, Outcome.REJECTED


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory with a new bucket file, where locks are waited for on a busy machine."""
    monkeypatch.setattr(cell_locks, "_PATIENCE", 30.0)
    Buckets.create(tmp_path)
    return tmp_path


def limiter(state: Path, rate: Rate, worker: int = 0, **rule: int) -> Limiter:
    return Buckets.open(state, worker).limiter(RateRule("api", rate, **rule))


def test_a_burst_is_given_out_exactly(state: Path) -> None:
    rate = Rate.of(1, 100 * HOUR, 2500)

    def work(worker: int) -> None:
        mine = limiter(state, rate, worker)
        for number in range(2000):
            mine.hit(b"%d" % (number % 2), START)

    run_together(*(partial(work, worker) for worker in range(PROCESSES)))
    (limit,) = Buckets.open(state).limits([("api", Kind.RATE)])
    assert limit.counts[Count.PASSED] == 2 * 2501
    assert limit.counts[Count.REJECTED] == PROCESSES * 2000 - 2 * 2501
    assert limiter(state, rate).hit(b"0", START)[0] is REJECTED


def test_no_window_holds_more_than_the_rate_and_the_burst(state: Path) -> None:
    rate = Rate.of(2000, SECOND, 20)

    def work(worker: int) -> None:
        mine = limiter(state, rate, worker)
        times = []
        ends = monotonic_ns() + SECOND
        while (now := monotonic_ns()) < ends:
            if mine.hit(b"a", now)[0] is PASSED:
                times.append(now)
        (state / f"passed-{worker}").write_text("\n".join(map(str, times)))

    run_together(*(partial(work, worker) for worker in range(PROCESSES)))
    passed = sorted(
        int(line) for worker in range(PROCESSES) for line in (state / f"passed-{worker}").read_text().split()
    )
    assert len(passed) > 200
    for first, begins in enumerate(passed):
        for last in (*range(first, min(first + 100, len(passed))), len(passed) - 1):
            assert (last - first) * rate.interval - rate.tolerance <= passed[last] - begins


def test_a_ban_holds_for_all_and_is_counted_together(state: Path) -> None:
    rule = {"ban_after": 500, "ban": HOUR}
    rate = Rate.of(1, HOUR, 0)

    def work(worker: int) -> None:
        mine = limiter(state, rate, worker, **rule)
        for _ in range(300):
            mine.hit(b"a", START)

    run_together(*(partial(work, worker) for worker in range(PROCESSES)))
    (limit,) = Buckets.open(state).limits([("api", Kind.RATE)])
    assert limit.counts[Count.PASSED] == 1
    assert limit.counts[Count.REJECTED] == 500
    assert limit.counts[Count.BANS] == 1
    assert limit.counts[Count.BANNED] == PROCESSES * 300 - 501


def test_a_lock_dies_with_its_holder(state: Path) -> None:
    rate = Rate.of(1, HOUR, 0)

    def hold() -> None:
        mine = limiter(state, rate)
        base, _ = mine._place(b"a")
        mine._enter(base)

    survivor = limiter(state, rate, 1)
    with resting_after(hold) as holder:
        kill(holder)
        began = time.monotonic()
        assert outcomes(survivor, b"a", START, 2) == [PASSED, REJECTED]
        assert time.monotonic() - began < 10  # the patience is 30 s


def test_whoever_was_stopped_with_a_lock_does_not_stop_the_others(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cell_locks, "_PATIENCE", 0.01)
    rate = Rate.of(1, HOUR, 0)

    def hold() -> None:
        mine = limiter(state, rate)
        base, _ = mine._place(b"a")
        mine._enter(base)

    other = limiter(state, rate, 1)
    with resting_after(hold):
        assert outcomes(other, b"a", START, 2) == [PASSED, REJECTED]


def test_workers_that_are_killed_at_any_moment_leave_keys_that_are_limited_as_before(state: Path) -> None:
    rate = Rate.of(1000, SECOND, 2)
    rule = {"ban_after": 3, "ban": 1_000_000}
    survivor = limiter(state, rate, 5, **rule)
    keys = [b"%d" % number for number in range(5)]

    def hammer() -> None:
        mine = limiter(state, rate, 1, **rule)
        while True:
            for key in keys:
                mine.hit(key, monotonic_ns())

    for _ in range(20):
        before = hits(state)
        process = multiprocessing.get_context("fork").Process(target=hammer)
        process.start()
        assert process.pid
        while hits(state) < before + 500:
            pass
        kill(process.pid)
    later = monotonic_ns() + 3 * HOUR
    for key in keys:
        verdicts = outcomes(survivor, key, later, 10)
        assert verdicts[:3] == [PASSED] * 3
        assert PASSED not in verdicts[3:]


def hits(state: Path) -> int:
    (limit,) = Buckets.open(state).limits([("api", Kind.RATE)])
    return limit.counts[Count.PASSED] + limit.counts[Count.REJECTED] + limit.counts[Count.BANNED]
