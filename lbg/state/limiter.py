"""One rate limit over all workers: which requests pass, and who is banned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_layout import (
    DIGEST,
    ROW,
    ROW_TEXT,
    WAYS,
    Count,
    Kind,
    Part,
    RowField,
    set_of,
)
from lbg.state.gcra import advance
from lbg.state.key_text import key_text
from lbg.state.last_minute import MINUTE, MOST, count, total
from lbg.state.layout import CELL
from lbg.state.limit_table import half, limit_digest

if TYPE_CHECKING:
    from lbg.state.bucket_memory import BucketMemory
    from lbg.state.gcra import Rate

_LONGEST_BAN: Final = 3600_000_000_000  # ns
_REMEMBERED: Final = 3600_000_000_000  # ns after a ban in which another one is its successor
_KEYS: Final = 4096  # whose digests are remembered
_LONG: Final = 64  # bytes of a key that is worth remembering
_NEVER: Final = 1 << 64  # later than any time

_TATS: Final = int(Part.TATS)
_SEEN: Final = int(Part.SEEN)
_HELD: Final = int(Part.HELD)
_ROWS: Final = int(Part.ROWS)
_UNTIL: Final = int(RowField.BANNED_UNTIL)
_SINCE: Final = int(RowField.BANNED_SINCE)
_COUNTS: Final = int(RowField.COUNTS)
_COUNTS_SIZE: Final = (RowField.TEXT - RowField.COUNTS) * CELL


class Outcome(IntEnum):
    """What becomes of a request."""

    PASSED = 0
    REJECTED = 1
    BANNED = 2
    NEWLY_BANNED = 3  # with this request


_PASSED: Final = Outcome.PASSED
_REJECTED: Final = Outcome.REJECTED
_BANNED: Final = Outcome.BANNED
_NEWLY_BANNED: Final = Outcome.NEWLY_BANNED

Decision = tuple[Outcome, int]
"""What becomes of a request and, in CLOCK_MONOTONIC ns, the TAT of its key, or the end of its ban."""


@dataclass(frozen=True, slots=True)
class RateRule:
    """What one rate limit allows; all that have its name are one limit.

    `ban_after` rejections within a minute lead to a ban of `ban` ns, 0 never does. Each further one is
    twice as long, up to an hour or to `ban` if that is longer. `secret` keys are shown to nobody. A dry
    run counts what it would reject and bans nobody.
    """

    name: str
    rate: Rate
    ban_after: int = 0
    ban: int = 0
    secret: bool = False
    dry_run: bool = False

    def ban_length(self, before: int) -> int:
        """Return how many ns a ban lasts that follows `before` others."""
        longest = max(_LONGEST_BAN, self.ban)
        return min(self.ban << min(before, longest.bit_length()), longest)


class Limiter:
    """One limit, as one worker applies it.

    A process that is killed between two stores leaves an entry behind that is right, or nobody's.
    """

    __slots__ = (
        "_after",
        "_counts",
        "_enter",
        "_find",
        "_half",
        "_hash",
        "_interval",
        "_leave",
        "_memory",
        "_places",
        "_rejected",
        "_rule",
        "_tolerance",
        "_view",
    )

    def __init__(self, memory: BucketMemory, rule: RateRule, counts: int) -> None:
        """Apply `rule`, counting from cell `counts` on."""
        digest = limit_digest(rule.name, Kind.RATE)
        self._memory = memory
        self._view = memory.view
        self._find = memory.memory.find
        self._enter = memory.enter
        self._leave = memory.leave
        self._hash = blake2b(digest, digest_size=DIGEST, key=memory.secret)
        self._half = half(digest)
        self._rule = rule
        self._interval = rule.rate.interval
        self._tolerance = rule.rate.tolerance
        self._after = 0 if rule.dry_run else min(rule.ban_after, MOST)
        self._counts = counts
        self._rejected = counts + (Count.WOULD_REJECT if rule.dry_run else Count.REJECTED)
        self._places: dict[bytes, tuple[int, bytes]] = {}

    def hit(self, key: bytes, now: int) -> Decision:
        """Decide on a request that came at `now`, CLOCK_MONOTONIC ns. Raises OSError without locks."""
        known = self._places.get(key)
        base, digest = known or self._place(key)
        view, start = self._view, base * CELL
        self._enter(base)
        try:
            at = self._find(digest, start, start + DIGEST * WAYS)
            if at >= 0:
                way = (at - start) // DIGEST
                if known is None:
                    self._remember(key, base, digest)
            else:
                way = self._take(base, digest, now)
            view[base + _SEEN + way] = now
            if view[base + _HELD + way] > now:
                until = view[base + _ROWS + way * ROW + _UNTIL]
                if until > now and self._after:
                    view[self._counts + Count.BANNED] += 1
                    return _BANNED, until
            cell = base + _TATS + way
            tat, early = advance(view[cell], now, self._interval, self._tolerance)
            view[cell] = tat
            if not early:
                view[self._counts] += 1
                return _PASSED, tat
            view[self._rejected] += 1
            if self._after:
                until = self._reject(base, way, key, digest, now)
                if until:
                    return _NEWLY_BANNED, until
            return _REJECTED, tat
        finally:
            self._leave(base)

    def shown(self, key: bytes) -> str:
        """Return `key` as people may see it."""
        return key_text(key, self._digest(key), secret=self._rule.secret)

    def _digest(self, key: bytes) -> bytes:
        hashed = self._hash.copy()
        hashed.update(key)
        return hashed.digest()

    def _place(self, key: bytes) -> tuple[int, bytes]:
        """Return the first cell of the set of a key, and its digest."""
        digest = self._digest(key)
        return set_of(digest), digest

    def _remember(self, key: bytes, base: int, digest: bytes) -> None:
        """Spare the next request of a key that comes again the digest."""
        if len(key) <= _LONG:
            if len(self._places) >= _KEYS:
                self._places.clear()
            self._places[key] = base, digest

    def _take(self, base: int, digest: bytes, now: int) -> int:
        """Return the way that a key has from now on."""
        view = self._view
        times = view[base + _TATS : base + _ROWS].tolist()
        tats = times[:WAYS]
        earliest = min(tats)
        way = tats.index(earliest)
        if earliest > now or times[2 * WAYS + way] > now:
            way = self._vacate(base, times, now)
        # First whoever had the place begins anew, so that nobody gets it from another.
        view[base + _HELD + way] = view[base + _TATS + way] = 0
        start = base * CELL + way * DIGEST
        self._memory.memory[start : start + DIGEST] = digest
        return way

    def _vacate(self, base: int, times: list[int], now: int) -> int:
        """Return a way whose time has passed, else the unbanned one that did not come for longest.

        Where all are banned it is the one whose ban began first. `times` are all TATS, SEEN and HELD of the
        set.
        """
        view = self._view
        seen, held = times[WAYS : 2 * WAYS], times[2 * WAYS :]
        if max(held) > now:
            for way in range(WAYS):
                if times[way] <= now and held[way] <= now:
                    return way
            first, end = base + _ROWS, base + _ROWS + WAYS * ROW
            until = view[first + _UNTIL : end : ROW].tolist()
            for way in range(WAYS):
                if held[way] > now and until[way] > now:
                    seen[way] = _NEVER
            if min(seen) == _NEVER:
                seen = view[first + _SINCE : end : ROW].tolist()
        view[self._counts + Count.EVICTIONS] += 1
        return seen.index(min(seen))

    def _reject(self, base: int, way: int, key: bytes, digest: bytes, now: int) -> int:
        """Count a rejection; return until when the key is banned from now on, 0 when it is not."""
        view, row, held = self._view, base + _ROWS + way * ROW, base + _HELD + way
        if view[held] <= now:
            view[row + _UNTIL] = view[row + RowField.BANS] = view[row + RowField.PART_BEGAN] = 0
        at = (row + _COUNTS) * CELL
        counts, began = 0, view[row + RowField.PART_BEGAN]
        if began > view[row + _UNTIL]:  # a ban has settled what came before it
            counts = int.from_bytes(self._memory.memory[at : at + _COUNTS_SIZE], "little")
        counts, view[row + RowField.PART_BEGAN] = count(counts, began, now)
        self._memory.memory[at : at + _COUNTS_SIZE] = counts.to_bytes(_COUNTS_SIZE, "little")
        if total(counts) >= self._after:
            return self._ban(row, held, key, digest, now)
        view[held] = max(view[held], now + MINUTE)
        return 0

    def _ban(self, row: int, held: int, key: bytes, digest: bytes, now: int) -> int:
        view = self._view
        before = view[row + RowField.BANS]
        until = now + self._rule.ban_length(before)
        view[row + RowField.LIMIT] = self._half
        self._memory.set_text(row + RowField.TEXT, key_text(key, digest, secret=self._rule.secret), ROW_TEXT)
        view[row + RowField.BANNED_SINCE] = now
        view[row + RowField.BANS] = before + 1
        view[row + _UNTIL] = until
        view[held] = until + _REMEMBERED
        view[self._counts + Count.BANS] += 1
        return until
