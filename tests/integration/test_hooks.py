"""Python of the user that fails, is slow or blocks harms no request but its own."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import fetch
from tests.support.lbg import LbgProcess
from tests.support.waiting import eventually

MODULE = """
import time
from gevent import sleep


def fail(environ):
    raise RuntimeError("no key today")


def order_fails(endpoints):
    class Fails:
        def order(self, key, now):
            raise RuntimeError("no order today")
    return Fails()


class Filter:
    def __init__(self, app, mood="good"):
        self.app = app

    def __call__(self, environ, start_response):
        path = environ["PATH_INFO"]
        if path == "/raise":
            raise RuntimeError("out of order")
        if path == "/loop":
            while True:
                pass
        if path == "/wait":
            sleep(0.5)
        return self.app(environ, start_response)
"""

Start = Callable[..., LbgProcess]


@pytest.fixture
def hooked(lbg: StartLbg, tmp_path: Path) -> Start:
    """Return what starts one worker with the module above, on these routes and pool options."""

    def start(backend: Backend, route: dict[str, object], **pool: object) -> LbgProcess:
        modules = tmp_path / "modules"
        modules.mkdir()
        (modules / "moody.py").write_text(MODULE)
        config = {
            "pools": {"main": {"endpoints": [backend.url], **pool}},
            "routes": [{"pool": "main", **route}, {"path": "/plain", "pool": "main"}],
        }
        return lbg(config, workers=1, env={"PYTHONPATH": str(modules)})

    return start


FILTERED = {"filters": [{"use": "moody:Filter"}]}


def test_a_filter_that_raises_is_a_500_and_named_in_the_log(hooked: Start) -> None:
    with Backend() as backend:
        running = hooked(backend, FILTERED)
        response = fetch(running.address, "/raise")
        assert (response.status, response.get("Proxy-Status")) == (
            500,
            'lbg; error=proxy_internal_error; details="filter_error"',
        )
        assert b"out of order" not in response.body
        assert fetch(running.address, "/x").status == 200
    assert "out of order" in running.log()
    assert "moody.py:" in running.log()


def test_a_filter_that_loops_is_interrupted_and_the_worker_goes_on(hooked: Start) -> None:
    with Backend() as backend:
        running = hooked(backend, FILTERED)
        workers = running.worker_pids("proxy")
        began = time.monotonic()
        assert fetch(running.address, "/loop").status == 500
        assert time.monotonic() - began < 9
        assert fetch(running.address, "/plain").status == 200
        assert running.worker_pids("proxy") == workers
    assert "moody.py:" in running.log()


def test_a_filter_that_waits_keeps_nobody_else_waiting_and_is_called_slow(hooked: Start) -> None:
    with Backend() as backend:
        running = hooked(backend, FILTERED)
        assert fetch(running.address, "/wait").status == 200
        eventually(lambda: "took 0.5" in running.log(), 5, "the log to tell of it")


def test_a_policy_that_raises_leaves_the_choice_to_power_of_two(hooked: Start) -> None:
    with Backend() as backend:
        running = hooked(backend, {}, balance="moody:order_fails")
        assert [fetch(running.address).status for _ in range(5)] == [200] * 5
    assert running.log().count("no order today") == 1


def test_a_key_that_raises_counts_the_request_by_its_client(hooked: Start) -> None:
    with Backend() as backend:
        limit = {"use": "rate_limit", "rate": "1/h", "burst": 1, "key": "moody:fail"}
        running = hooked(backend, {"filters": [limit]})
        assert [fetch(running.address).status for _ in range(3)] == [200, 200, 429]
    assert "no key today" in running.log()


def test_a_reload_with_an_option_that_the_filter_does_not_take_changes_nothing(hooked: Start) -> None:
    with Backend() as backend:
        running = hooked(backend, FILTERED)
        wrong = {"filters": [{"use": "moody:Filter", "mood": "bad", "tag": "x"}]}
        running.write_config(
            {
                "pools": {"main": {"endpoints": [backend.url]}},
                "routes": [{"pool": "main", **wrong}],
            }
        )
        running.send_signal(signal.SIGHUP)
        sentence = "routes[0].filters[0].tag: moody:Filter takes no such argument; it takes app, mood"
        eventually(lambda: sentence in running.log(), 10, "the log to tell of it")
        assert fetch(running.address).status == 200
