"""The one timer of a worker: whose wait ends, and when."""

from collections.abc import Callable

import gevent
import pytest
from gevent.event import Event
from hypothesis import given, settings
from hypothesis import strategies as st

from lbg.net import deadline
from lbg.net.deadline import NEVER, Deadlines


class Item:
    """Something with a deadline."""

    def __init__(self, at: float, expired: Callable[[], object] = lambda: None) -> None:
        self.deadline = at
        self.times = 0
        self._expired = expired

    def expire(self) -> None:
        """Count the calls."""
        self.times += 1
        self._expired()


class Clocked(Deadlines):
    """Deadlines whose tick the test gives."""

    def watch_all(self, *items: Item) -> None:
        """Watch `items` without the timer of the loop."""
        self._watched |= set(items)

    def tick_at(self, now: float, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tick as if it were `now`."""
        with monkeypatch.context() as patch:
            patch.setattr(deadline, "monotonic", lambda: now)
            self._tick()


def test_what_is_overdue_expires_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, items = Clocked(), [Item(9.0), Item(10.0), Item(10.1), Item(NEVER)]
    deadlines.watch_all(*items)
    deadlines.tick_at(10.0, monkeypatch)
    assert [item.times for item in items] == [1, 1, 0, 0]


def test_a_deadline_moved_later_is_looked_at_when_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, item = Clocked(), Item(10.0)
    deadlines.watch_all(item)
    item.deadline = 20.0
    deadlines.tick_at(15.0, monkeypatch)
    assert item.times == 0
    deadlines.tick_at(20.0, monkeypatch)
    assert item.times == 1


def test_what_is_forgotten_never_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, item = Clocked(), Item(0.0)
    deadlines.watch_all(item)
    deadlines.forget(item)
    deadlines.forget(item)
    deadlines.tick_at(10.0, monkeypatch)
    assert item.times == 0


def test_an_item_may_forget_itself_while_it_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines = Clocked()
    items = [Item(0.0) for _ in range(5)]
    for item in items:
        item._expired = lambda item=item: deadlines.forget(item)  # type: ignore[misc]
    deadlines.watch_all(*items)
    deadlines.tick_at(1.0, monkeypatch)
    deadlines.tick_at(2.0, monkeypatch)
    assert [item.times for item in items] == [1] * 5


def test_calls_on_every_tick_get_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    deadlines, times = Clocked(), list[float]()
    deadlines.on_tick(times.append)
    deadlines.tick_at(1.0, monkeypatch)
    deadlines.tick_at(2.0, monkeypatch)
    assert times == [1.0, 2.0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), max_size=20), st.floats(0, 100))
def test_exactly_the_overdue_expire(times: list[float], now: float) -> None:
    deadlines, items = Clocked(), [Item(time) for time in times]
    deadlines.watch_all(*items)
    with pytest.MonkeyPatch.context() as monkeypatch:
        deadlines.tick_at(now, monkeypatch)
    assert [item.times for item in items] == [int(time <= now) for time in times]


def test_watching_starts_the_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline, "TICK", 0.001)
    deadlines, expired = Deadlines(), Event()
    item = Item(0.0, expired.set)
    deadlines.watch(item)
    assert expired.wait(timeout=10)
    deadlines.forget(item)
    gevent.idle()
