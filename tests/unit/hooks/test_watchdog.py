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
        self.signals = 0
        self._thread = threading.get_ident()
        self._interrupts = True
        self._beat = monotonic()
        monkeypatch.setattr(signal, "pthread_kill", self._send)

    def _send(self, thread: int, number: int) -> None:
        assert (thread, number) == (threading.get_ident(), signal.SIGVTALRM)
        self.signals += 1

    def look(self, *later: float) -> None:
        """Look at times after now, as the thread does."""
        now = monotonic()
        for seconds in later:
            self._look(now + seconds)

    def handle(self) -> None:
        """Handle the signal, as if it came now."""
        self._handle(signal.SIGVTALRM, sys._getframe())


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Watched:
    """Give a watchdog over this thread."""
    return Watched(monkeypatch)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged."""
    return [record.getMessage() for record in caplog.records]


def run(hook: Callable[[], object], *, since: float = 0.0) -> Guard:
    """Run `hook` in a guard as if it had got control `since` seconds ago; return the guard."""
    guard = Guard(NAME)
    stay = Stay(guard)

    def begin() -> None:
        stay.since -= since
        hook()

    stay.call(begin)
    return guard


def test_a_hook_that_blocks_gets_a_signal(watched: Watched) -> None:
    run(lambda: watched.look(0.3, 0.35))
    assert watched.signals == 1


def test_a_hook_that_has_run_for_a_short_while_is_left_alone(watched: Watched) -> None:
    run(lambda: watched.look(0.1, 0.2, 0.24))
    assert watched.signals == 0


def test_one_look_is_not_enough(watched: Watched) -> None:
    run(lambda: watched.look(0.3))
    run(lambda: watched.look(0.3))
    assert watched.signals == 0


def test_a_hook_does_not_block_when_the_loop_has_turned_meanwhile(watched: Watched) -> None:
    def hook() -> None:
        watched.look(0.3)
        watched._beat = monotonic() + 0.3
        watched.look(0.32, 0.5)

    run(hook)
    assert watched.signals == 0


def test_the_time_before_the_hook_began_is_not_its_doing(watched: Watched) -> None:
    watched._beat -= 100.0
    run(lambda: watched.look(0.1, 0.2))
    assert watched.signals == 0


def test_our_own_work_within_a_hook_gets_no_signal(watched: Watched) -> None:
    stay = Stay(Guard(NAME))
    stay.call(stay.outside, watched.look, 0.3, 0.4, 5.0, 5.1)
    assert watched.signals == 0


def test_a_process_without_a_hook_gets_no_signal(watched: Watched) -> None:
    watched.look(0.3, 0.4, 5.0, 5.1)
    assert watched.signals == 0


def test_a_hook_that_was_named_gets_no_signal_before_the_limit(watched: Watched) -> None:
    def hook() -> None:
        watched.handle()
        watched.look(0.6, 1.2, 1.5)

    watched._beat -= 5.0
    run(hook, since=0.3)
    assert watched.signals == 0


def test_a_hook_that_blocks_on_gets_one_signal_after_the_other(watched: Watched) -> None:
    run(lambda: watched.look(1.9, 1.95, 2.1, 2.15, 2.2, 2.25, 2.4, 2.5))
    assert watched.signals == 3


def test_the_signal_names_a_hook_that_blocks_with_its_line_once(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def hook() -> None:
        watched.handle()
        watched.handle()

    watched._beat -= 5.0
    guard = run(hook, since=0.3)
    (line,) = lines(caplog)
    assert line.startswith(f"{NAME} blocks this worker and all its requests for 0.3")
    assert line.endswith(f"s so far, in {__file__}:{Watched.handle.__code__.co_firstlineno + 2}")
    assert (guard.blocked, guard.failures) == (1, 0)


def test_the_signal_raises_in_a_hook_that_blocks_for_too_long(watched: Watched) -> None:
    watched._beat -= 5.0
    with pytest.raises(HookFailed, match=r"was ended: it blocked the worker for 2\.5 s") as caught:
        run(watched.handle, since=2.5)
    assert isinstance(caught.value.__cause__, HookBlocked)


def test_the_signal_does_nothing_in_a_hook_that_came_after_the_one_it_was_for(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched._beat -= 5.0
    run(watched.handle)
    assert lines(caplog) == []


def test_the_signal_does_nothing_after_the_loop_turned(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    def hook() -> None:
        watched._turned()
        watched.handle()

    run(hook, since=5.0)
    assert [line for line in lines(caplog) if "blocks" in line] == []


def test_the_signal_does_nothing_in_our_own_work(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched._beat -= 5.0
    watched.handle()
    stay = Stay(Guard(NAME))
    stay.call(stay.outside, watched.handle)
    assert lines(caplog) == []


def test_a_hook_that_lets_no_handler_run_is_named_all_the_same(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    guard = run(lambda: watched.look(2.0, 2.1, 2.2, 2.3, 2.4))
    (line,) = lines(caplog)
    assert "blocks this worker and all its requests for 2.3" in line
    assert guard.blocked == 1


def test_a_hook_is_named_where_it_cannot_be_interrupted(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched._interrupts = False
    run(lambda: watched.look(0.3, 0.4, 5.0))
    assert len(lines(caplog)) == 1
    assert watched.signals == 0


def test_a_process_that_is_not_patched_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "get_original", pytest.fail)
    Watchdog().start()


def test_a_signal_that_somebody_else_uses_is_left_to_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(signal, "getsignal", lambda _: print)
    monkeypatch.setattr(signal, "signal", pytest.fail)
    assert not Watchdog()._take_signal()
    assert "not interrupted: SIGVTALRM has a handler already" in caplog.text
