"""Changes of an endpoint's state: written to its row, told once in the log and to those who follow events."""

from __future__ import annotations

import logging
from time import monotonic_ns
from typing import TYPE_CHECKING, Final

from lbg.state.layout import EJECTED_BY, Admin, Cause, Ejection, Field, Health, HealthField

if TYPE_CHECKING:
    from lbg.health.events import EventLog
    from lbg.health.watched import Watched
    from lbg.state.cells import Cells

log = logging.getLogger("lbg.health")

_SECOND: Final = 1_000_000_000
_CAUSES: Final = {
    Cause.CONNECT_FAILURES: "{} requests in a row failed to connect",
    Cause.SERVER_ERRORS: "{} requests in a row ended in a server error",
    Cause.SILENCE: "a check timed out and no request was answered meanwhile",
    Cause.TRIAL: "the trial request failed",
}

_HELD: Final = {Admin.DRAIN: "draining", Admin.MAINT: "maint"}
_LOGGED: Final = {
    "up": (logging.INFO, "UP"),
    "down": (logging.WARNING, "DOWN"),
    "ejected": (logging.WARNING, "EJECTED"),
    "trial": (logging.INFO, "TRIAL"),
    "restored": (logging.INFO, "UP"),
    "ready": (logging.INFO, "READY"),
    "draining": (logging.INFO, "DRAINING"),
    "maint": (logging.INFO, "MAINT"),
    "weight": (logging.INFO, "WEIGHT"),
    "added": (logging.INFO, "ADDED"),
    "removed": (logging.INFO, "REMOVED"),
}
_UNITS: Final = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


class Transitions:
    """The one place where the state of an endpoint changes."""

    def __init__(self, cells: Cells, events: EventLog) -> None:
        self._cells = cells
        self._events = events

    def to_health(self, watched: Watched, health: Health, text: str) -> None:
        """Turn the endpoint up or down, as its checks say in `text`."""
        row, now = watched.row, monotonic_ns()
        before, since = row.health, row[HealthField.SINCE]
        row[HealthField.HEALTH] = health
        row[HealthField.SINCE] = now
        if health is Health.UP and before is Health.DOWN:
            self._ramp(watched)
        lasted = (now - since) / _SECOND if before is not Health.UNKNOWN else 0.0
        if health is Health.UP:
            self._tell(watched, "up", text, f"was down for {span(lasted)}" if lasted else "", lasted)
        else:
            self._tell(watched, "down", text, f"was up for {span(lasted)}" if lasted else "", lasted)

    def eject(self, watched: Watched, cause: Cause) -> None:
        """Take the endpoint out for as long as its outlier detection says."""
        row = watched.row
        standing = watched.pool.passive.outlier.state(watched.slot)
        row[HealthField.EJECTED_UNTIL] = int(standing.until * _SECOND)
        row[HealthField.EJECTED_SINCE] = int(standing.since * _SECOND)
        row[HealthField.EJECTIONS] = standing.ejections
        row[HealthField.EJECTED_FOR] = cause
        row[HealthField.FAILED] = monotonic_ns()
        row.add(HealthField.EJECTED_TOTAL)
        row.add(EJECTED_BY[cause])
        row[HealthField.EJECTION] = Ejection.EJECTED
        count = standing.connect_failures if cause is Cause.CONNECT_FAILURES else standing.server_errors
        text = _CAUSES[cause].format(count)
        self._tell(watched, "ejected", text, f"for {span(standing.until - standing.since)}", 0.0)

    def begin_trial(self, watched: Watched) -> None:
        """Let one request at a time try the endpoint."""
        watched.row[HealthField.EJECTION] = Ejection.TRIAL
        if not watched.in_service:
            self._cells.changed()  # no request goes there yet: there is nothing to tell
            return
        self._tell(watched, "trial", "the ejection is over, one request tries it", "", 0.0)

    def restore(self, watched: Watched, text: str) -> None:
        """Bring an ejected endpoint back."""
        row = watched.row
        row[HealthField.EJECTION] = Ejection.NONE
        row[HealthField.EJECTIONS] = watched.pool.passive.outlier.state(watched.slot).ejections
        if not watched.in_service:
            self._cells.changed()  # back, but not in service: there is nothing to tell
            return
        self._ramp(watched)
        lasted = (monotonic_ns() - row[HealthField.EJECTED_SINCE]) / _SECOND
        self._tell(watched, "restored", text, f"was out for {span(lasted)}", lasted)

    def to_admin(self, watched: Watched, admin: Admin) -> None:
        """Put the endpoint into the state that an operator wants."""
        row, now = watched.row, monotonic_ns()
        before, since = row.admin, row[HealthField.ADMIN_SINCE]
        row[HealthField.ADMIN] = admin
        row[HealthField.ADMIN_SINCE] = now
        if admin is Admin.READY:
            self._ramp(watched)
            lasted = (now - since) / _SECOND
            text = "maintenance is over" if before is Admin.MAINT else "draining is over"
            self._tell(watched, "ready", text, f"was out for {span(lasted)}", lasted)
            return
        new = "new clients" if watched.pool.config.sticky is not None else "new requests"
        in_flight = self._cells.total(watched.slot, Field.IN_FLIGHT)
        text = f"no {new if admin is Admin.DRAIN else 'requests'}, {in_flight} in flight"
        self._tell(watched, _HELD[admin], text, "", 0.0)

    def to_weight(self, watched: Watched, weight: int) -> None:
        """Give the endpoint the weight that an operator wants, until it is given another."""
        before = watched.weight_in_force
        # What is as configured follows the configuration from then on.
        watched.row[HealthField.WEIGHT] = 0 if weight == watched.weight else weight
        text = f"{weight}, as configured" if weight == watched.weight else str(weight)
        self._tell(watched, "weight", f"{text}, was {before}", "", 0.0)

    def added(self, watched: Watched, *, ramp: bool) -> None:
        """Tell that the endpoint is in the configuration now; with `ramp` it gets its share slowly."""
        if ramp:
            self._ramp(watched)
        self._tell(watched, "added", f"weight {watched.weight_in_force}", "", 0.0)

    def removed(self, watched: Watched) -> None:
        """Tell that the endpoint is in the configuration no more."""
        in_flight = self._cells.total(watched.slot, Field.IN_FLIGHT)
        self._tell(watched, "removed", f"{in_flight} in flight", "", 0.0)

    def _ramp(self, watched: Watched) -> None:
        if watched.pool.config.slow_start:
            watched.row[HealthField.RAMP] = monotonic_ns()

    def _tell(self, watched: Watched, kind: str, text: str, past: str, lasted: float) -> None:
        self._cells.changed()
        level, word = _LOGGED[kind]
        words = f"{text}, {past}" if past else text
        log.log(level, "%s %s %s: %s", word, watched.pool.name, watched.url, words)
        self._events.add(kind, watched.pool.name, watched.url, text, lasted)


def span(seconds: float) -> str:
    """Return a length of time in words: `4.2 s`, `3 min 12 s`, `2 h 5 min`, `3 d 4 h`."""
    whole = round(seconds)
    for size, name, smaller, small in _UNITS:
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {small}" if rest else "")
    return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
