"""Runs Python of the user's: what it raises ends here, is counted and logged; its time is measured."""

from __future__ import annotations

import logging
import re
import sys
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

from gevent import GreenletExit, Timeout, get_hub
from greenlet import getcurrent

from lbg.errors import LbgError
from lbg.hooks.place import place_of, told
from lbg.net.deadline import DEADLINES, NEVER

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

log = logging.getLogger("lbg.hooks")

Kind = Literal["failures", "slow", "blocked"]

FAULTS: Final[Counter[tuple[str, ...]]] = Counter()
"""What all guards of this process have counted, by use, hook and kind; there is a zero for what never was."""

_QUIET: Final = 60.0  # seconds between two log lines about one hook that are alike
_DIFFERENT: Final = 100  # lines about one hook that are told from each other
_NAME: Final = re.compile(r'(\w+) "(.*)"')
_KINDS: Final[dict[Kind, str]] = {"failures": "failed", "slow": "slow", "blocked": "blocked"}


class HookFailed(LbgError):
    """A hook did not do its work. The text is for the log; a client is told nothing of it."""


class HookStopped(BaseException):
    """Thrown into a hook to end it; no Exception, so that `except Exception` in it does not stop that."""


class HookBlocked(HookStopped):
    """The hook kept the whole worker from going on."""


class HookOverdue(HookStopped):
    """The hook waited for something for too long."""


