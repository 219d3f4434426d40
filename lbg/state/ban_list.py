"""Who is banned now, and how bans are lifted."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from lbg.state.bucket_layout import DIGEST, ROW, ROW_TEXT, SETS, WAYS, Part, RowField, rate_set
from lbg.state.key_text import ABSENT
from lbg.state.last_minute import total
from lbg.state.layout import CELL
from lbg.state.limit_table import LimitTable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lbg.state.bucket_memory import BucketMemory

_COUNTS_SIZE: Final = (RowField.TEXT - RowField.COUNTS) * CELL


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


class BanList:
    """Reads and lifts the bans of all limits."""

    def __init__(self, memory: BucketMemory) -> None:
        self._memory = memory
        self._limits = LimitTable(memory)

    def bans(self, now: int, limit: str | None = None) -> list[Ban]:
        """Return the bans at `now`, CLOCK_MONOTONIC ns, or those by one limit; the latest first."""
        found = []
        for base, way in self._held(now):
            ban = self._ban(base, way, now)
            if ban is not None and limit in (None, ban.limit):
                found.append(ban)
        return sorted(found, key=lambda ban: ban.since, reverse=True)

    def lift(self, key: str, now: int, limit: str | None = None) -> list[Ban]:
        """End the bans of `key`, as it is shown or as it is, by all limits or by one; return them.

        What led to them is forgotten: the next one is a first one again.
        """
        lifted = []
        for base, way in self._held(now):
            self._memory.enter(base)
            try:
                ban = self._ban(base, way, now)
                if ban is not None and limit in (None, ban.limit) and self._is_of(key, ban, base, way):
                    self._memory.view[base + Part.HELD + way] = 0
                    lifted.append(ban)
            finally:
                self._memory.leave(base)
        return lifted

    def _held(self, now: int) -> Iterator[tuple[int, int]]:
        """Yield the set and the way of every key that may be banned."""
        view = self._memory.view
        for number in range(SETS if self._memory.reserved else 0):
            base = rate_set(number)
            held = view[base + Part.HELD : base + Part.HELD + WAYS].tolist()
            if any(held):
                yield from ((base, way) for way in range(WAYS) if held[way] > now)

    def _ban(self, base: int, way: int, now: int) -> Ban | None:
        memory, view, row = self._memory, self._memory.view, base + Part.ROWS + way * ROW
        until = view[row + RowField.BANNED_UNTIL]
        # Held is looked at again: the place may have become another key's meanwhile.
        if until <= now or view[base + Part.HELD + way] <= now or not view[base + way * DIGEST // CELL]:
            return None
        start = (row + RowField.COUNTS) * CELL
        return Ban(
            limit=self._limits.name(view[row + RowField.LIMIT]),
            key=memory.text(row + RowField.TEXT, ROW_TEXT),
            since=view[row + RowField.BANNED_SINCE],
            until=until,
            times=view[row + RowField.BANS],
            rejections=total(int.from_bytes(memory.memory[start : start + _COUNTS_SIZE], "little")),
        )

    def _is_of(self, key: str, ban: Ban, base: int, way: int) -> bool:
        if key == ban.key:
            return True
        row = base + Part.ROWS + way * ROW
        limit = self._limits.digest(self._memory.view[row + RowField.LIMIT])
        there = self._memory.digest(base + way * DIGEST // CELL)
        raw = key.encode("utf-8", "surrogateescape")
        return any(
            blake2b(limit + each, digest_size=DIGEST, key=self._memory.secret).digest() == there
            for each in (raw, ABSENT + raw)
        )
