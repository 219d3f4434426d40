"""What lbg tells of its endpoints while they come and go: the admin API and the commands that ask it."""

import http.client
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartLbg
from tests.support import address as addresses
from tests.support.backend import Backend
from tests.support.backend_connection import BackendConnection
from tests.support.client import fetch
from tests.support.handlers import answer
from tests.support.lbg import LbgProcess, one_pool
from tests.support.waiting import eventually

QUICK = {"interval": 0.2, "fast_interval": 0.1, "timeout": 1.0, "rise": 2, "fall": 2}
PATIENCE = 10.0
LBG = [sys.executable, "-P", "-m", "lbg.cli.main"]  # -P: a directory may hold one that is called lbg


def quick_pool(*endpoints: str, **options: object) -> dict[str, object]:
    """Return a configuration whose endpoints are checked five times a second."""
    return one_pool(*endpoints, health=QUICK, **options)


def endpoint_of(process: LbgProcess, url: str) -> dict[str, Any]:
    """Return the document of one endpoint."""
    endpoints = json.loads(fetch(process.admin_address, "/api/v1/endpoints").body)
    (found,) = [endpoint for endpoint in endpoints if endpoint["url"] == url]
    return dict(found)


def wait_for(process: LbgProcess, url: str, state: str) -> dict[str, Any]:
    """Wait until an endpoint is in a state and return its document."""

    def found() -> dict[str, Any] | None:
        endpoint = endpoint_of(process, url)
        return endpoint if endpoint["state"] == state else None

    endpoint = eventually(found, PATIENCE, f"{url} to be {state}")
    assert endpoint is not None
    return endpoint


def listed(process: LbgProcess, query: str = "") -> list[dict[str, Any]]:
    """Return the events as a list."""
    accept = ("Accept", "application/json")
    response = fetch(process.admin_address, f"/api/v1/events{query}", headers=[accept])
    assert response.status == 200
    return list(json.loads(response.body))


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LBG_")}
    return inherited | {"NO_COLOR": "", "TERM": "xterm-256color"} | variables


