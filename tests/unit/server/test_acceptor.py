"""The listener of operators: strangers who keep connections open do not keep it from others."""

import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event

from lbg.server.acceptor import AdminAcceptor
from tests.unit.server.services import TickedService

LIMIT = 3
TURNS = 5
"""Of the loop, until a connection has begun and the one that made room for it has ended."""


class Waiting:
    """A connection that lasts until it is aborted."""

    def __init__(self) -> None:
        self.stream: Any = self
        self._ended = Event()

    @property
    def aborted(self) -> bool:
        """Whether it was."""
        return self._ended.is_set()

    def abort(self) -> None:
        """End it."""
        self._ended.set()

    def serve(self) -> None:
        """Last."""
        self._ended.wait()


@pytest.fixture
def acceptor() -> Iterator[AdminAcceptor]:
    ends = socket.socketpair()
    yield AdminAcceptor(ends[0], TickedService(None), LIMIT, name="admin", multiprocess=False)
    for end in ends:
        end.close()


def come(acceptor: AdminAcceptor, count: int) -> list[Any]:
    """Let so many connections come, one after the other, as far as there is room."""
    found: list[Any] = [Waiting() for _ in range(count)]
    for one in found:
        assert not acceptor.full()
        acceptor.pool.spawn(acceptor._attend, one)
        for _ in range(TURNS):
            gevent.sleep(0)
    return found


def test_the_oldest_that_waits_makes_room_for_a_new_one(acceptor: AdminAcceptor) -> None:
    found = come(acceptor, LIMIT + 2)
    assert [one.aborted for one in found] == [True, True, True, False, False]
    acceptor.pool.kill()


def test_one_that_serves_a_request_stays(acceptor: AdminAcceptor) -> None:
    (busy,) = come(acceptor, 1)
    acceptor._service.active.add(busy)
    found = come(acceptor, LIMIT)
    assert [one.aborted for one in (busy, *found)] == [False, True, True, False]
    acceptor.pool.kill()


def test_nobody_is_closed_while_there_is_room(acceptor: AdminAcceptor) -> None:
    assert not any(one.aborted for one in come(acceptor, LIMIT - 1))
    acceptor.pool.kill()
