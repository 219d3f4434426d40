"""What the cells say of one endpoint, decoded once for all who show it or decide by it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from lbg.state.layout import Admin, Cause, Ejection, Health, HealthField, health_row

if TYPE_CHECKING:
    from lbg.config.pools import HealthConfig
    from lbg.state.cells import Cells

State = Literal["up", "down", "unknown", "unchecked", "ejected", "trial", "stale", "draining", "maint"]

_SECOND: Final = 1_000_000_000  # ns
_PATIENCE: Final = 3  # intervals
_CAUSES: Final[dict[int, str]] = {
    Cause.CONNECT_FAILURES: "connect failures",
    Cause.SERVER_ERRORS: "server errors",
    Cause.SILENCE: "checks time out and nothing is answered",
    Cause.TRIAL: "its trial request failed",
}
_HELD: Final[dict[int, State]] = {Admin.DRAIN: "draining", Admin.MAINT: "maint"}
_IN_A_SENTENCE: Final[dict[State, str]] = {"trial": "on trial after an ejection", "maint": "in maintenance"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One endpoint at one moment; `usable` tells whether it gets requests as any other does.

    `since` is when `state` began, and `ejected_until` when an ejection ends: CLOCK_MONOTONIC seconds,
    None where there is no such time. `lasted` and `checked_age` are seconds. `cause` is why it was
    ejected, `text` what the last check met. `slow_start` tells that it has not its full weight yet.
    What an operator says comes before what checks and requests say.
    """

    state: State
    since: float | None
    lasted: float | None
    usable: bool
    cause: str
    text: str
    checked_age: float | None
    ejected_until: float | None
    slow_start: bool

    @property
    def held(self) -> bool:
        """Whether an operator keeps new clients away from it."""
        return self.state in _HELD.values()

    @property
    def reason(self) -> str:
        """Why it is in this state, in words."""
        match self.state:
            case "unknown":
                return "not checked yet"
            case "unchecked":
                return "no active checks"
            case "ejected" | "trial":
                return self.cause
            case "stale":
                return f"not checked for {self.checked_age or 0.0:.0f} s; the last time: {self.text}"
            case "draining" | "maint":
                return "set by an operator"
        return self.text

    def sentence(self, name: str, epoch: float) -> str:
        """Return a line on the endpoint `name`, such as "10.0.0.1:80 down since 12:01:03: connect refused".

        `epoch` is `time.time() - time.monotonic()`. Times are local ones.
        """
        words = [name, _IN_A_SENTENCE.get(self.state, self.state)]
        if self.since is not None and self.lasted is not None:
            now = epoch + self.since + self.lasted
            words.append(f"since {local_time(epoch + self.since, now)}")
            if self.ejected_until is not None:
                words.append(f"until {local_time(epoch + self.ejected_until, now)}")
        line = " ".join(words)
        return f"{line}: {self.reason}" if self.reason and not self.held else line


def patience(health: HealthConfig) -> int:
    """Return how old the result of a check may be before it is stale: three intervals, in ns."""
    return int(_PATIENCE * health.interval * _SECOND)


def read_condition(
    cells: Cells,
    slot: int,
    now_ns: int,
    patience_ns: int,
    *,
    checked: bool = True,
    slow_start: float = 0.0,
) -> Condition:
    """Return the condition of the endpoint in `slot` at `now_ns`, CLOCK_MONOTONIC nanoseconds.

    A result older than `patience_ns` is stale. `checked` is False for a pool without active checks,
    `slow_start` is the pool's, in seconds.
    """
    row = health_row(slot)
    numbers = cells.view[row : row + len(HealthField)].tolist()
    state = _state(numbers, now_ns, patience_ns, checked=checked)
    began = _began(state, numbers, patience_ns)
    out = state in {"ejected", "trial"}
    return Condition(
        state,
        began / _SECOND if began else None,
        max(0, now_ns - began) / _SECOND if began else None,
        usable=state in {"up", "unknown", "unchecked", "stale"},
        cause=_CAUSES.get(numbers[HealthField.EJECTED_FOR], "") if out else "",
        text=cells.text(slot),
        checked_age=_age(numbers[HealthField.CHECKED], now_ns),
        ejected_until=numbers[HealthField.EJECTED_UNTIL] / _SECOND if state == "ejected" else None,
        slow_start=numbers[HealthField.RAMP] != 0
        and now_ns - numbers[HealthField.RAMP] < slow_start * _SECOND,
    )


def _state(numbers: list[int], now_ns: int, patience_ns: int, *, checked: bool) -> State:
    health, ejection = numbers[HealthField.HEALTH], numbers[HealthField.EJECTION]
    if numbers[HealthField.ADMIN]:
        return _HELD[numbers[HealthField.ADMIN]]
    if health == Health.DOWN:
        return "down"
    if ejection == Ejection.EJECTED:
        return "ejected"
    if ejection == Ejection.TRIAL:
        return "trial"
    if not checked:
        return "unchecked"
    if health == Health.UNKNOWN or not numbers[HealthField.CHECKED]:
        return "unknown"
    return "stale" if now_ns - numbers[HealthField.CHECKED] > patience_ns else "up"


def _began(state: State, numbers: list[int], patience_ns: int) -> int:
    match state:
        case "up" | "down":
            return numbers[HealthField.SINCE]
        case "ejected" | "trial":
            return numbers[HealthField.EJECTED_SINCE]
        case "draining" | "maint":
            return numbers[HealthField.ADMIN_SINCE]
        case "stale":
            return numbers[HealthField.CHECKED] + patience_ns
    return 0


def _age(checked: int, now_ns: int) -> float | None:
    return max(0, now_ns - checked) / _SECOND if checked else None


def local_time(moment: float, now: float) -> str:
    """Return the time of day, with the date when that is another one than today's."""
    there, here = time.localtime(moment), time.localtime(now)
    return time.strftime("%H:%M:%S" if there[:3] == here[:3] else "%Y-%m-%d %H:%M:%S", there)
