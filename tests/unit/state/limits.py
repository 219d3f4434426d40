"""Rate limits to try out, on memory of the test's own."""

from collections.abc import Generator
from itertools import count
from typing import Any

from lbg.state.ban_list import Ban, Bans
from lbg.state.bucket_layout import Kind
from lbg.state.bucket_memory import BucketMemory
from lbg.state.buckets import Buckets
from lbg.state.gcra import Rate
from lbg.state.limiter import Limiter, Outcome, RateRule

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 3600 * SECOND
START = 5_000_000 * SECOND
"""Later than any test's clock, so that nothing is before the boot."""
RATE = Rate.of(1, SECOND, 2)


class Limits:
    """Buckets with a clock to set, and one worker's view of its limits."""

    def __init__(self, memory: BucketMemory | None = None, worker: int = 0) -> None:
        self.memory = memory or _memory()
        self.now = START
        self.buckets = Buckets(self.memory, worker, lambda: self.now)

    def limiter(self, name: str = "api", rate: Rate = RATE, **rule: Any) -> Limiter:
        """Return the limiter of a rule."""
        return self.buckets.limiter(RateRule(name, rate, **rule))

    def counts(self, name: str = "api", kind: Kind = Kind.RATE) -> dict[str, int]:
        """Return what was counted of a limit, without zeros."""
        (limit,) = self.buckets.limits([(name, kind)])
        return {field.name.lower(): number for field, number in limit.counts.items() if number}


def banned(buckets: Buckets, *limits: str) -> list[Ban]:
    """Return all bans by these limits."""
    return survey(buckets.bans(limits, 10**6)).latest


def survey(steps: Generator[None, None, Bans]) -> Bans:
    """Return what comes of `steps`."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Bans = end.value
            return found


def outcomes(limiter: Limiter, key: bytes, now: int, times: int) -> list[Outcome]:
    """Return what becomes of so many requests of a key at once."""
    return [limiter.hit(key, now)[0] for _ in range(times)]


def neighbours(limiter: Limiter, number: int) -> list[bytes]:
    """Return so many keys that share a set."""
    base, _ = limiter._place(b"0")
    while len(_NEIGHBOURS) < number:
        key = b"%d" % next(_NUMBERS)
        if limiter._place(key)[0] == base:
            _NEIGHBOURS.append(key)
    assert {limiter._place(key)[0] for key in _NEIGHBOURS} == {base}
    return _NEIGHBOURS[:number]


_NUMBERS = count()
_NEIGHBOURS: list[bytes] = []  # the secret of all tests is the same, so that they are looked for once


def _memory() -> BucketMemory:
    memory = BucketMemory.private()
    memory.secret = b"of the tests"
    return memory
