"""Who is banned now, and how bans are lifted."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from hashlib import blake2b
from heapq import heappush, heappushpop
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_layout import DIGEST, ROW, ROW_TEXT, SETS, WAYS, Kind, Part, RowField, rate_set, set_of
from lbg.state.key_text import ABSENT
from lbg.state.last_minute import total
from lbg.state.layout import CELL
from lbg.state.limit_table import half, limit_digest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from lbg.state.bucket_memory import BucketMemory

_COUNTS_SIZE: Final = (RowField.TEXT - RowField.COUNTS) * CELL
_SHOWN_BY_DIGEST: Final = re.compile(r"(?:digest:|\.\.\.)([0-9a-f]{16})\Z")
_SETS_A_STEP: Final = 128
_BANS_A_STEP: Final = 256


@dataclass(frozen=True, slots=True)
class Ban:
    """A ban of a key, as it is shown, by a limit; times are CLOCK_MONOTONIC ns.

    `rejections` within a minute led to it; `times` counts the bans in a row.
    """

    limit: str
    key: str
    since: int
    until: int
    times: int
    rejections: int


@dataclass(frozen=True, slots=True)
class Bans:
    """The `latest` bans, the last one first, and how many there are by each limit."""

    latest: list[Ban]
    counts: Mapping[str, int]


class BanList:
    """Reads and lifts the bans by these limits."""

    def __init__(self, memory: BucketMemory, limits: Iterable[str]) -> None:
        self._memory = memory
        self._digests = {name: limit_digest(name, Kind.RATE) for name in limits}
        self._names = {half(digest): name for name, digest in self._digests.items()}

    def survey(self, now: int, most: int) -> Generator[None, None, Bans]:
        """Find the bans at `now`, CLOCK_MONOTONIC ns; `most` of them, at most, are told in full.

        Yields each few milliseconds, so that the caller can do other things.
        """
        counts: Counter[str] = Counter()
        latest: list[tuple[int, int, int]] = []
        for number in range(SETS if self._memory.reserved else 0):
            if number % _SETS_A_STEP == 0:
                yield
            for found, name in self._held(rate_set(number), now):
                counts[name] += 1
                if len(latest) < most:
                    heappush(latest, found)
                elif most:
                    heappushpop(latest, found)
        bans = []
        for number, (_, base, way) in enumerate(sorted(latest, reverse=True)):
            if number % _BANS_A_STEP == 0:
                yield
            self._memory.enter(base)
            try:
                ban = self._ban(base, way, now)
            finally:
                self._memory.leave(base)
            if ban is not None:
                bans.append(ban)
        return Bans(bans, counts)

    def lift(self, key: str, now: int) -> list[Ban]:
        """End the bans of `key`, as it is shown or as it is; return them.

        What led to them is forgotten: the next one is a first one again.
        """
        lifted = []
        for beginning, shown in self._wanted(key):
            base = set_of(beginning)
            way = self._way(base, beginning) if self._memory.reserved else -1
            if way < 0:
                continue
            self._memory.enter(base)
            try:
                ban = self._ban(base, way, now) if self._way(base, beginning) == way else None
                if ban is not None and shown in (None, ban.key):
                    self._memory.view[base + Part.HELD + way] = 0
                    lifted.append(ban)
            finally:
                self._memory.leave(base)
        return lifted

    def _held(self, base: int, now: int) -> Iterator[tuple[tuple[int, int, int], str]]:
        """Yield when each ban of a set began, the set and the way, and the name of the limit."""
        view = self._memory.view
        held = view[base + Part.HELD : base + Part.HELD + WAYS].tolist()
        if max(held) <= now:
            return
        for way in range(WAYS):
            row = base + Part.ROWS + way * ROW
            if held[way] > now and view[row + RowField.BANNED_UNTIL] > now:
                name = self._names.get(view[row + RowField.LIMIT])
                if name is not None:
                    yield (view[row + RowField.BANNED_SINCE], base, way), name

    def _wanted(self, key: str) -> Iterator[tuple[bytes, str | None]]:
        """Yield how the digests of a key begin, and how it is shown where it must be shown so."""
        match = _SHOWN_BY_DIGEST.search(key)
        if match:
            yield bytes.fromhex(match[1]), key
        raw = key.encode("utf-8", "surrogateescape")
        for limit in self._digests.values():
            for each in (raw, ABSENT + raw):
                yield blake2b(limit + each, digest_size=DIGEST, key=self._memory.secret).digest(), None

    def _way(self, base: int, beginning: bytes) -> int:
        start = base * CELL
        at = self._memory.memory.find(beginning, start, start + DIGEST * WAYS)
        return -1 if at < 0 else (at - start) // DIGEST

    def _ban(self, base: int, way: int, now: int) -> Ban | None:
        """Return the ban of a way of a set, whose lock is held; the way may have become another key's."""
        memory, view, row = self._memory, self._memory.view, base + Part.ROWS + way * ROW
        until = view[row + RowField.BANNED_UNTIL]
        name = self._names.get(view[row + RowField.LIMIT])
        if name is None or until <= now or view[base + Part.HELD + way] <= now:
            return None
        start = (row + RowField.COUNTS) * CELL
        return Ban(
            limit=name,
            key=memory.text(row + RowField.TEXT, ROW_TEXT),
            since=view[row + RowField.BANNED_SINCE],
            until=until,
            times=view[row + RowField.BANS],
            rejections=total(int.from_bytes(memory.memory[start : start + _COUNTS_SIZE], "little")),
        )
