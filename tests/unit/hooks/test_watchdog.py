"""What the watchdog concludes from the stack of the loop's thread and the time the loop last turned."""

import signal
import sys
import threading
from collections.abc import Callable
from time import monotonic

import pytest

from lbg.hooks import watchdog as module
from lbg.hooks.guard import Guard, HookBlocked, HookFailed, Stay
from lbg.hooks.watchdog import Watchdog

NAME = 'filter "shop:tag"'


class Watched(Watchdog):
    """A watchdog over this thread, looked through by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(warn=0.25, limit=2.0)
        self.told: list[str] = []
        self.signals = 0
        self._thread = threading.get_ident()
        self._interrupts = True
        self._beat = monotonic()
        monkeypatch.setattr(signal, "pthread_kill", self._send)

    def _send(self, thread: int, number: int) -> None:
        self.signals += 1

    def _tell(self, stay: Stay, place: str, blocked: float) -> None:
        self.told.append(f"{stay.guard.name} {place}")

    def look(self, *later: float) -> None:
        """Look at times after now, as the thread does."""
        now = monotonic()
        for seconds in later:
            self._look(now + seconds)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Give a watchdog over this thread."""
    return Watched(monkeypatch)


def run(hook: Callable[[], object]) -> Guard:
    """Run `hook` in a guard, and return that."""
    guard = Guard(NAME)
    guard.call(hook)
    return guard


def test_a_hook_that_blocks_is_named_with_its_line_once(watched: Watched) -> None:
    def hook() -> None:
        watched.look(0.3, 0.35, 0.4)

    guard = run(hook)
    line = Watched.look.__code__.co_firstlineno + 4
    assert watched.told == [f"{NAME} {__file__}:{line}"]
    assert guard.blocked == 1


def test_a_hook_that_has_run_for_a_short_while_is_left_alone(watched: Watched) -> None:
    guard = run(lambda: watched.look(0.1, 0.2, 0.24))
    assert watched.told == []
    assert guard.blocked == 0


def test_one_look_is_not_enough(watched: Watched) -> None:
    run(lambda: watched.look(0.3))
    run(lambda: watched.look(0.3))
    assert watched.told == []


def test_a_hook_is_not_blocking_when_the_loop_has_turned_meanwhile(watched: Watched) -> None:
    def hook() -> None:
        watched.look(0.3)
        watched._beat = monotonic() + 0.3
        watched.look(0.32, 0.5)

    run(hook)
    assert watched.told == []


def test_the_time_before_the_hook_began_is_not_its_doing(watched: Watched) -> None:
    watched._beat = monotonic() - 100.0
    run(lambda: watched.look(0.1, 0.2))
    assert watched.told == []


def test_our_own_work_within_a_hook_is_not_its_doing(watched: Watched) -> None:
    stay = Stay(Guard(NAME))
    stay.call(stay.outside, watched.look, 0.3, 0.4, 5.0, 5.1)
    assert watched.told == []
    assert watched.signals == 0


def test_a_process_without_a_hook_is_left_alone(watched: Watched) -> None:
    watched.look(0.3, 0.4, 5.0, 5.1)
    assert watched.told == []
    assert watched.signals == 0


def test_a_hook_that_blocks_on_is_interrupted_again_and_again(watched: Watched) -> None:
    run(lambda: watched.look(1.0, 1.9, 2.1, 2.2, 2.3, 2.4, 2.7))
    assert watched.signals == 3


def test_the_signal_raises_in_a_hook_that_blocks(watched: Watched) -> None:
    watched._beat -= 5.0
    guard = Guard(NAME)
    stay = Stay(guard)

    def hook() -> None:
        stay.since -= 2.5
        watched._handle(0, sys._getframe())

    with pytest.raises(HookFailed, match=r"was ended: it blocked the worker for 2\.5 s") as caught:
        stay.call(hook)
    assert isinstance(caught.value.__cause__, HookBlocked)
    assert guard.failures == 1


def test_the_signal_does_nothing_in_a_hook_that_came_after_the_one_it_was_for(watched: Watched) -> None:
    watched._beat -= 5.0
    run(lambda: watched._handle(0, sys._getframe()))


def test_the_signal_does_nothing_after_the_loop_turned(watched: Watched) -> None:
    stay = Stay(Guard(NAME))

    def hook() -> None:
        stay.since -= 5.0
        watched._turned()
        watched._handle(0, sys._getframe())

    stay.call(hook)


def test_the_signal_does_nothing_in_our_own_work(watched: Watched) -> None:
    watched._beat -= 5.0
    watched._handle(0, sys._getframe())
    stay = Stay(Guard(NAME))

    def hook() -> None:
        stay.since -= 5.0
        stay.outside(lambda: watched._handle(0, sys._getframe()))

    stay.call(hook)


def test_a_process_that_is_not_patched_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_original", pytest.fail)
    Watchdog().start()


def test_a_signal_that_somebody_else_uses_is_left_to_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: print)
    monkeypatch.setattr(signal, "signal", pytest.fail)
    assert not Watchdog()._take_signal()
    assert "SIGVTALRM" in caplog.text
