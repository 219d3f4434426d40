"""Putting a configuration in force: slots for what it names, the directory document, the new generation.

The master does it when it starts and at HUP, the control worker when an operator changes something.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from lbg.config.amendments import Amendments
from lbg.config.snapshot import Snapshot
from lbg.state import directory
from lbg.state.document import (
    Published,
    decode_amendments,
    decode_generation,
    decode_slots,
    encode,
)
from lbg.state.layout import ENDPOINT_SLOTS, POOL_SLOTS, Header, NoSlot, assign_slots, identity
from lbg.state.lock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from lbg.config.schema import Config
    from lbg.state.cells import Cells

log = logging.getLogger("lbg.config")

LOCK: Final = "publishing"
_PATIENCE: Final = 5.0  # seconds
_PAUSE: Final = 0.01  # seconds


class Unpublished(Exception):
    """Nothing was changed; the text is a clause that says why."""


class Publication:
    """Publishes configurations for those who share `cells`, and the directory at `path` if there is one."""

    def __init__(self, path: Path | None, cells: Cells) -> None:
        self._path = path
        self._cells = cells

    def publish(
        self,
        source: str,
        amend: Callable[[Amendments], tuple[Config, Amendments]],
        last: Published | None,
        only_after: Published | None = None,
    ) -> Published:
        """Put in force what `amend` returns, which is given the amendments in force.

        They and the slots are those of the directory document, of `last` where there is no directory or it
        cannot be read. `only_after` is what must still be in force. Raises Unpublished, OSError, NoSlot, and
        what `amend` raises; nothing is changed then.
        """
        with self._alone():
            self._refuse_other(only_after)
            known, known_pools, amendments, written = self._known(last)
            config, amendments = amend(amendments)
            pools = config.pools
            endpoints = (identity(name, one.address.text) for name in pools for one in pools[name].endpoints)
            slots = _assign("endpoints", known, endpoints, ENDPOINT_SLOTS)
            pool_slots = _assign("pools", known_pools, pools, POOL_SLOTS)
            generation = max(self._cells.view[Header.GENERATION], written) + 1
            snapshot = Snapshot.of(config, generation, source)
            published = Published(snapshot, slots, pool_slots, amendments)
            if self._path is not None:
                directory.publish(self._path, encode(published))
            for slot in _given_away(known, slots):
                self._cells.clear_endpoint(slot)
            for slot in _given_away(known_pools, pool_slots):
                self._cells.clear_pool(slot)
            self._cells.view[Header.GENERATION] = generation
        return published

    def _refuse_other(self, expected: Published | None) -> None:
        if expected is not None and expected.snapshot.generation != self._cells.view[Header.GENERATION]:
            raise Unpublished("another configuration came into force at this moment, please try again")

    def complete(self) -> None:
        """Finish what a process was killed at: a document that is there comes into force. Raises nothing."""
        if self._path is None:
            return
        try:
            with self._alone():
                written = decode_generation(directory.read(self._path))
                self._cells.view[Header.GENERATION] = max(self._cells.view[Header.GENERATION], written)
        except (OSError, ValueError, Unpublished) as error:
            log.debug("nothing to complete: %s", error)

    def _known(self, last: Published | None) -> tuple[dict[str, int], dict[str, int], Amendments, int]:
        if self._path is not None:
            try:
                document = directory.read(self._path)
                return *decode_slots(document), decode_amendments(document), decode_generation(document)
            except (OSError, ValueError) as error:
                log.debug("the last configuration is not in the directory: %s", error)
        if last is None:
            return {}, {}, Amendments(), 0
        return last.slots, last.pool_slots, last.amendments, last.snapshot.generation

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes from publishing meanwhile."""
        if self._path is None:
            yield
            return
        lock = FileLock(self._path / LOCK)
        ends = time.monotonic() + _PATIENCE
        while not lock.try_acquire():
            if time.monotonic() > ends:
                raise Unpublished("another process is changing the configuration")
            time.sleep(_PAUSE)  # by its module: in a worker it is gevent's
        try:
            yield
        finally:
            lock.release()


def _assign(what: str, previous: Mapping[str, int], wanted: Iterable[str], limit: int) -> dict[str, int]:
    try:
        return assign_slots(previous, wanted, limit)
    except NoSlot as error:
        raise NoSlot(f"{what}: {error}") from error


def _given_away(before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[int]:
    return (slot for name, slot in after.items() if before.get(name) != slot)
