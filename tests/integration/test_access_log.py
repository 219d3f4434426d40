"""The access log of a running lbg: whole lines for all that happens, and no request that waits for a disk."""

import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.handlers import half_body, stall_before_head
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.waiting import eventually
from tests.support.websocket_backend import echo_messages
from tests.support.websocket_backend import websocket as serving

UPGRADE = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
]
LONG = "/?" + "x" * 2000  # makes a line of more than a kilobyte


class Logging:
    """lbg with an access log; `file` is where it goes."""

    def __init__(self, start: StartLbg, file: Path) -> None:
        self._start = start
        self.file = file

    def __call__(self, config: dict[str, object], **options: Any) -> LbgProcess:
        """Start it, with one worker unless told otherwise; `env` sets more keys."""
        file = {"LBG_LOG__ACCESS": "true", "LBG_LOG__ACCESS_FILE": str(self.file)}
        env = file | options.pop("env", {})
        return self._start(config, env=env, **{"workers": 1, **options})

    def lines(self) -> list[dict[str, Any]]:
        """Return what was logged so far; every line must be whole."""
        return documents(self.file.read_bytes()) if self.file.exists() else []

    def one(self) -> dict[str, Any]:
        """Wait for a line and return it; there must be no other."""
        eventually(self.lines, what="a line of the access log")
        (document,) = self.lines()
        return document


def documents(content: bytes) -> list[dict[str, Any]]:
    """Return the documents of lines that must be whole."""
    assert content.endswith(b"\n") or not content
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


@pytest.fixture
def logging_lbg(lbg: StartLbg, tmp_path: Path) -> Logging:
    """Give an lbg that is not started yet."""
    return Logging(lbg, tmp_path / "access.log")


def test_a_request_is_told_with_all_that_became_of_it(logging_lbg: Logging, backend: Backend) -> None:
    process = logging_lbg(one_pool(backend.url))
    headers = [("User-Agent", 'a"\\b'), ("Authorization", "Basic hunter2"), ("Cookie", "s=hunter2")]
    response = fetch(process.address, "/a%20b?c=d", method="POST", headers=headers, body=b"12345")
    line = logging_lbg.one()
    assert "hunter2" not in logging_lbg.file.read_text()
    told = {
        name: line[name] for name in ("client_ip", "peer_ip", "method", "path", "query", "proto", "status")
    }
    assert told == {
        "client_ip": "127.0.0.1",
        "peer_ip": "127.0.0.1",
        "method": "POST",
        "path": "/a%20b",
        "query": "c=d",
        "proto": "HTTP/1.1",
        "status": 200,
    }
    assert (line["bytes_in"], line["bytes_out"]) == (5, len(response.body))
    assert (line["pool"], line["reason"], line["user_agent"]) == ("main", None, 'a"\\b')
    (attempt,) = line["attempts"]
    assert attempt["endpoint"] == line["endpoint"] == backend.url.removeprefix("http://")
    assert (attempt["status"], attempt["error"], attempt["reused"]) == (200, None, False)
    assert 0 < attempt["connect_ms"] < attempt["ttfb_ms"] <= attempt["ms"] < line["total_ms"]
    assert line["ttfb_ms"] < line["total_ms"]
    assert line["overhead_ms"] == pytest.approx(line["total_ms"] - attempt["ms"], abs=0.01)


def test_a_head_request_has_no_bytes(logging_lbg: Logging, backend: Backend) -> None:
    process = logging_lbg(one_pool(backend.url))
    fetch(process.address, "/", method="HEAD")
    line = logging_lbg.one()
    assert (line["method"], line["status"], line["bytes_out"]) == ("HEAD", 200, 0)


def test_the_attempts_before_the_answer_are_told(logging_lbg: Logging, backend: Backend) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        refusing = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = one_pool(refusing, backend.url, balance="round_robin", health={"type": "none"})
    process = logging_lbg(config)
    eventually(
        lambda: fetch(process.address, "/") and any(len(one["attempts"]) > 1 for one in logging_lbg.lines())
    )
    line = next(one for one in logging_lbg.lines() if len(one["attempts"]) > 1)
    failed, answered = line["attempts"]
    assert (failed["status"], failed["error"]) == (None, "connect_refused")
    assert (answered["status"], answered["error"]) == (200, None)
    assert line["status"] == 200


