"""Draining, maintenance and weights at run time: what an operator says, and what clients see of it."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.client import RawClient, RawResponse, fetch
from tests.support.handlers import answer, slow
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.processes import booted, new_master, pids
from tests.support.waiting import eventually

UNCHECKED = {"type": "none"}
LBG = [sys.executable, "-P", "-m", "lbg.cli.main"]


def name_of(backend: Backend) -> str:
    """Return what an endpoint is called."""
    return (
        f"unix:{backend.address}"
        if isinstance(backend.address, str)
        else addresses.authority(backend.address)
    )


def change(process: LbgProcess, backend: Backend, **what: object) -> RawResponse:
    """Ask the admin API for a `state` or a `weight`."""
    (key,) = what
    path = f"/api/v1/pools/main/endpoints/{quote(name_of(backend), safe='')}/{key}"
    kind = ("Content-Type", "application/json")
    return fetch(process.admin_address, path, method="POST", headers=[kind], body=json.dumps(what).encode())


def changed(process: LbgProcess, backend: Backend, **what: object) -> dict[str, object]:
    """Have it changed, and return the document of the endpoint."""
    response = change(process, backend, **what)
    assert response.status == 200, response
    document: dict[str, object] = json.loads(response.body)
    return document


def command(process: LbgProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `lbg` against the admin listener."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
    return subprocess.run(
        [*LBG, *arguments, "--admin", process.admin_url],
        cwd=process.directory,
        env=inherited | {"NO_COLOR": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_drained_endpoint_can_be_stopped_under_load_without_a_failed_request(lbg: StartLbg) -> None:
    with Backend(slow(0.05, answer(body=b"a"))) as a, Backend(slow(0.05, answer(body=b"b"))) as b:
        process = booted(lbg(one_pool(a.url, b.url), workers=4))
        with Load(process.address, concurrency=8, rate=150) as load:
            eventually(lambda: len(load.bodies) == 2, what="both to be used")
            assert command(process, "drain", f"main/{name_of(b)}").returncode == 0
            eventually(lambda: process.endpoint(b.url)["in_flight"] == 0, what="nothing in flight")
            served = len(b.requests)
            load.wait_for(60)
            assert len(b.requests) == served
            assert process.endpoint(b.url)["state"] == "draining"
            b.stop()
            load.wait_for(60)
            b.start()
            assert command(process, "ready", f"main/{name_of(b)}").returncode == 0
            eventually(lambda: len(b.requests) > served + 20, timeout=15.0, what="the endpoint in use again")
    assert not load.failures


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_a_request_in_flight_is_answered_where_it_is(lbg: StartLbg, state: str) -> None:
    with Backend(slow(1.0, answer(body=b"done"))) as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url, balance="round_robin", health=UNCHECKED), workers=1)
        with RawClient(process.address) as client, RawClient(process.address) as other:
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            other.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            eventually(lambda: process.endpoint(a.url)["in_flight"] == 1, what="a request in flight")
            assert changed(process, a, state=state)["in_flight"] == 1
            assert {client.read_response().body, other.read_response().body} == {b"done", b"ok"}
        eventually(lambda: process.endpoint(a.url)["in_flight"] == 0)
        assert [fetch(process.address).body for _ in range(4)] == [b"ok"] * 4


def test_a_weight_shifts_the_shares_of_all_workers_at_once(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, b.url, balance="round_robin"), workers=4))
        assert b"b" in {fetch(process.address).body for _ in range(20)}
        for weight, least, most in ((99, 0.9, 1.0), (1, 0.35, 0.65)):
            document = changed(process, a, weight=weight)
            assert (document["weight"], document["configured_weight"]) == (weight, 1)
            before = len(a.requests), len(b.requests)
            with Load(process.address, concurrency=8, total=400, keep_alive=False) as load:
                load.finish()
            assert not load.failures
            there, elsewhere = len(a.requests) - before[0], len(b.requests) - before[1]
            assert least <= there / (there + elsewhere) <= most


def test_maintenance_holds_while_a_pool_fails_open(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        quick = {"interval": 0.2, "fast_interval": 0.1, "fall": 1}
        process = booted(lbg(one_pool(a.url, b.url, when_all_down="fail_open", health=quick)))
        for backend in (a, b):
            backend.probe_status = 503
            process.wait_for(backend.url, "down")
        assert {fetch(process.address).body for _ in range(20)} == {b"a", b"b"}
        changed(process, a, state="maint")
        assert [fetch(process.address).body for _ in range(20)] == [b"b"] * 20
        probes = len(a.probes)
        eventually(lambda: len(a.probes) > probes + 2, what="health checks to go on")
        changed(process, b, state="maint")
        assert b"all_draining" in fetch(process.address).body


def test_backups_join_while_the_others_are_in_maintenance(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend(answer(body=b"b")) as b:
        process = booted(lbg(one_pool(a.url, {"url": b.url, "backup": True})))
        assert {fetch(process.address).body for _ in range(6)} == {b"a"}
        changed(process, a, state="maint")
        assert {fetch(process.address).body for _ in range(6)} == {b"b"}


def test_when_all_drain_clients_are_told_so_and_the_log_says_of_each_since_when(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url))
        changed(process, a, state="drain")
        changed(process, b, state="maint")
        response = fetch(process.address)
        each = (
            rf"{re.escape(name_of(a))} draining since [0-9:]+; {re.escape(name_of(b))} in maintenance since"
        )
        said = re.compile(rf"all 2 endpoints of pool main are draining or in maintenance: {each}")
        eventually(lambda: said.search(process.log()), what="the log to say why")
        changed(process, a, state="ready")
        assert fetch(process.address).body == b"ok"
    assert response.status == 503
    assert 'details="all_draining"' in (response.get("proxy-status") or "")
    assert b"all_draining" in response.body
    assert [event["kind"] for event in process_events(process)] == ["draining", "maint", "ready"]


def process_events(process: LbgProcess) -> list[dict[str, object]]:
    """Return what operators did."""
    return process.events("draining", "maint", "ready", "weight")


def test_it_survives_the_death_of_any_worker_a_reload_and_an_upgrade(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend() as b, Backend(answer(body=b"c")) as c:
        process = booted(lbg(one_pool(a.url, b.url, c.url, health={"interval": 0.5})))
        changed(process, b, state="maint")
        changed(process, c, weight=50)
        since = process.endpoint(b.url)["since"]

        def holds() -> bool:
            endpoint, other = process.endpoint(b.url), process.endpoint(c.url)
            assert (endpoint["state"], endpoint["since"]) == ("maint", since)
            assert (other["weight"], other["configured_weight"]) == (50, 1)
            assert b"ok" not in {fetch(process.address).body for _ in range(12)}
            return True

        for role, count in (("control", 1), ("proxy", process.workers)):
            old = pids(process, role, count)
            for pid in old:
                psutil.Process(pid).kill()
            eventually(lambda: not set(pids(process, role, count)) & set(old), timeout=15.0)  # noqa: B023
            eventually(holds, timeout=10.0)
        generation = process.status()["config"]["generation"]
        process.send_signal(signal.SIGHUP)
        eventually(lambda: process.status()["config"]["generation"] > generation, timeout=15.0)
        eventually(holds, timeout=10.0)
        assert eventually(lambda: change(process, b, state="ready").status == 200, timeout=10.0)
        assert changed(process, b, state="maint")["admin"] == "maint"
        since = process.endpoint(b.url)["since"]
        process.send_signal(signal.SIGUSR2)
        upgraded = new_master(process)
        eventually(holds, timeout=10.0)
        process.stop(signal.SIGQUIT)
        eventually(holds, timeout=15.0)
        upgraded.terminate()


def test_during_an_upgrade_the_control_worker_that_is_not_in_charge_says_to_try_again(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = booted(lbg(one_pool(a.url, b.url)))
        process.send_signal(signal.SIGUSR2)
        upgraded = new_master(process)
        seen: dict[int, RawResponse] = {}

        def both_answered() -> bool:
            response = change(process, a, weight=7)
            seen[response.status] = response
            return seen.keys() == {200, 503}

        eventually(both_answered, timeout=20.0, what="an answer of each control worker")
        assert seen[503].get("retry-after") == "1"
        assert b"please try again" in seen[503].body
        assert process.endpoint(a.url)["weight"] == 7
        upgraded.terminate()
        upgraded.wait(10.0)


def test_what_a_foreign_page_or_a_stranger_sends_changes_nothing(lbg: StartLbg) -> None:
    with Backend() as a:
        process = lbg(one_pool(a.url), env={"LBG_ADMIN__TOKEN": "secret"})
        path = f"/api/v1/pools/main/endpoints/{name_of(a)}/state"
        token, kind = ("Authorization", "Bearer secret"), ("Content-Type", "application/json")
        body = b'{"state": "maint"}'
        statuses = [
            fetch(process.admin_address, path, method="POST", headers=headers, body=body).status
            for headers in ([kind], [token], [token, ("Content-Type", "text/plain")])
        ]
        assert statuses == [401, 415, 415]
        assert fetch(process.admin_address, path, headers=[token]).status == 405
        assert fetch(process.address).body == b"ok"
        assert (
            fetch(process.admin_address, path, method="POST", headers=[token, kind], body=body).status == 200
        )
        assert fetch(process.address).status == 503


def test_a_unix_socket_is_named_as_it_is_shown(lbg: StartLbg, tmp_path: Path) -> None:
    with Backend(address=str(tmp_path / "a.sock")) as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url))
        assert changed(process, a, state="drain")["url"] == a.url
        done = command(process, "maint", f"main/{a.url}")
        assert (done.returncode, done.stdout) == (
            0,
            f"main/unix:{a.address} is in maintenance: 0 requests in flight\n",
        )


def test_the_commands_say_what_they_did_and_the_others_show_it(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url))
        for arguments, said in (
            (("drain", a.url), f"main/{name_of(a)} is draining: 0 requests in flight\n"),
            (("weight", f"main/{name_of(b)}", "5"), f"main/{name_of(b)} has weight 5, configured is 1\n"),
        ):
            done = command(process, *arguments)
            assert (done.returncode, done.stdout, done.stderr) == (0, said, "")
        shown = command(process, "status").stdout
        assert re.search(rf"{a.url} +DRAINING", shown)
        assert f"{b.url} (weight 5)" in shown
        assert "main: 1 of 2 usable" in shown
        done = command(process, "ready", f"main/{name_of(a)}")
        assert re.fullmatch(rf"main/{name_of(a)} is ready: UP, status 200 in \d+ ms\n", done.stdout)
        done = command(process, "maint", "main/127.0.0.1:1")
        assert (done.returncode, done.stdout) == (2, "")
        assert f"There is: {name_of(a)}, {name_of(b)}." in done.stderr
        assert [event["text"] for event in process_events(process)] == [
            "no new requests, 0 in flight",
            "5, was 1",
            "draining is over",
        ]


def test_changes_made_at_the_same_time_are_all_made(lbg: StartLbg) -> None:
    with Backend() as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url))
        statuses: list[int] = []

        def change_often(weight: int) -> None:
            for _ in range(10):
                statuses.append(change(process, a, weight=weight).status)
                statuses.append(change(process, b, state="maint" if weight % 2 else "ready").status)

        threads = [threading.Thread(target=change_often, args=(weight,)) for weight in range(2, 6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses == [200] * 80
        changed(process, b, state="ready")
        assert process.endpoint(a.url)["weight"] in range(2, 6)
        assert len({fetch(process.address).status for _ in range(8)} - {200}) == 0
