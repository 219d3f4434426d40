"""Rate limits, bans and concurrency limits that are exact over all workers.

They are in a file of the state directory, or in memory of this process where there is none. Measured:
2 µs for a request that is counted, locks and all.
"""

from __future__ import annotations

import logging
from time import monotonic_ns
from typing import TYPE_CHECKING

from lbg.state.ban_list import Ban, BanList, Bans
from lbg.state.bucket_layout import Kind, counts
from lbg.state.bucket_memory import BucketMemory
from lbg.state.holder import Holder
from lbg.state.limit_table import Limit, LimitTable
from lbg.state.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from pathlib import Path

    from lbg.state.limiter import RateRule

log = logging.getLogger("lbg.limits")


class Buckets:
    """The limits that one worker applies; `worker` is the slot it counts in.

    `clock` gives CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(
        self, memory: BucketMemory, worker: int = 0, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._memory = memory
        self._worker = worker
        self._clock = clock
        self._reserved = False

    def __repr__(self) -> str:
        return f"<Buckets {self._memory!r} worker={self._worker}>"

    @classmethod
    def private(cls) -> Buckets:
        """Return buckets of this process alone, for servers that have no state directory."""
        return cls(BucketMemory.private())

    @classmethod
    def open(cls, directory: Path, worker: int = 0) -> Buckets:
        """Map the file in `directory`. Raises OSError, or Damaged when it is not one to trust."""
        return cls(BucketMemory.open(directory), worker)

    @staticmethod
    def create(directory: Path) -> None:
        """Make a new file in `directory`, in place of one that may be there. Raises OSError."""
        BucketMemory.create(directory)

    def limiter(self, rule: RateRule) -> Limiter:
        """Return the rate limit of this rule."""
        self._reserve()
        slot = LimitTable(self._memory).slot(rule.name, Kind.RATE, self._clock())
        return Limiter(self._memory, rule, counts(self._worker, slot))

    def holder(self, name: str, limit: int) -> Holder:
        """Return the concurrency limit of this name; it is one for all who ask for the same name."""
        self._reserve()
        slot = LimitTable(self._memory).slot(name, Kind.CONCURRENCY, self._clock())
        return Holder(self._memory, name, limit, counts(self._worker, slot), self._worker)

    def _reserve(self) -> None:
        """Take the disk space that limits need; without it this worker limits for itself."""
        if self._reserved:
            return
        try:
            if not self._memory.refused:
                self._memory.reserve(self._worker)
        except OSError as error:
            log.error("this worker limits for itself, there is no room for more: %s", error.strerror or error)  # noqa: TRY400
            self._stand_alone()
        else:
            if self._memory.refused:  # the master has told it
                self._stand_alone()
        self._reserved = True

    def _stand_alone(self) -> None:
        self._memory, self._worker = BucketMemory.private(), 0
        self._memory.reserve(0)

    def bans(self, limits: Iterable[str], most: int) -> Generator[None, None, Bans]:
        """Find who is banned now by these limits; `most` of the bans, at most, are told in full.

        Yields each few milliseconds, so that the caller can do other things.
        """
        return BanList(self._memory, limits).survey(self._clock(), most)

    def lift(self, key: str, limits: Iterable[str]) -> list[Ban]:
        """End the bans of `key`, as it is shown or as it is, by these limits; return them."""
        return BanList(self._memory, limits).lift(key, self._clock())

    def limits(self, wanted: Iterable[tuple[str, Kind]]) -> Iterator[Limit]:
        """Yield each of these limits that workers have applied, and what was counted of it."""
        return LimitTable(self._memory).limits(wanted) if self._memory.reserved else iter(())

    def forget(self, worker: int) -> None:
        """Let go of what a dead worker had in flight; what it counted stays."""
        self._memory.forget(worker)
