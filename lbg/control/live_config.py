"""Changes of the configuration while lbg runs: validated whole, then in force everywhere, or not at all."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from time import time
from typing import TYPE_CHECKING

from lbg.config.amendments import Amendments
from lbg.config.difference import Difference, difference, with_held
from lbg.config.problems import ConfigError, Problem
from lbg.health.monitor import NotInCharge
from lbg.state.layout import Admin, NoSlot, identity
from lbg.state.publication import Unpublished

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.load import Loaded
    from lbg.config.pools import EndpointConfig
    from lbg.config.schema import Config
    from lbg.health.monitor import Monitor
    from lbg.state.document import Published
    from lbg.state.publication import Publication

log = logging.getLogger("lbg.config")


@dataclass(frozen=True, slots=True)
class Change:
    """What came into force, and how it differs from what was."""

    published: Published
    difference: Difference


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the configuration as it is written is not in force, and since when, in UNIX time."""

    since: float
    mistakes: tuple[str, ...]


class Unknown(Exception):
    """There is no pool, or no endpoint, of this name; the text is a sentence."""


class Conflict(Exception):
    """What is there speaks against the change; the text is a sentence."""


class LiveConfig:
    """Puts other configurations in force, one after the other.

    `load` reads the configuration anew, `current` tells the one in force here, `adopt` takes up another,
    `note_load` is told whether the last one could be read. Whatever fails raises and changes nothing;
    `failure` is what the last reload met, None after a good one.
    """

    def __init__(
        self,
        *,
        load: Callable[[], Loaded],
        current: Callable[[], Published],
        adopt: Callable[[Published], None],
        publication: Publication,
        monitor: Monitor,
        note_load: Callable[[bool], None],
    ) -> None:
        self._load = load
        self._current = current
        self._adopt = adopt
        self._publication = publication
        self._monitor = monitor
        self._note_load = note_load
        self._changing = threading.Lock()
        self.failure: Failure | None = None

    def reload(self) -> Change:
        """Read the configuration again and put it in force; pages and other files are read anew with it.

        Raises ConfigError, NotInCharge, Unpublished, NoSlot, OSError.
        """
        change = self._reload(lambda _: True)
        assert change is not None
        return change

    def follow(self) -> None:
        """Do so if the configuration is another one than the one in force; raises the same."""
        self._reload(lambda config: not self._is_in_force(config))

    def miss(self, name: str) -> None:
        """Note that there is no file of that name any more. Raises NotInCharge."""
        with self._changing:
            self._be_in_charge()
            self._failed(ConfigError([Problem(name, None, "", "there is no such file any more")]))

    def _reload(self, wanted: Callable[[Config], bool]) -> Change | None:
        with self._changing:
            self._be_in_charge()
            try:
                loaded = self._load()
                change = self._replace(loaded) if wanted(loaded.config) else None
            except (ConfigError, Unpublished, NoSlot, OSError) as error:
                self._failed(error)
                raise
            self._note_load(True)
            self.failure = None
            return change

    def _failed(self, error: Exception) -> None:
        self._note_load(False)
        log.error("the configuration was not changed: %s", error)
        mistakes = error.problems if isinstance(error, ConfigError) else (error,)
        since = time() if self.failure is None else self.failure.since
        self.failure = Failure(since, tuple(map(str, mistakes)))

    def _replace(self, loaded: Loaded) -> Change:
        def amend(amendments: Amendments) -> tuple[Config, Amendments]:
            amendments = amendments.settled(loaded.config)
            return with_held(before.snapshot.config, amendments.amended(loaded.config)), amendments

        before = self._current()
        published = self._publish(loaded.source, amend, before)
        # What waits is no part of what is published.
        return self._changed(before, published, difference(before.snapshot.config, loaded.config))

    def _is_in_force(self, config: Config) -> bool:
        before = self._current()
        amended = before.amendments.settled(config).amended(config)
        return with_held(before.snapshot.config, amended) == before.snapshot.config

    def add(self, pool: str, endpoint: EndpointConfig) -> Change:
        """Add an endpoint, ready for requests. Raises what `remove` raises."""
        with self._changing:
            before = self._known(pool)
            address = endpoint.address.text
            if address in _addresses(before, pool):
                raise Conflict(f"{pool}/{address} is there already.")
            change = self._amend(
                before,
                Amendments(added={pool: (endpoint,)}),
                lambda amendments: amendments.with_added(pool, endpoint),
            )
            slot = change.published.slots[identity(pool, address)]
            # What was drained before it was removed shall serve when it is added again.
            # It is added, even when another control worker takes over just now.
            with suppress(NotInCharge):
                self._monitor.set_admin(slot, Admin.READY)
                self._monitor.set_weight(slot, endpoint.weight)
            return change

    def remove(self, pool: str, address: str) -> Change:
        """Remove the endpoint at `address`; requests that are there go on.

        Raises Unknown, Conflict, NotInCharge, Unpublished, NoSlot, OSError.
        """
        with self._changing:
            before = self._known(pool)
            addresses = _addresses(before, pool)
            if address not in addresses:
                there = ", ".join(addresses)
                raise Unknown(f"There is no endpoint {address} in the pool {pool}. There is: {there}.")
            if len(addresses) == 1:
                raise Conflict(f"{address} is the last endpoint of the pool {pool}; drain it instead.")
            return self._amend(
                before,
                Amendments(removed={pool: (address,)}),
                lambda amendments: amendments.with_removed(pool, address),
            )

    def _amend(
        self, before: Published, step: Amendments, noted: Callable[[Amendments], Amendments]
    ) -> Change:
        try:
            config = step.amended(before.snapshot.config)
        except ConfigError as error:
            raise Conflict(f"{error.problems[0].message}.") from error
        published = self._publish(
            before.snapshot.source, lambda amendments: (config, noted(amendments)), before
        )
        return self._changed(before, published)

    def _publish(
        self,
        source: str,
        amend: Callable[[Amendments], tuple[Config, Amendments]],
        before: Published,
    ) -> Published:
        published = self._publication.publish(source, amend, before, only_after=before)
        self._adopt(published)
        return published

    def _changed(self, before: Published, published: Published, whole: Difference | None = None) -> Change:
        found = difference(before.snapshot.config, published.snapshot.config)
        if whole is not None:
            found = replace(found, waiting=whole.waiting, restart=whole.restart)
        level = logging.WARNING if found.waiting or found.restart else logging.INFO
        log.log(level, "configuration %d is in force: %s", published.snapshot.generation, found)
        return Change(published, found)

    def _known(self, pool: str) -> Published:
        self._be_in_charge()
        before = self._current()
        pools = before.snapshot.config.pools
        if pool not in pools:
            raise Unknown(f"There is no pool {pool}. There is: {', '.join(pools)}.")
        return before

    def _be_in_charge(self) -> None:
        if not self._monitor.in_charge:
            raise NotInCharge


def _addresses(published: Published, pool: str) -> list[str]:
    return [endpoint.address.text for endpoint in published.snapshot.config.pools[pool].endpoints]
