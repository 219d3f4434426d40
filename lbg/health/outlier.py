"""Passive detection: an endpoint that keeps failing requests is ejected for a while.

The scheme is Envoy's outlier detection with HAProxy's half-open trial: each ejection of the same
endpoint lasts longer, after it one request tries the endpoint, and a part of the pool always stays.
No I/O; times are float seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from lbg.state.layout import Cause, Ejection, Kind

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from lbg.config.pools import OutlierConfig

Name = TypeVar("Name", bound=Hashable)

_ROUNDING: Final = 1e-9  # 0.29 of 100 is 28.999999999999996 and means 29


@dataclass(slots=True)
class Standing:
    """What is known of one endpoint; `until`, `cause` and `since` speak of an ejection under way.

    The next ejection lasts `ejections` + 1 times the shortest one. `forgiven` is when `ejections`
    last fell, or when the endpoint came back, whichever is later; 0 is not known yet.
    """

    ejection: Ejection = Ejection.NONE
    until: float = 0.0
    ejections: int = 0
    cause: Cause = Cause.NONE
    since: float = 0.0
    forgiven: float = 0.0
    connect_failures: int = 0  # in a row, as are server_errors
    server_errors: int = 0
    known: bool = False  # whether any request has ended


class Outlier(Generic[Name]):
    """Decides for one pool which endpoints are ejected, for how long, and when one is tried again.

    `names` are the endpoints that may be ejected. Every method raises KeyError for another name.
    `usable` are the names that requests may go to: not down and not ejected.
    """

    def __init__(self, config: OutlierConfig, names: Iterable[Name]) -> None:
        self._config = config
        self._standings = {name: Standing() for name in names}
        count = len(self._standings)
        # Ejecting all of a pool would leave requests nowhere to go, so one always stays.
        self._most = min(max(1, math.floor(count * config.max_ejected + _ROUNDING)), count - 1)
        # Past this the length is at its cap, and a higher factor would only be harder to forgive.
        self._most_ejections = max(0, math.ceil(config.max_eject / config.eject) - 1)
        self._out = 0
        self._watches = config.connect_failures > 0 or config.server_errors > 0

    def __repr__(self) -> str:
        return f"<Outlier {self._out} of {len(self._standings)} out, {self._most} at most>"

    def state(self, name: Name) -> Standing:
        """Return what is known of `name`; to be read, not changed."""
        return self._standings[name]

    def restore(
        self,
        name: Name,
        ejection: Ejection,
        until: float,
        ejections: int,
        cause: Cause = Cause.NONE,
        since: float = 0.0,
    ) -> None:
        """Take up what another process decided of `name`, before anything else is told of it.

        What exceeds the limits, since the pool or its limits have shrunk, is in service again, and so is
        everything when detection was switched off.
        """
        standing = self._standings[name]
        standing.ejections = min(ejections, self._most_ejections)
        allowed = self._watches and self._out < self._most and standing.ejection is Ejection.NONE
        if ejection is not Ejection.NONE and allowed:
            self._out += 1
            standing.ejection, standing.until = ejection, until
            standing.cause, standing.since = cause, since

    def failed(self, name: Name, kind: Kind, now: float, usable: Container[Name]) -> Cause | None:
        """Count a failed request; return the cause when this has ejected `name`, else None."""
        standing = self._standings[name]
        if standing.ejection is not Ejection.NONE:
            return None  # sent before the ejection: nothing new
        standing.known = True
        if kind is Kind.CONNECT_FAILURE:
            standing.connect_failures += 1
            due = 0 < self._config.connect_failures <= standing.connect_failures
            cause = Cause.CONNECT_FAILURES
        elif kind is Kind.SERVER_ERROR:
            standing.server_errors += 1
            due = 0 < self._config.server_errors <= standing.server_errors
            due = due and not self._is_shared(name, usable)
            cause = Cause.SERVER_ERRORS
        else:
            raise ValueError(f"{kind!r} is no failure of a request in service")
        return cause if due and self._eject(name, cause, now, usable) else None

    def succeeded(self, name: Name) -> None:
        """Note a response below 500: whatever failed before it is no longer in a row."""
        standing = self._standings[name]
        standing.connect_failures = standing.server_errors = 0
        standing.known = True

    def silent(self, name: Name, now: float, usable: Container[Name]) -> bool:
        """Return whether `name` is ejected now because a check timed out and no request was answered.

        With every other cause switched off it never is.
        """
        in_service = self._standings[name].ejection is Ejection.NONE
        return self._watches and in_service and self._eject(name, Cause.SILENCE, now, usable)

    def trial(
        self, name: Name, passed: bool, now: float, usable: Container[Name] | None = None
    ) -> Cause | None:
        """End the trial of `name`: back in service, or ejected again, longer, and then return the cause.

        It returns to service all the same when `usable` is given and holds no other endpoint.
        Without a trial under way, as when a check has passed meanwhile, nothing happens.
        """
        if self._standings[name].ejection is not Ejection.TRIAL:
            return None
        self._release(name)
        self._standings[name].forgiven = now
        if passed:
            return None
        others = self._standings.keys() if usable is None else usable
        return Cause.TRIAL if self._eject(name, Cause.TRIAL, now, others) else None

    def check_passed(self, name: Name) -> bool:
        """Note that an active check passed; return whether this brought `name` back into service."""
        if self._standings[name].ejection is Ejection.NONE:
            return False
        self._release(name)
        return True

    def tick(self, now: float) -> list[Name]:
        """Return the names whose ejection has just ended: they are on trial from now on."""
        ended: list[Name] = []
        for name, standing in self._standings.items():
            if standing.ejection is Ejection.EJECTED and standing.until <= now:
                standing.ejection = Ejection.TRIAL
                ended.append(name)
            elif standing.ejection is Ejection.NONE and standing.ejections:
                self._forgive(standing, now)
        return ended

    def _forgive(self, standing: Standing, now: float) -> None:
        """Let the length of the next ejection fall with the time in service."""
        if not standing.forgiven:
            standing.forgiven = now
        while standing.ejections and now - standing.forgiven >= self._config.eject:
            standing.ejections -= 1
            standing.forgiven += self._config.eject

    def _eject(self, name: Name, cause: Cause, now: float, usable: Container[Name]) -> bool:
        if self._out >= self._most or next(self._others(name, usable), None) is None:
            return False
        standing, config = self._standings[name], self._config
        self._forgive(standing, now)
        standing.ejection = Ejection.EJECTED
        standing.until = now + min(config.eject * (standing.ejections + 1), config.max_eject)
        standing.ejections = min(standing.ejections + 1, self._most_ejections)
        standing.cause, standing.since = cause, now
        self._out += 1
        return True

    def _release(self, name: Name) -> None:
        before = self._standings[name]
        self._standings[name] = Standing(ejections=before.ejections, known=before.known)
        self._out -= 1

    def _others(self, name: Name, usable: Container[Name]) -> Iterator[Standing]:
        """Yield the endpoints that requests may go to without `name`."""
        for other, standing in self._standings.items():
            if other != name and standing.ejection is Ejection.NONE and other in usable:
                yield standing

    def _is_shared(self, name: Name, usable: Container[Name]) -> bool:
        """Return whether no other endpoint does better: then the fault lies behind all of them."""
        return all(other.server_errors or not other.known for other in self._others(name, usable))
