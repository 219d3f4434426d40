"""Finds the hook that holds up its whole worker, names the line in the log, and ends it.

Under gevent one hook that computes or sleeps without yielding stops every request of its process. A
native thread sees that the loop has not turned, looks at the stack of the loop's thread, and sends it a
signal whose handler names the hook in the log, and later raises HookBlocked in it. That ends loops in Python,
an unpatched `time.sleep` and a runaway regular expression. It cannot end C code that neither returns nor
looks for signals: a driver that waits in its own library is at least named by the thread, a long `sorted`
or `json.loads` is not, since it keeps the interpreter lock. Those are left to gunicorn's `timeout`,
which ends the worker.

The handler may raise between any two steps of the hook's code, as KeyboardInterrupt does. It raises nothing
when the hook has left meanwhile: it looks at the stack it interrupts and at the clock, and trusts nobody.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub
from gevent.monkey import get_original, is_module_patched

from lbg.hooks.guard import HookBlocked, Stay, stay_at
from lbg.hooks.place import place_in

if TYPE_CHECKING:
    from types import FrameType

log = logging.getLogger("lbg.hooks")

_LOOK: Final = 0.05  # seconds between two looks at the loop
_AGAIN: Final = 0.25  # seconds after which a hook that went on is interrupted once more
_SIGNAL: Final = signal.SIGVTALRM  # neither gunicorn nor gevent uses it
# CPU seconds. A regular expression keeps the interpreter lock, so that the thread cannot run and put off the
# kernel's timer; but it calls signal handlers, and those let the thread have its look.
_STARVED: Final = 0.2


class Watchdog:
    """Watches the loop of the thread that starts it.

    After `warn` seconds in which a hook has let nothing else run it logs where the hook is; after `limit`
    seconds it interrupts it, again and again if the hook goes on.
    """

    def __init__(self, *, warn: float = 0.25, limit: float = 2.0) -> None:
        self._warn = warn
        self._limit = limit
        self._started_in = 0  # the process
        self._beat = 0.0
        self._timer: Any = None
        self._thread = 0
        self._interrupts = False
        self._seen: tuple[Stay, float] | None = None
        self._named: tuple[Stay, float] | None = None
        self._next_signal = 0.0

    def start(self) -> None:
        """Watch from now on; further calls do nothing, but in a process forked since it starts there.

        Does nothing in a process that was not monkey-patched: there a hook blocks only its own thread.
        """
        if self._started_in == os.getpid() or not is_module_patched("socket"):
            return
        self._started_in = os.getpid()
        self._thread = get_original("_thread", "get_ident")()
        self._beat = monotonic()
        self._timer = get_hub().loop.timer(_LOOK, _LOOK, ref=False)
        self._timer.start(self._turned)
        self._interrupts = self._take_signal()
        self._put_off_starvation()
        get_original("_thread", "start_new_thread")(self._watch, (self._started_in,))

    def _take_signal(self) -> bool:
        """Install the handler; return False where that cannot be, or somebody else uses the signal."""
        if threading.current_thread() is not threading.main_thread():
            obstacle = "its loop does not run in the main thread"
        elif signal.getsignal(_SIGNAL) not in (signal.SIG_DFL, self._handle):
            obstacle = f"{_SIGNAL.name} has a handler already"
        else:
            signal.signal(_SIGNAL, self._handle)
            return True
        log.warning("hooks that block this worker will be named, but not interrupted: %s", obstacle)
        return False

    def _put_off_starvation(self) -> None:
        if self._interrupts:
            signal.setitimer(signal.ITIMER_VIRTUAL, _STARVED, _STARVED)

    def _turned(self) -> None:
        self._beat = monotonic()

    def _watch(self, process: int) -> None:
        sleep = get_original("time", "sleep")
        while self._started_in == process:
            self._put_off_starvation()
            sleep(_LOOK)
            self._look(monotonic())

    def _look(self, now: float) -> None:
        if now - self._beat < self._warn:
            self._seen = None
            return
        frame = sys._current_frames().get(self._thread)
        stay = stay_at(frame)
        if frame is None or stay is None or self._blocked(stay, now) < self._warn:
            self._seen = None
            return
        now_seen = stay, stay.since
        # One look is not enough: the whole process may just have been stopped, or starved, for a while.
        if self._seen == now_seen:
            self._act(stay, frame, now)
        self._seen = now_seen

    def _act(self, stay: Stay, frame: FrameType, now: float) -> None:
        blocked = self._blocked(stay, now)
        named = self._named == self._seen
        if self._interrupts and (not named or blocked >= self._limit) and now >= self._next_signal:
            self._next_signal = now + _AGAIN
            signal.pthread_kill(self._thread, _SIGNAL)
        if not named and (not self._interrupts or blocked >= self._limit + _AGAIN):
            # The handler does not get to run. Else it does this: logging takes locks that gevent has made
            # greenlets' own, and two threads had better not meet there.
            self._name(stay, frame, blocked)

    def _name(self, stay: Stay, frame: FrameType, blocked: float) -> None:
        self._named = stay, stay.since
        stay.blocked = True
        sentence = f"{stay.guard.name} blocks this worker and all its requests for {blocked:.2f} s so far"
        place = place_in(frame)
        sentence = f"{sentence}, in {place}" if place else sentence
        stay.guard.notice("blocked", logging.ERROR, sentence, place)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """Handle the signal, in the loop's thread: nothing happens unless a hook blocks it right now."""
        stay = stay_at(frame)
        if stay is None or frame is None:
            return
        blocked = self._blocked(stay, monotonic())
        if blocked >= self._warn and self._named != (stay, stay.since):
            self._name(stay, frame, blocked)
        if blocked >= self._limit:
            raise HookBlocked(f"it blocked the worker for {blocked:.1f} s")

    def _blocked(self, stay: Stay, now: float) -> float:
        """Return the seconds for which `stay` has kept the loop from turning; negative while it is left."""
        return now - max(stay.since, self._beat)


WATCHDOG: Final = Watchdog()
"""The worker's own."""
