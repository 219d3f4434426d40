"""A monitor without threads: its turns and the checks it begins are made when the test says so."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lbg.config.pools import EndpointConfig, PoolConfig
from lbg.config.schema import Config
from lbg.config.snapshot import Snapshot
from lbg.health import monitor as module
from lbg.health import transitions
from lbg.health.events import EventLog
from lbg.health.monitor import Monitor
from lbg.health.probe import Probe
from lbg.state.cells import Cells
from lbg.state.document import Published
from lbg.state.health_row import HealthRow
from lbg.state.layout import Field, Header, HealthField, Kind, assign_slots, identity
from lbg.state.lock import FileLock
from lbg.state.reports import ReportReader, ReportWriter
from tests.unit.health.watching import Clock, ScriptedProbe, count

GENERATION = 7


class Threads:
    """Stands for `threading`: a check is made at once, or by `run` while checks are `held`."""

    Event = threading.Event
    Lock = threading.Lock

    def __init__(self) -> None:
        self.held = False
        self.exhausted = False
        self._waiting: list[Callable[[], None]] = []

    def Thread(  # noqa: N802
        self, *, target: Callable[..., None], name: str, args: tuple[Any, ...] = (), **_: Any
    ) -> Any:
        """Return a thread that can be started; only those for checks do anything."""
        return SimpleNamespace(start=lambda: self._start(name, lambda: target(*args)))

    def _start(self, name: str, task: Callable[[], None]) -> None:
        if name != "lbg-check":
            return
        if self.exhausted:
            raise RuntimeError("can't start new thread")
        if self.held:
            self._waiting.append(task)
        else:
            task()

    def run(self) -> None:
        """Do what the threads that are held would do."""
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            task()

    def forget(self) -> None:
        """Lose the threads that are held, as a fork does."""
        self._waiting = []

    def __len__(self) -> int:
        return len(self._waiting)


class Control:
    """A control worker over pools, and the proxy workers it hears."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        pools: dict[str, Any],
        probes: dict[str, ScriptedProbe],
        cells: Cells | None = None,
        lock: FileLock | None = None,
    ) -> None:
        self.clock = Clock()
        self.threads = Threads()
        for name, value in {
            "monotonic": self.clock.monotonic,
            "monotonic_ns": self.clock.monotonic_ns,
            "threading": self.threads,
            "_TURN": 0.0,
        }.items():
            monkeypatch.setattr(module, name, value)
        monkeypatch.setattr(transitions, "monotonic_ns", self.clock.monotonic_ns)
        self.cells = cells or Cells.private()
        self.probes = probes
        self.events = EventLog()
        self.monitor = Monitor(published(pools), self.cells, self.events, self._probe, lock)
        self.writer = ReportWriter(self.cells, 0)

    def _probe(self, endpoint: EndpointConfig, pool: PoolConfig) -> Probe | None:
        return None if pool.health.type == "none" else self.probes[endpoint.url]

    def begin(self) -> None:
        """Take over from the control worker before, if there was one."""
        self.monitor._adopt(self.monitor._watched.values())
        self._reports = ReportReader(self.cells)

    def turn(self, seconds: float = 0.05) -> None:
        """Make one turn, after so much time."""
        self.clock.now += seconds
        self.monitor._turn(self._reports)

    def turns(self, seconds: float) -> None:
        """Make turns for so many seconds."""
        for _ in range(round(seconds / 0.05)):
            self.turn()

    def report(self, *kinds: Kind, slot: int = 0) -> None:
        """Report as a proxy worker does, with a turn after each."""
        for kind in kinds:
            self.writer.report(slot, kind)
            self.turn()

    def count(self, field: Field, slot: int = 0, more: int = 1) -> None:
        """Count as a proxy worker does."""
        count(self.cells, field, slot=slot, more=more)

    def row(self, slot: int = 0) -> HealthRow:
        """Return the row of an endpoint."""
        return HealthRow(self.cells, slot)

    def write(self, slot: int = 0, **fields: int) -> None:
        """Write a row as the control worker before did."""
        for name, value in fields.items():
            self.row(slot)[HealthField[name.upper()]] = value

    @property
    def epoch(self) -> int:
        """How many changes the workers were told of."""
        return self.cells.view[Header.EPOCH]

    @property
    def checked(self) -> int:
        """The generation whose first round of checks is over."""
        return self.cells.view[Header.CHECKED]

    def kinds(self) -> list[str]:
        """Return the kinds of all events so far."""
        return [event.kind for event in self.events.since(0)]


def published(pools: dict[str, Any]) -> Published:
    """Return what the master publishes for these pools."""
    config = Config.model_validate({"pools": pools, "routes": [{"pool": next(iter(pools))}]})
    names = [
        identity(name, one.address.text) for name, pool in config.pools.items() for one in pool.endpoints
    ]
    slots = assign_slots({}, names, 100)
    return Published(Snapshot.of(config, GENERATION, "lbg.toml"), slots, assign_slots({}, config.pools, 10))


def url(number: int) -> str:
    """Return the URL of the endpoint in slot `number`."""
    return f"http://127.0.0.1:{8000 + number}"


def pool_of(count: int, first: int = 0, **config: Any) -> dict[str, Any]:
    """Return the configuration of a pool with `count` endpoints."""
    return {"endpoints": [url(number) for number in range(first, first + count)], **config}


Make = Callable[..., Control]
