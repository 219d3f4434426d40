"""The life of the watch: it waits for its lock, runs in a thread of its own, and ends."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbg.health import monitor as module
from lbg.health.events import EventLog
from lbg.health.monitor import Monitor
from lbg.state.cells import Cells
from lbg.state.health_row import HealthRow
from lbg.state.layout import Ejection, Health, HealthField, Kind
from lbg.state.lock import FileLock
from tests.unit.health.control import Control, pool_of, published, url
from tests.unit.health.watching import PASSED, ScriptedProbe

SECOND = 1_000_000_000  # ns


@pytest.fixture
def control(monkeypatch: pytest.MonkeyPatch) -> Control:
    """Give a control worker over two endpoints."""
    probes = {url(slot): ScriptedProbe() for slot in range(2)}
    return Control(monkeypatch, {"api": pool_of(2)}, probes)


class Checked:
    """A probe that tells when it was asked."""

    def __init__(self) -> None:
        self.asked = threading.Event()

    def check(self, timeout: float) -> Any:
        """Pass."""
        self.asked.set()
        return PASSED


class Watch:
    """A monitor in a real thread."""

    def __init__(self, lock: FileLock | None = None) -> None:
        self.probe = Checked()
        self.cells = Cells.private()
        self.events = EventLog()
        self.monitor = Monitor(
            published({"api": pool_of(1)}), self.cells, self.events, lambda *_: self.probe, lock
        )
        self.monitor.start()

    def was_asked(self, seconds: float = 5.0) -> bool:
        """Return whether a check begins within so much time."""
        return self.probe.asked.wait(seconds)


@pytest.fixture
def watches(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Watch]]:
    """Give the list of watches to be stopped at the end."""
    monkeypatch.setattr(module, "_TURN", 0.001)
    monkeypatch.setattr(module, "_RETRY_LOCK", 0.001)
    made: list[Watch] = []
    yield made
    for watch in made:
        watch.monitor.stop()


def test_it_checks_in_a_thread_of_its_own_until_it_is_stopped(watches: list[Watch]) -> None:
    watches.append(watch := Watch())
    assert watch.was_asked()
    watch.monitor.stop()
    assert "lbg-health" not in [thread.name for thread in threading.enumerate()]


def test_stopping_ends_those_who_follow_events(watches: list[Watch]) -> None:
    watches.append(watch := Watch())
    watch.was_asked()
    watch.monitor.stop()
    assert [event.kind for event in watch.events.follow(0) if event is not None] in ([], ["up"])


def test_it_waits_for_the_lock_of_another_control_worker(watches: list[Watch], tmp_path: Path) -> None:
    other = FileLock(tmp_path / "lock")
    assert other.try_acquire()
    watches.append(watch := Watch(FileLock(tmp_path / "lock")))
    assert not watch.was_asked(0.02)
    assert not any(watch.cells.view[:8][4:])
    other.release()
    assert watch.was_asked()


def test_it_gives_the_lock_back(watches: list[Watch], tmp_path: Path) -> None:
    watches.append(watch := Watch(FileLock(tmp_path / "lock")))
    assert watch.was_asked()
    other = FileLock(tmp_path / "lock")
    assert not other.try_acquire()
    watch.monitor.stop()
    assert other.try_acquire()
    other.release()


def test_it_can_be_stopped_while_it_waits_for_the_lock(watches: list[Watch], tmp_path: Path) -> None:
    other = FileLock(tmp_path / "lock")
    other.try_acquire()
    watches.append(watch := Watch(FileLock(tmp_path / "lock")))
    watch.monitor.stop()
    other.release()
    assert not watch.was_asked(0.02)


def test_a_lock_that_cannot_be_made_is_told_once_and_waited_for(
    watches: list[Watch], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watches.append(watch := Watch(FileLock(tmp_path / "not there yet" / "lock")))
    assert not watch.was_asked(0.02)
    (tmp_path / "not there yet").mkdir()
    assert watch.was_asked()
    assert caplog.text.count("health checks wait for their lock") == 1


def test_a_turn_that_fails_does_not_end_the_watch(
    control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[int] = []

    def turn(_: object) -> None:
        turns.append(1)
        if len(turns) == 3:
            control.monitor._stopping.set()
        raise ValueError("a bug")

    monkeypatch.setattr(control.monitor, "_turn", turn)
    control.monitor._stopping.wait = lambda timeout: True  # type: ignore[method-assign, assignment]
    control.monitor._run()
    assert len(turns) == 3
    assert caplog.text.count("a turn of the health checks failed") == 3


def test_a_takeover_that_fails_is_tried_again(
    control: Control, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failures = [ValueError("a bug"), ValueError("a bug")]

    def open_for_writing() -> None:
        if failures:
            raise failures.pop()

    def turn(_: object) -> None:
        control.monitor._stopping.set()

    control.write(0, ejection=Ejection.EJECTED, ejected_until=2000 * SECOND)
    monkeypatch.setattr(control.events, "open_for_writing", open_for_writing)
    monkeypatch.setattr(control.monitor, "_turn", turn)
    control.monitor._stopping.wait = lambda timeout: True  # type: ignore[method-assign, assignment]
    control.monitor._run()
    assert (failures, control.epoch) == ([], 1)
    assert control.row(0).ejection is Ejection.EJECTED
    assert caplog.text.count("a turn of the health checks failed") == 2


def forked(control: Control) -> None:
    """Start the monitor, make turns, and start it again as after a fork: threads stay in the parent."""
    control.monitor.start()
    control.begin()
    control.threads.held = True
    control.turn()
    assert repr(control.monitor) == "<Monitor of 2 endpoints, 2 checks under way>"
    control.threads.forget()
    control.monitor.start()
    control.begin()


def test_a_forked_process_checks_what_its_parent_was_checking(control: Control) -> None:
    forked(control)
    control.turn()
    control.threads.run()
    control.turn()
    assert [control.row(slot).health for slot in (0, 1)] == [Health.UP, Health.UP]


def test_a_forked_process_takes_over_ejections_once(control: Control) -> None:
    control.write(0, ejection=Ejection.EJECTED, ejected_until=1005 * SECOND)
    forked(control)
    control.turn(10.0)
    assert control.row(0).ejection is Ejection.TRIAL
    control.report(Kind.TRIAL_PASSED)
    control.report(*[Kind.CONNECT_FAILURE] * 4, slot=1)
    assert control.row(1).ejection is Ejection.EJECTED


def test_rows_of_slots_of_no_configuration_are_left_alone(control: Control) -> None:
    row = HealthRow(control.cells, 9)
    row[HealthField.HEALTH] = Health.DOWN
    control.begin()
    control.turns(1.0)
    assert row.health is Health.DOWN
