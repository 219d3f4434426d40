"""A backend process does what it is told and leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.support.backend_process import BackendProcess, Behaviour
from tests.support.client import RawClient, fetch
from tests.support.waiting import eventually

PROBE = [("User-Agent", "lbg-health/0.1")]


def test_it_answers_with_its_name_and_ends_with_its_block() -> None:
    with BackendProcess("a") as backend:
        with RawClient(backend.address) as client:
            assert [client.request(method="POST", body=b"x").body for _ in range(2)] == [b"a", b"a"]
        pid = backend._running().pid
    assert not psutil.pid_exists(pid)


def test_it_behaves_as_told_towards_requests_and_probes() -> None:
    with BackendProcess("a") as backend:
        backend.behave(Behaviour(status=500, probe_status=204))
        eventually(lambda: fetch(backend.address).status == 500)
        assert fetch(backend.address, headers=PROBE).status == 204
        backend.behave(Behaviour())
        eventually(lambda: fetch(backend.address).status == 200)


def test_a_killed_one_refuses_and_comes_back_on_the_same_address() -> None:
    with BackendProcess("a") as backend:
        backend.kill()
        with pytest.raises(ConnectionRefusedError):
            fetch(backend.address)
        backend.start()
        assert fetch(backend.address).body == b"a"


def test_a_frozen_one_accepts_and_answers_when_it_goes_on() -> None:
    with BackendProcess("a") as backend, ThreadPoolExecutor(1) as pool:
        backend.freeze()
        with RawClient(backend.address, timeout=0.2) as client, pytest.raises(TimeoutError):
            client.request()
        waiting = pool.submit(fetch, backend.address)
        backend.thaw()
        assert waiting.result(5.0).body == b"a"