@pytest.mark.parametrize(
    ("message", "status", "path"),
    [
        (b"GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400, None),
        (b"GET /a HTTP/1.1\r\n\r\n", 400, "/a"),
        (b"GET /%2e%2e/a HTTP/1.1\r\nHost: a\r\n\r\n", 400, "/%2e%2e/a"),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n", 413, "/a"),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400, None),
        (b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5f\r\n" + b"x" * 95, 413, "/a"),
        (b"GET /a HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 99_999, 431, None),
    ],
)
def test_a_refused_request_is_told_with_the_status_and_the_bytes_that_the_client_got(
    logging_lbg: Logging, backend: Backend, message: bytes, status: int, path: str | None
) -> None:
    process = logging_lbg(one_pool(backend.url), env={"LBG_SERVER__MAX_BODY_BYTES": "50"})
    with RawClient(process.address) as client:
        client.send(message)
        response = client.read_response()
    line = logging_lbg.one()
    assert (response.status, line["status"], line["path"]) == (status, status, path)
    assert line["reason"] in {"bad_request", "body_too_large", "headers_too_large"}
    assert line["bytes_out"] == len(response.body)


def test_a_client_that_leaves_is_told(logging_lbg: Logging, backend: Backend) -> None:
    backend.handler = stall_before_head()
    process = logging_lbg(one_pool(backend.url, health={"type": "none"}))
    with RawClient(process.address) as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: backend.requests)
    line = logging_lbg.one()
    assert (line["status"], line["reason"], line["path"]) == (499, "client_gone", "/a")
    assert line["total_ms"] > 0


def test_a_cut_answer_is_told_with_its_reason(logging_lbg: Logging, backend: Backend) -> None:
    backend.handler = half_body()
    process = logging_lbg(one_pool(backend.url, health={"type": "none"}))
    with RawClient(process.address) as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        assert not client.read_response().complete
    line = logging_lbg.one()
    assert (line["status"], line["reason"]) == (200, "upstream_cut_body")
    assert line["attempts"][0]["error"] == "upstream_cut_body"


def test_a_tunnel_is_told_when_it_ends(logging_lbg: Logging, backend: Backend) -> None:
    backend.handler = serving(echo_messages)
    process = logging_lbg(one_pool(backend.url, health={"type": "none"}))
    head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE)
    with RawClient(process.address) as client:
        client.send(f"GET /chat HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode())
        eventually(lambda: backend.requests)
        assert logging_lbg.lines() == []
    line = logging_lbg.one()
    assert (line["status"], line["reason"], line["path"]) == (101, None, "/chat")


def test_routes_and_statuses_decide_what_is_told(logging_lbg: Logging, backend: Backend) -> None:
    config: dict[str, object] = {
        "pools": {"main": {"endpoints": [backend.url]}},
        "routes": [
            {"pool": "main"},
            {"path": "/all", "pool": "main", "access_log": True},
            {"path": "/none", "access_log": False, "respond": {"status": 500}},
            {"path": "/failed", "respond": {"status": 500}},
        ],
    }
    process = logging_lbg(config, env={"LBG_LOG__ACCESS_SAMPLE": "0"})
    for path in ("/", "/all", "/none", "/failed", "/all/end"):
        fetch(process.address, path)
    eventually(lambda: len(logging_lbg.lines()) >= 3)
    assert [line["path"] for line in logging_lbg.lines()] == ["/all", "/failed", "/all/end"]


def test_admin_requests_are_not_told_and_there_can_be_no_log_at_all(
    logging_lbg: Logging, backend: Backend
) -> None:
    process = logging_lbg(one_pool(backend.url), env={"LBG_LOG__ACCESS": "false"})
    fetch(process.address, "/")
    process.status()
    assert process.stop() == 0
    assert not logging_lbg.file.exists()


def test_lines_go_to_stdout_unless_there_is_a_file(lbg: StartLbg, backend: Backend) -> None:
    env = {"LBG_LOG__ACCESS": "true", "LBG_LOG__FORMAT": "console"}
    process = lbg(one_pool(backend.url), env=env)
    fetch(process.address, "/a\x1b[2J".replace("\x1b", "%1b"))
    eventually(
        lambda: re.search(r"^\S+ 200 GET /a%1b\[2J 127\.0\.0\.1:\d+ \S+ ms \w+$", process.log(), re.MULTILINE)
    )


def test_another_servers_worker_has_an_access_log_too(logging_lbg: Logging, backend: Backend) -> None:
    process = logging_lbg(one_pool(backend.url), workers=2, worker_class="gevent")
    body = fetch(process.address, "/a").body
    line = logging_lbg.one()
    assert (line["path"], line["status"], line["bytes_out"]) == ("/a", 200, len(body))


def test_four_workers_write_whole_lines_and_a_stop_loses_none(logging_lbg: Logging, backend: Backend) -> None:
    process = logging_lbg(one_pool(backend.url), workers=4)
    with Load(process.address, concurrency=8, total=2000, target=LONG, keep_alive=False) as load:
        load.finish(timeout=40.0)
    assert process.stop() == 0
    assert not load.failures
    lines = logging_lbg.lines()
    assert len(lines) == 2000
    assert len({line["request_id"] for line in lines}) == 2000
    assert len({line["request_id"][:12] for line in lines}) == 4  # workers


def test_a_rotation_under_load_loses_and_doubles_no_line(logging_lbg: Logging, backend: Backend) -> None:
    process = logging_lbg(one_pool(backend.url), workers=2)
    file = logging_lbg.file
    moved = [file.with_suffix(f".{number}") for number in range(3)]
    with Load(process.address, concurrency=4) as load:
        for name in moved:
            load.wait_for(200)
            eventually(file.exists)
            file.rename(name)
            process.send_signal(signal.SIGUSR1)
        load.wait_for(200)
        eventually(file.exists)
    assert process.stop() == 0
    assert not load.failures
    lines = [line for name in (*moved, file) for line in documents(name.read_bytes())]
    assert all(name.stat().st_size for name in (*moved, file))
    assert len(lines) == load.done
    assert len({line["request_id"] for line in lines}) == load.done


@pytest.fixture
def stopped_reader(logging_lbg: Logging, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Give a process that reads a pipe in place of the file, and where it writes what it read."""
    os.mkfifo(logging_lbg.file)
    copy = tmp_path / "copy"
    with copy.open("wb") as output:
        reader = subprocess.Popen(["cat", str(logging_lbg.file)], stdout=output)
    try:
        yield reader, copy
    finally:
        reader.kill()
        reader.wait()


def test_a_reader_that_stops_holds_up_no_request(
    logging_lbg: Logging, backend: Backend, stopped_reader: tuple[subprocess.Popen[bytes], Path]
) -> None:
    reader, copy = stopped_reader
    process = logging_lbg(one_pool(backend.url))
    fetch(process.address, "/first")
    eventually(lambda: b"/first" in copy.read_bytes())
    reader.send_signal(signal.SIGSTOP)
    with Load(process.address, concurrency=8, target=LONG) as load:
        eventually(lambda: "of the access log" in process.log(), timeout=45.0, what="lost lines")
    assert not load.failures
    assert load.slowest < 3.0
    assert f"{logging_lbg.file} takes them too slowly" in process.log()
    reader.send_signal(signal.SIGCONT)

    def last() -> bool:
        fetch(process.address, "/last")
        return b"/last" in copy.read_bytes()

    eventually(last, timeout=20.0)
    assert process.stop() == 0
    assert reader.wait(10.0) == 0
    assert 100 < len(documents(copy.read_bytes())) < load.done


def test_a_reader_that_stops_does_not_hold_up_a_stop(
    logging_lbg: Logging, backend: Backend, stopped_reader: tuple[subprocess.Popen[bytes], Path]
) -> None:
    reader, copy = stopped_reader
    process = logging_lbg(one_pool(backend.url))
    fetch(process.address, "/first")
    eventually(lambda: b"/first" in copy.read_bytes())
    reader.send_signal(signal.SIGSTOP)
    with Load(process.address, concurrency=4, total=500, target=LONG) as load:
        load.finish()
    assert not load.failures
    assert process.stop(timeout=10.0) == 0


class OnSmallDisk(LbgProcess):
    """Has its access log on a disk of 100 kB, of which nothing is seen outside."""

    def command(self) -> list[str]:
        """Return the command line."""
        mount = f'mount -t tmpfs -o size=100k tmpfs "{self.directory / "logs"}"'
        return ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", *super().command()]

    @property
    def file(self) -> Path:
        """The access log as its master sees it."""
        return Path(f"/proc/{self.pid}/root", *self.directory.parts[1:], "logs", "access.log")


@pytest.mark.needs("unshare")
def test_a_full_disk_loses_lines_and_no_request_and_keeps_whole_ones(
    tmp_path: Path, backend: Backend
) -> None:
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.xfail("this machine lets us mount nothing, and no package changes that")
    directory = tmp_path / "lbg"
    (directory / "logs").mkdir(parents=True)
    env = {"LBG_LOG__ACCESS": "true", "LBG_LOG__ACCESS_FILE": str(directory / "logs" / "access.log")}
    with OnSmallDisk(one_pool(backend.url), directory, env=env) as process:
        with Load(process.address, concurrency=4, total=1000, target=LONG) as load:
            load.finish(timeout=30.0)
        assert not load.failures
        lost = eventually(lambda: re.search(r"lost \d+ lines? of the access log: (.*?)\"", process.log()))
        assert lost
        assert re.search("No space left on device|is the disk full", lost[1])
        full = eventually(lambda: documents(process.file.read_bytes()))  # no writer is in the middle of it
        assert 0 < len(full) < 1000
        process.file.write_bytes(b"")  # as `truncate` does
        fetch(process.address, "/again")
        eventually(lambda: b'"/again"' in process.file.read_bytes())
        assert all(documents(process.file.read_bytes()))


def _without_stdout(process: LbgProcess) -> list[str]:
    return ["sh", "-c", 'exec "$@" >&-', "sh", *LbgProcess.command(process)]


def _with_broken_stdout(process: LbgProcess) -> list[str]:
    return ["bash", "-c", 'exec "$@" > >(:)', "bash", *LbgProcess.command(process)]


@pytest.mark.parametrize(
    ("command", "said"), [(_without_stdout, "there is no access log"), (_with_broken_stdout, "Broken pipe")]
)
def test_a_stdout_that_is_closed_costs_lines_only(
    tmp_path: Path, backend: Backend, command: Callable[[LbgProcess], list[str]], said: str
) -> None:
    process = LbgProcess(one_pool(backend.url), tmp_path / "lbg", env={"LBG_LOG__ACCESS": "true"})
    process.command = lambda: command(process)  # type: ignore[method-assign]
    with process:
        with Load(process.address, concurrency=2, total=100) as load:
            load.finish()
        assert not load.failures
        eventually(lambda: said in process.log())
        with suppress(ProcessLookupError):
            process.stop()


def test_a_client_in_the_middle_of_an_answer_at_a_stop_is_told(
    logging_lbg: Logging, backend: Backend
) -> None:
    backend.handler = stall_before_head()
    process = logging_lbg(
        one_pool(backend.url, health={"type": "none"}), env={"LBG_SERVER__SHUTDOWN_GRACE": "0.2"}
    )
    with RawClient(process.address) as client:
        client.send(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: backend.requests)
        process.stop()
    assert logging_lbg.one()["reason"] == "shutdown"


def test_an_answer_of_our_own_is_told_with_its_reason(logging_lbg: Logging, backend: Backend) -> None:
    config = one_pool(backend.url) | {"routes": [{"pool": "main", "host": "a.example"}]}
    response = fetch(logging_lbg(config).address, "/")
    line = logging_lbg.one()
    assert (response.status, line["status"], line["reason"]) == (404, 404, "no_route")
    assert (line["route"], line["endpoint"], line["attempts"], line["ttfb_ms"]) == (None, None, [], None)
    assert line["bytes_out"] == len(response.body)


def test_what_filters_change_is_told_as_the_client_sent_it(logging_lbg: Logging, backend: Backend) -> None:
    fields = {"User-Agent": "ours", "Referer": "http://ours/", "Host": "ours.example"}
    filters = [
        {"use": "query", "set": {"apikey": "hunter2"}, "remove": ["x"]},
        {"use": "headers", "request": {"set": fields}},
    ]
    config = one_pool(backend.url) | {"routes": [{"pool": "main", "filters": filters}]}
    headers = [("User-Agent", "curl"), ("Referer", "http://a/"), ("Host", "a.example")]
    fetch(logging_lbg(config).address, "/a?x=1", headers=headers)
    line = logging_lbg.one()
    assert b"apikey=hunter2" in backend.requests[0].target
    assert (line["path"], line["query"], line["host"]) == ("/a", "x=1", "a.example")
    assert (line["user_agent"], line["referer"]) == ("curl", "http://a/")
