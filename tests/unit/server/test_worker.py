"""The worker: which listeners it keeps, how it is told to end."""

import resource
import signal
import socket
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.pool import Pool
from gunicorn.config import Config
from gunicorn.glogging import Logger

from lbg.server.roles import Role
from lbg.server.worker import ProxyWorker, admin_connections
from tests.unit.server.services import TickedService


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Give two sockets in place of listeners."""
    ends = list(socket.socketpair())
    yield ends
    for end in ends:
        end.close()


@pytest.fixture
def worker(sockets: list[socket.socket]) -> Iterator[ProxyWorker]:
    cfg = Config()
    made = ProxyWorker(1, 0, sockets, None, 30, cfg, Logger(cfg))
    yield made
    made.tmp.close()


@pytest.mark.parametrize(
    ("role", "kept"),
    [(Role.CONTROL, [False, True]), (Role.PROXY, [True, False]), (Role.COMBINED, [True, True])],
)
def test_a_worker_closes_the_listeners_that_are_not_its_roles(
    worker: ProxyWorker, sockets: list[socket.socket], role: Role, kept: list[bool]
) -> None:
    worker.role, worker.listener_names = role, ["public", "admin"]
    pool: Any = None
    acceptors = worker._acceptors(TickedService(None), pool)
    assert [end.fileno() >= 0 for end in sockets] == kept
    assert len(acceptors) == sum(kept)


def test_without_a_master_of_ours_every_listener_is_public(
    worker: ProxyWorker, sockets: list[socket.socket]
) -> None:
    pool: Any = None
    assert len(worker._acceptors(TickedService(None), pool)) == 2


def test_connections_of_operators_are_apart_from_those_of_clients(
    worker: ProxyWorker, sockets: list[socket.socket]
) -> None:
    worker.listener_names = ["public", "admin"]
    clients = Pool(1)
    public, admin = worker._acceptors(TickedService(None), clients)
    assert public.pool is clients
    assert admin.pool is not clients


@pytest.mark.parametrize(
    ("descriptors", "connections"), [(64, 8), (1024, 128), (21_024, 256), (resource.RLIM_INFINITY, 256)]
)
def test_the_admin_listener_leaves_descriptors_to_the_checks(descriptors: int, connections: int) -> None:
    assert admin_connections(descriptors) == connections


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_an_interrupt_ends_it(worker: ProxyWorker, number: int) -> None:
    worker.handle_quit(number, None)
    assert not worker.alive


def test_it_is_called_by_its_role(worker: ProxyWorker) -> None:
    worker.role = Role.PROXY
    assert str(worker) == f"<proxy worker {worker.pid}>"


class Noting:
    """An application that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self.told.append(name)


def test_a_signal_for_new_log_files_reaches_the_application(worker: ProxyWorker) -> None:
    worker.wsgi = Noting()
    worker.handle_usr1(signal.SIGUSR1, None)
    gevent.sleep(0)
    assert worker.wsgi.told == ["reopen_logs"]


def test_at_its_end_the_application_is_closed_last(worker: ProxyWorker) -> None:
    worker.wsgi = Noting()
    worker.max_requests = 1
    worker.alive = False
    worker.role = Role.CONTROL  # closes both sockets: nothing is accepted
    worker.listener_names = ["public", "public"]
    worker.run()
    assert worker.wsgi.told == ["attach", "stop", "close"]
