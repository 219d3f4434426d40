"""What a guard makes of a hook that fails, is slow, or calls back into lbg."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent import GreenletExit

from lbg.errors import ClientGone
from lbg.hooks import guard as module
from lbg.hooks.guard import FAULTS, Guard, HookFailed, HookOverdue, Stay, stay_at

NAME = 'filter "shop:tag"'


class Clock:
    """Time that passes only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the guards a clock of their own."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic", clock)
    return clock


def raising(error: BaseException) -> Callable[[], None]:
    """Return a function that raises `error`."""

    def hook() -> None:
        raise error

    return hook


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged."""
    return [record.getMessage() for record in caplog.records]


def test_the_result_of_a_hook_is_returned() -> None:
    assert Guard(NAME).call(max, 3, 7) == 7


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), SystemExit(3), BaseException("odd")])
def test_whatever_a_hook_raises_becomes_a_failure(error: BaseException) -> None:
    guard = Guard(NAME)
    with pytest.raises(HookFailed) as caught:
        guard.call(raising(error))
    assert caught.value.__cause__ is error
    assert guard.failures == 1


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ('filter "shop:counted"', ("filter", "shop:counted")),
        ('balance "shop:counted" of pool main', ("balance", "shop:counted")),
        ("some name", ("", "some name")),
    ],
)
def test_all_guards_of_a_hook_count_together_by_its_use_and_reference(
    name: str, labels: tuple[str, str]
) -> None:
    before = FAULTS.copy()
    for guard in (Guard(name), Guard(name)):
        guard.fail("did wrong")
        guard.took(1.0, blocked=True)
    grown = {key: count - before[key] for key, count in FAULTS.items() if count != before[key]}
    assert grown == {(*labels, kind): 2 for kind in ("failed", "slow", "blocked")}


def test_a_hook_that_never_failed_counts_zero() -> None:
    Guard('key "shop:innocent"')
    assert {kind: FAULTS.get(("key", "shop:innocent", kind)) for kind in ("failed", "slow", "blocked")} == {
        "failed": 0,
        "slow": 0,
        "blocked": 0,
    }


def test_a_failure_names_the_hook_the_error_and_the_line() -> None:
    hook = raising(ValueError("no"))
    line = hook.__code__.co_firstlineno + 1
    with pytest.raises(HookFailed) as caught:
        Guard(NAME).call(hook)
    assert str(caught.value) == f"{NAME} raised ValueError: no ({__file__}:{line})"


def test_the_line_of_a_failure_inside_a_library_is_the_one_that_called_it() -> None:
    def hook() -> None:
        logging.Formatter(style="?")  # type: ignore[arg-type]

    line = hook.__code__.co_firstlineno + 1
    with pytest.raises(HookFailed, match=rf"\({__file__}:{line}\)$"):
        Guard(NAME).call(hook)


def test_an_error_whose_text_cannot_be_had_is_told_by_its_type() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    with pytest.raises(HookFailed, match=r"raised Mute \("):
        Guard(NAME).call(raising(Mute()))


@pytest.mark.parametrize("error", [ClientGone("left"), GreenletExit(), KeyboardInterrupt()])
def test_what_is_not_the_doing_of_the_hook_passes(error: BaseException) -> None:
    guard = Guard(NAME)
    with pytest.raises(type(error)) as caught:
        guard.call(raising(error))
    assert caught.value is error
    assert guard.failures == 0


def test_a_timeout_that_a_hook_set_and_let_through_is_its_failure() -> None:
    with pytest.raises(HookFailed, match="raised Timeout"):
        Guard(NAME).call(raising(gevent.Timeout(1)))


def test_a_timeout_within_another_hook_passes_since_that_may_have_set_it() -> None:
    timeout = gevent.Timeout(1)
    inner = Guard("inner")

    def outer() -> str:
        with pytest.raises(gevent.Timeout) as caught:
            inner.call(raising(timeout))
        return "given up" if caught.value is timeout else ""

    assert Guard(NAME).call(outer) == "given up"
    assert inner.failures == 0


def test_what_lbg_raises_within_a_hook_passes_through_it() -> None:
    bug = KeyError("ours")
    guard = Guard(NAME)
    stay = Stay(guard)
    with pytest.raises(KeyError) as caught:
        stay.call(stay.outside, raising(bug))
    assert caught.value is bug
    assert guard.failures == 0


def test_what_a_hook_makes_of_an_error_of_lbg_is_its_own() -> None:
    stay = Stay(Guard(NAME))

    def hook() -> None:
        try:
            stay.outside(raising(KeyError("ours")))
        except KeyError:
            raise ValueError("theirs") from None

    with pytest.raises(HookFailed, match="ValueError: theirs"):
        stay.call(hook)


def test_a_slow_call_is_counted_and_named(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME, slow=0.1)

    def hook() -> str:
        clock.now += 0.25
        return "done"

    assert guard.call(hook) == "done"
    assert guard.slow == 1
    assert lines(caplog) == [f"{NAME} took 0.25 s, more than 0.1 s"]


def test_a_call_that_is_quick_enough_is_not_counted(clock: Clock) -> None:
    guard = Guard(NAME, slow=0.5)

    def hook() -> None:
        clock.now += 0.5

    guard.call(hook)
    assert guard.slow == 0


def test_only_the_time_of_the_hook_itself_counts(clock: Clock) -> None:
    guard = Guard(NAME, slow=0.5)
    stay = Stay(guard)

    def pass_time(seconds: float) -> None:
        clock.now += seconds

    def hook(own: float) -> None:
        pass_time(own / 2)
        stay.outside(pass_time, 30.0)
        pass_time(own / 2)

    stay.call(hook, 0.4)
    assert guard.slow == 0
    stay.call(hook, 0.6)
    assert guard.slow == 1


def test_a_hook_has_no_deadline_while_lbg_works_for_it(clock: Clock) -> None:
    stay = Stay(Guard(NAME, timeout=10.0))
    seen = []

    def look() -> None:
        seen.append(stay.deadline)

    def hook() -> None:
        look()
        stay.outside(look)
        clock.now += 5.0
        stay.outside(int)
        look()

    stay.call(hook)
    assert seen == [1010.0, float("inf"), 1015.0]
    assert stay.deadline == float("inf")


def test_a_stay_that_no_hook_is_in_calls_outside_without_a_deadline() -> None:
    stay = Stay(Guard(NAME))
    assert stay.outside(max, 1, 2) == 2
    assert stay.deadline == float("inf")


def test_a_wait_that_is_too_long_is_ended(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME, timeout=0.0)
    with pytest.raises(HookFailed, match="was ended: it waited for more than 0 s"):
        guard.call(gevent.sleep, 30)
    assert guard.failures == 1


def test_a_hook_that_swallows_the_end_of_its_wait_is_ended_again() -> None:
    swallowed = []

    def hook() -> None:
        try:
            gevent.sleep(30)
        except HookOverdue as error:
            swallowed.append(error)
        gevent.sleep(30)

    with pytest.raises(HookFailed, match="was ended"):
        Guard(NAME, timeout=0.0).call(hook)
    assert len(swallowed) == 1


def test_a_wait_that_ends_just_before_it_would_be_ended_goes_on() -> None:
    stay = Stay(Guard(NAME, timeout=0.0))

    def hook() -> str:
        stay.expire()
        stay.outside(gevent.sleep, 0)  # the loop turns while the hook is left
        return "done"

    assert stay.call(hook) == "done"


def test_one_fault_is_logged_once_a_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME)
    for seconds in (0.0, 1.0, 58.0, 1.0):
        clock.now += seconds
        with pytest.raises(HookFailed):
            guard.call(raising(ValueError("no")))
    assert guard.failures == 4
    first, last = lines(caplog)
    assert "more since" not in first
    assert last.endswith("(2 more since the last such line)")


def test_each_hook_and_each_kind_has_its_own_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    one, two = Guard("one", slow=0.1), Guard("two")

    def dawdle() -> None:
        clock.now += 1.0

    for guard in (one, two):
        with pytest.raises(HookFailed):
            guard.call(raising(ValueError("no")))
    one.call(dawdle)
    assert [line.split()[:2] for line in lines(caplog)] == [
        ["one", "raised"],
        ["two", "raised"],
        ["one", "took"],
    ]


def test_different_faults_of_a_hook_do_not_hide_each_other(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME)
    for error in (ValueError("a"), KeyError("b"), ValueError("c")):
        with pytest.raises(HookFailed):
            guard.call(raising(error))
    assert [line.split()[3] for line in lines(caplog)] == ["ValueError:", "KeyError:"]


def test_the_faults_told_from_each_other_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME)
    for number in range(1000):
        guard.notice("failures", logging.ERROR, "no", about=str(number))
    assert len(caplog.records) == 101
    assert len(guard._notices) == 101


def test_a_failure_that_lbg_found_itself_counts_as_well(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME)
    failure = guard.fail("gave an endpoint twice")
    assert str(failure) == f"{NAME} gave an endpoint twice"
    assert guard.failures == 1
    assert lines(caplog) == [str(failure)]


def test_a_call_that_blocked_is_counted_but_not_logged_as_slow(caplog: pytest.LogCaptureFixture) -> None:
    guard = Guard(NAME)
    stay = Stay(guard)

    def hook() -> None:
        stay.blocked = True

    stay.call(hook)
    assert (guard.blocked, guard.slow) == (1, 0)
    assert not stay.blocked
    assert lines(caplog) == []


def test_the_stack_tells_which_hook_is_running() -> None:
    outer, inner = Stay(Guard("outer")), Stay(Guard("inner"))
    seen: list[Any] = []

    def look() -> None:
        seen.append(stay_at(sys._getframe()))

    def hook() -> None:
        look()
        outer.outside(inner.call, look)
        look()

    look()
    outer.call(hook)
    look()
    assert seen == [None, outer, inner, outer, None]