def run(*arguments: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `lbg` to its end."""
    return subprocess.run(
        [*LBG, *arguments],
        cwd=cwd,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


class Command:
    """A running `lbg` whose output can be looked at; on a terminal both streams are its `out`."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process = process
        self._out = out
        self._err = err

    @property
    def out(self) -> str:
        """What it has printed on stdout."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it has printed on stderr."""
        return self._err.read_text()

    def interrupt(self) -> int:
        """Press Ctrl+C and return the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(PATIENCE)


@contextmanager
def running(*arguments: str, cwd: Path, terminal: bool = False) -> Iterator[Command]:
    """Run `lbg` until the block ends."""
    paths = cwd / "stdout", cwd / "stderr"
    master, slave = pty.openpty()
    with paths[0].open("wb") as out, paths[1].open("wb") as err:
        process = subprocess.Popen(
            [*LBG, *arguments],
            cwd=cwd,
            env=environment(COLUMNS="120"),
            stdin=slave,
            stdout=slave if terminal else out,
            stderr=slave if terminal else err,
            # A shell lets what it runs in the background ignore Ctrl+C, and that is inherited.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
        )
    os.close(slave)
    reader = threading.Thread(target=_copy, args=(master, paths[0]), daemon=True) if terminal else None
    if reader is not None:
        reader.start()
    try:
        yield Command(process, *paths)
    finally:
        process.kill()
        process.wait()
        if reader is not None:
            reader.join(PATIENCE)
        os.close(master)


def _copy(master: int, path: Path) -> None:
    with path.open("ab", buffering=0) as out, suppress(OSError):  # EIO: the other side is closed
        while data := os.read(master, 65536):
            out.write(data)


class EventReader:
    """A reader of `/api/v1/events` as a browser is one."""

    def __init__(
        self, process: LbgProcess, query: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        host, port = process.admin_address
        self._connection = http.client.HTTPConnection(str(host), int(port), timeout=PATIENCE)
        self._connection.request("GET", f"/api/v1/events{query}", headers=dict(headers or {}))
        self.response = self._connection.getresponse()

    def __enter__(self) -> "EventReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self._connection.close()

    def block(self) -> dict[str, str]:
        """Return the fields of the next block; a comment has the name ""."""
        fields = {}
        while (line := self.response.readline()) not in (b"\n", b""):
            name, _, value = line.decode().rstrip("\n").partition(":")
            fields[name] = value.strip()
        return fields

    def event(self) -> dict[str, Any]:
        """Return the document of the next event."""
        while "data" not in (block := self.block()):
            assert block, "the stream ended"
        document: dict[str, Any] = json.loads(block["data"])
        assert (block["id"], block["event"]) == (str(document["id"]), document["kind"])
        return document


def test_an_endpoint_is_shown_as_it_goes_down_and_comes_back(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    up = wait_for(process, backend.url, "up")
    assert (up["usable"], up["last_check"]["passed"]) == (True, True)
    assert up["reason"].startswith("status 200")
    backend.stop()
    down = wait_for(process, backend.url, "down")
    assert (down["usable"], down["reason"], down["last_check"]["passed"]) == (False, "connect refused", False)
    assert down["for_seconds"] < PATIENCE
    assert process.status()["pools"]["main"]["usable"] == 0
    backend.start()
    assert wait_for(process, backend.url, "up")["last_check"]["failed_total"] >= 2


def test_requests_are_counted_by_class(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    for _ in range(5):
        fetch(process.address)
    endpoint = endpoint_of(process, backend.url)
    assert (endpoint["requests"], endpoint["responses"]["2xx"], endpoint["in_flight"]) == (5, 5, 0)
    pool = json.loads(fetch(process.admin_address, "/api/v1/pools/main").body)
    assert pool["requests"] == 5
    assert pool["endpoints"][0]["requests"] == 5


def test_an_ejected_endpoint_is_shown_with_its_reason(lbg: StartLbg, backend: Backend) -> None:
    reserved = addresses.bound_socket(("127.0.0.1", 0))
    with reserved:
        dead = addresses.url(addresses.local_address(reserved))
        process = lbg(one_pool(backend.url, dead, health={"type": "none"}, balance="round_robin"))
        assert endpoint_of(process, dead)["state"] == "unchecked"

        def ejected_at_last() -> dict[str, Any] | None:
            assert fetch(process.address).status == 200
            found = endpoint_of(process, dead)
            return found if found["state"] == "ejected" else None

        ejected = eventually(ejected_at_last, PATIENCE, "an ejection")
    assert (ejected["usable"], ejected["reason"], ejected["ejections"]) == (False, "connect failures", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", ejected["ejected_until"])
    assert [event["kind"] for event in listed(process)] == ["ejected"]


def test_the_control_worker_shows_its_heartbeat(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    control = process.status()["control"]
    assert [control["pid"]] == process.worker_pids("control")
    assert control["heartbeat_age_seconds"] < PATIENCE


def test_it_is_not_ready_before_every_endpoint_was_checked(tmp_path: Path) -> None:
    free = threading.Event()
    slow = {"interval": 30.0, "timeout": 30.0}

    def wait_and_answer(connection: BackendConnection) -> None:
        free.wait(PATIENCE)
        answer()(connection)

    with Backend(wait_and_answer, answer_probes=False) as silent, Backend() as healthy:
        process = LbgProcess(one_pool(silent.url, healthy.url, health=slow), tmp_path)
        # Written here, since `start` waits for what is asked about.
        starting = threading.Thread(target=process.start)
        starting.start()
        try:
            detail = eventually(lambda: _not_ready(process), PATIENCE, "one endpoint to be checked")
            assert detail == "The first round of health checks is not over: 1 of 2 endpoints checked."
            assert fetch(process.admin_address, "/health/live").status == 200
            free.set()
            starting.join(PATIENCE)
            assert fetch(process.admin_address, "/health/ready").status == 200
        finally:
            free.set()
            starting.join(PATIENCE)
            process.close()


def _not_ready(process: LbgProcess) -> str:
    with suppress(OSError):
        response = fetch(process.admin_address, "/health/ready")
        detail = str(json.loads(response.body).get("detail", ""))
        return detail if "1 of 2" in detail else ""
    return ""


def test_it_stays_ready_through_a_reload(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    process.send_signal(signal.SIGHUP)
    eventually(
        lambda: process.status()["config"]["generation"] == 2 and len(process.worker_pids("control")) == 1,
        PATIENCE,
        "the reload to be over",
    )
    assert fetch(process.admin_address, "/health/ready").status == 200
    assert endpoint_of(process, backend.url)["state"] in {"up", "stale"}  # never unknown


def test_flips_are_streamed_as_they_happen(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    wait_for(process, backend.url, "up")
    with EventReader(process) as reader:
        assert reader.response.status == 200
        assert reader.response.headers["Content-Type"] == "text/event-stream"
        assert reader.response.headers["Cache-Control"] == "no-store"
        assert set(reader.block()) == {"retry", "id"}
        backend.stop()
        down = reader.event()
        backend.start()
        up = reader.event()
    assert (down["kind"], down["pool"], down["endpoint"]) == ("down", "main", backend.url)
    assert (down["text"], up["kind"]) == ("connect refused", "up")
    assert 0 < up["after_seconds"] < PATIENCE
    assert [event["id"] for event in listed(process)][-2:] == [down["id"], up["id"]]


def test_a_reader_that_comes_back_misses_nothing(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    with EventReader(process, "?history=1") as reader:
        first = reader.event()
    backend.stop()
    wait_for(process, backend.url, "down")
    with EventReader(process, headers={"Last-Event-ID": str(first["id"])}) as reader:
        assert reader.event()["kind"] == "down"
    with EventReader(process, f"?since={first['id']}") as reader:
        assert reader.event()["kind"] == "down"
    assert [event["kind"] for event in listed(process, f"?since={first['id']}")] == ["down"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL], ids=["reload", "kill -9"])
def test_the_history_outlives_the_control_worker(
    number: signal.Signals, lbg: StartLbg, backend: Backend
) -> None:
    process = lbg(quick_pool(backend.url))
    backend.stop()
    wait_for(process, backend.url, "down")
    before = listed(process)
    (old,) = process.worker_pids("control")
    os.kill(process.pid if number is signal.SIGHUP else old, number)

    def replaced() -> bool:
        with suppress(OSError):
            return old not in process.worker_pids("control") and bool(process.worker_pids("control"))
        return False

    eventually(replaced, PATIENCE, "another control worker")
    backend.start()
    wait_for(process, backend.url, "up")
    after = listed(process)
    assert after[: len(before)] == before
    assert [event["kind"] for event in after[len(before) :]] == ["up"]
    assert after[-1]["id"] > before[-1]["id"]


def test_a_stop_does_not_wait_for_readers(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(quick_pool(backend.url))
    with EventReader(process) as reader:
        reader.block()
        assert process.stop(timeout=PATIENCE) == 0
        assert reader.block() == {}


def test_the_status_command_shows_a_table(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    process = lbg(quick_pool(backend.url))
    wait_for(process, backend.url, "up")
    shown = run("status", "--admin", process.admin_url, cwd=tmp_path)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "\x1b" not in shown.stdout
    assert "main: 1 of 1 usable" in shown.stdout
    assert re.search(rf"^main +{re.escape(backend.url)} +UP .*status 200", shown.stdout, re.M)
    backend.stop()
    wait_for(process, backend.url, "down")
    shown = run("status", "--admin", process.admin_url, cwd=tmp_path)
    assert shown.returncode == 0
    assert re.search(rf"^main +{re.escape(backend.url)} +DOWN .*connect refused", shown.stdout, re.M)


def test_the_status_command_finds_lbg_by_its_configuration(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    process = lbg(quick_pool(backend.url))
    bind = addresses.authority(process.admin_address)
    shown = run("status", "--json", cwd=process.directory, LBG_ADMIN__BIND=bind)
    assert json.loads(shown.stdout)["config"]["source"] == str(process.config_path)
    assert run("status", "--json", cwd=tmp_path, LBG_ADMIN__BIND=bind).returncode == 0


def test_the_status_command_reaches_a_unix_socket_with_its_token(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "admin.sock"
    env = {"LBG_ADMIN__BIND": f"unix:{path}", "LBG_ADMIN__TOKEN": "secret"}
    process = LbgProcess(quick_pool(backend.url), tmp_path / "lbg", env=env)
    process.admin_address = str(path)
    with process:
        assert run("status", cwd=process.directory, **env).returncode == 0
        admin = ["--admin", f"unix:{path}"]
        assert run("status", *admin, "--token", "secret", cwd=tmp_path).returncode == 0
        refused = run("status", *admin, cwd=tmp_path)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"lbg status: unix:{path}: a token is needed; set LBG_ADMIN__TOKEN or --token\n"


def test_the_commands_say_that_nothing_answers(tmp_path: Path) -> None:
    with addresses.bound_socket(("127.0.0.1", 0)) as reserved:
        url = addresses.url(addresses.local_address(reserved))
        for command in ("status", "events"):
            failed = run(command, "--admin", url, cwd=tmp_path)
            assert (failed.returncode, failed.stdout) == (2, "")
            assert failed.stderr == f"lbg {command}: nothing answers at {url}; is lbg running?\n"


def test_watching_on_a_terminal_is_coloured_and_ends_with_ctrl_c(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    process = lbg(quick_pool(backend.url))
    wait_for(process, backend.url, "up")
    with running("status", "--watch", "--admin", process.admin_url, cwd=tmp_path, terminal=True) as command:
        eventually(lambda: "\x1b[1;32mUP" in command.out, PATIENCE, "a green UP")
        backend.stop()
        eventually(lambda: "\x1b[1;31mDOWN" in command.out, PATIENCE, "a red DOWN")
        assert command.interrupt() == 130
        assert "Traceback" not in command.out


def test_the_events_command_prints_flips_and_ends_with_ctrl_c(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    process = lbg(quick_pool(backend.url))
    wait_for(process, backend.url, "up")
    with running("events", "--history", "1", "--admin", process.admin_url, cwd=tmp_path) as command:
        eventually(lambda: "UP" in command.out, PATIENCE, "the history")
        backend.stop()
        eventually(lambda: "DOWN" in command.out, PATIENCE, "the flip")
        assert command.interrupt() == 130
        assert command.err == ""
    up, down = command.out.splitlines()
    assert re.fullmatch(rf"\d\d:\d\d:\d\d  UP +main  {re.escape(backend.url)}  status 200 .*", up)
    assert re.fullmatch(
        rf"\d\d:\d\d:\d\d  DOWN +main  {re.escape(backend.url)}  connect refused \(was up for .*\)", down
    )


def test_the_events_command_goes_on_after_the_control_worker_was_killed(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    process = lbg(quick_pool(backend.url))
    with running("events", "--json", "--history", "9", "--admin", process.admin_url, cwd=tmp_path) as command:
        eventually(lambda: '"up"' in command.out, PATIENCE, "the first event")
        (control,) = process.worker_pids("control")
        os.kill(control, signal.SIGKILL)
        backend.stop()
        eventually(lambda: '"down"' in command.out, PATIENCE, "the flip after it")
        assert command.interrupt() == 130
    assert [json.loads(line)["kind"] for line in command.out.splitlines()] == ["up", "down"]
    assert command.err == "lbg events: the connection is lost; trying again until Ctrl+C\n"