class Guard:
    """Contains one hook; `name` is what the log calls it, such as `filter "shop.hooks:tag"`.

    `failures` counts calls that raised or were ended, `slow` those that took more than `slow` seconds of
    their own, `blocked` those that held up the whole worker; a call may be all three. A call that waits
    for `timeout` seconds is ended.
    """

    __slots__ = ("_labels", "_notices", "blocked", "failures", "name", "slow", "slow_after", "timeout")

    def __init__(self, name: str, *, slow: float = 0.1, timeout: float = 10.0) -> None:
        self.name = name
        self.slow_after = slow
        self.timeout = timeout
        self.failures = 0
        self.slow = 0
        self.blocked = 0
        self._notices: dict[tuple[Kind, str], _Notices] = {}
        self._labels = _labels(name)
        for kind in _KINDS.values():
            FAULTS[*self._labels, kind] += 0

    def __repr__(self) -> str:
        return f"<Guard {self.name} failures={self.failures} slow={self.slow} blocked={self.blocked}>"

    def call(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Return `function(*args)`. Raises HookFailed for what it raises, StopIteration included.

        LbgError and the end of the greenlet pass as they are: they are not the hook's doing.
        """
        return Stay(self).call(function, *args)

    def fail(self, what: str, about: str = "") -> HookFailed:
        """Count and log that the hook did wrong, and return that to be raised: `what` follows its name.

        `about` tells one fault from another, for `notice`.
        """
        self._count("failures")
        sentence = f"{self.name} {what}"
        self.notice("failures", logging.ERROR, sentence, about)
        return HookFailed(sentence)

    def blame(self, error: BaseException) -> HookFailed:
        """Count and log that the hook raised `error`, or was ended by it; return what to raise instead."""
        what = f"was ended: {error}" if isinstance(error, HookStopped) else f"raised {told(error)}"
        place = place_of(error)
        return self.fail(f"{what} ({place})" if place else what, f"{type(error).__name__} {place}")

    def took(self, seconds: float, *, blocked: bool) -> None:
        """Count a call that took long; that it blocked the worker was logged meanwhile."""
        if blocked:
            self._count("blocked")
        if seconds <= self.slow_after:
            return
        self._count("slow")
        if not blocked:
            sentence = f"{self.name} took {seconds:.3g} s, more than {self.slow_after:g} s"
            self.notice("slow", logging.WARNING, sentence)

    def notice(self, kind: Kind, level: int, sentence: str, about: str = "") -> None:
        """Log `sentence`, or count it as left out when the last like it was a short while ago.

        Alike are those of one kind about the same thing.
        """
        key = kind, about
        if key not in self._notices and len(self._notices) >= _DIFFERENT:
            key = kind, ""
        left_out = self._notices.setdefault(key, _Notices()).admit(monotonic())
        if left_out is not None:
            more = f" ({left_out} more since the last such line)" if left_out else ""
            log.log(level, "%s%s", sentence, more)

    def _count(self, kind: Kind) -> None:
        setattr(self, kind, getattr(self, kind) + 1)
        FAULTS[*self._labels, _KINDS[kind]] += 1


def _labels(name: str) -> tuple[str, str]:
    """Return the use and the reference that are in the name of a guard."""
    found = _NAME.match(name)
    return (found[1], found[2]) if found else ("", name)


class _Notices:
    """When the next line may be logged, and how many like it were left out since the last."""

    __slots__ = ("_left_out", "_next")

    def __init__(self) -> None:
        self._next = 0.0
        self._left_out = 0

    def admit(self, now: float) -> int | None:
        if now < self._next:
            self._left_out += 1
            return None
        self._next = now + _QUIET
        left_out, self._left_out = self._left_out, 0
        return left_out


class Stay:
    """One stay of a request in a hook: calls, with `outside` for what the hook calls that is ours.

    Only the hook's own time counts. `since` is when it last got control, `NEVER` while it has not.
    `blocked` is set by the watchdog when the hook holds up the worker.
    """

    __slots__ = ("_foreign", "_greenlet", "_own", "blocked", "deadline", "guard", "since")

    def __init__(self, guard: Guard) -> None:
        self.guard = guard
        self.since = self.deadline = NEVER
        self.blocked = False
        self._own = 0.0
        self._foreign: BaseException | None = None
        self._greenlet: Any = None

    def __repr__(self) -> str:
        return f"<Stay in {self.guard.name} since={self.since}>"

    def call(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Return `function(*args)`, as `Guard.call`. One call at a time."""
        self._greenlet = getcurrent()
        DEADLINES.watch(self)
        self.enter()
        try:
            return _inside(self, function, args)
        except BaseException as error:
            if self._passes(error):
                raise
            raise self.guard.blame(error) from error
        finally:
            self.leave()
            DEADLINES.forget(self)
            self._foreign = None
            own, self._own = self._own, 0.0
            if own > self.guard.slow_after or self.blocked:
                self.guard.took(own, blocked=self.blocked)
                self.blocked = False

    def enter(self) -> None:
        """Let time count as the hook's own from now on."""
        self.since = now = monotonic()
        self.deadline = now + self.guard.timeout

    def leave(self) -> None:
        """Let time no more count as the hook's own."""
        self._own += monotonic() - self.since
        self.since = self.deadline = NEVER

    def outside(self, function: Callable[..., Any], /, *args: Any) -> Any:
        """Return `function(*args)` of ours, called by the hook; what it raises is not the hook's failure."""
        if self.since == NEVER:  # called by something else than the hook
            return function(*args)
        self.leave()
        try:
            return function(*args)
        except BaseException as error:
            self._foreign = error
            raise
        finally:
            self.enter()

    def expire(self) -> None:
        """End a wait of the hook's that was too long; called in the hub."""
        # Not at once: the greenlet would run on in the middle of the deadlines' turn.
        get_hub().loop.run_callback(self._end_wait)

    def _end_wait(self) -> None:
        if self.deadline <= monotonic():
            self._greenlet.throw(HookOverdue(f"it waited for more than {self.guard.timeout:g} s"))

    def _passes(self, error: BaseException) -> bool:
        if error is self._foreign or isinstance(error, LbgError | GreenletExit | KeyboardInterrupt):
            return True
        # A hook around this one may have set it, and then only that one knows what to do.
        return isinstance(error, Timeout) and stay_at(sys._getframe()) is not None


def _inside(stay: Stay, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:  # noqa: ARG001
    """Run a hook. Its frame on the stack is what shows that a hook is running, and which."""
    return function(*args)


_MARK: Final = _inside.__code__


def stay_at(frame: FrameType | None) -> Stay | None:
    """Return the innermost stay that `frame` is part of, None when no hook is running."""
    while frame is not None:
        if frame.f_code is _MARK:
            stay: Stay = frame.f_locals["stay"]
            return stay
        frame = frame.f_back
    return None
