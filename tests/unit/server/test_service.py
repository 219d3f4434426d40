"""What the connections of a worker share."""

import re
from typing import Any

import pytest

from lbg.server import service as module
from tests.unit.net.scripted_stream import ScriptedStream
from tests.unit.server.services import TickedService


class Connection:
    """A client connection as its service sees it."""

    stream: Any

    def __init__(self, *, idle: bool = False, fresh: bool = False, waiting: bytes = b"") -> None:
        self.idle = idle
        self.fresh = fresh
        self.stream = ScriptedStream(*[waiting] if waiting else [])
        self.watched = 0

    def watch(self) -> None:
        """Count the calls."""
        self.watched += 1


def test_the_date_is_made_at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    service = TickedService(None)
    monkeypatch.setattr(module, "time", lambda: 784111777.9)
    service.ticks.tick()
    assert service.date == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"


def test_there_is_a_date_before_the_first_tick() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "DEADLINES", TickedService(None).ticks)
        date = module.Service(None, TickedService(None).settings).date
    assert re.fullmatch(r"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", date)


def test_a_request_that_outlives_a_tick_is_watched() -> None:
    service, short, long = TickedService(None), Connection(), Connection()
    service.active |= {short, long}
    service.ticks.tick()
    service.active.discard(short)
    service.ticks.tick()
    assert (short.watched, long.watched) == (0, 1)


@pytest.mark.parametrize(
    ("connection", "closed"),
    [
        (Connection(idle=True), True),
        (Connection(idle=True, waiting=b"G"), False),
        (Connection(idle=False), False),
        (Connection(idle=True, fresh=True), False),
        (Connection(idle=False, fresh=True), False),
    ],
    ids=["idle", "next request came", "busy", "just connected", "first request"],
)
def test_stopping_closes_only_connections_nobody_waits_on(connection: Connection, closed: bool) -> None:
    service = TickedService(None)
    service.connections.add(connection)
    service.stop()
    assert service.stopping
    assert connection.stream.closed is closed


def test_a_client_that_just_connected_has_a_moment_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "monotonic", lambda: 100.0)
    service, patient, pressed = (
        TickedService(None),
        Connection(idle=True, fresh=True),
        Connection(idle=True, fresh=True),
    )
    pressed.stream.deadline = 100.2
    service.connections |= {patient, pressed}
    service.stop()
    assert (patient.stream.deadline, pressed.stream.deadline) == (101.0, 100.2)
