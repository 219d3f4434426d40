"""What one measurement of one running proxy costs it, in CPU time or in memory."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.client import Answer, Client, WrongAnswerError, check
from benchmarks.idle import COUNT, idle_connections
from benchmarks.load import CONNECTIONS, run_wrk
from benchmarks.process_tree import cpu_seconds, memory_bytes

TRANSFER_BUFFER = 1 << 20
SETTLE = 0.5


@dataclass(frozen=True, slots=True)
class Target:
    """A running proxy, what to ask it for, and for how long; load is made on the core `load_core`."""

    pid: int
    port: int
    path: str
    body_size: int
    upload: Path
    load_core: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The cost of one unit of work and, where there is one, the rate it was done at."""

    cost: float
    rate: float | None


def keepalive_requests(target: Target) -> Sample:
    """CPU µs per request over connections that stay open; requests per second."""
    return _requests(target, new_connections=False)


def connecting_requests(target: Target) -> Sample:
    """CPU µs per request, each over a new client connection; requests per second."""
    return _requests(target, new_connections=True)


def downloads(target: Target) -> Sample:
    """CPU ms per response; responses per second, one after the other on one connection."""

    def download(client: Client) -> None:
        check(client.get(target.path), target.body_size)

    return _transfers(target, download)


def uploads(target: Target) -> Sample:
    """CPU ms per request body, which the sink behind the proxy must have received whole."""
    size = target.upload.stat().st_size

    def upload(client: Client) -> None:
        answer = client.upload(target.path, target.upload)
        if answer.status != 200 or answer.text != b"%d\n" % size:
            raise WrongAnswerError(
                f"status {answer.status}, and the backend got {answer.text!r} of {size} bytes"
            )

    return _transfers(target, upload)


def idle_memory(target: Target) -> Sample:
    """KB (of 1,024 bytes) of memory growth per idle client connection."""
    with idle_connections(target.port, target.path, target.body_size, count=CONNECTIONS):
        pass  # what the first requests load and allocate once is no cost of a connection
    time.sleep(SETTLE)
    before = memory_bytes(target.pid)
    with idle_connections(target.port, target.path, target.body_size):
        time.sleep(SETTLE)
        after = memory_bytes(target.pid)
    return Sample((after - before) / COUNT / 1024, None)


def _requests(target: Target, new_connections: bool) -> Sample:
    expected = _expected(target, new_connections)
    url = f"http://127.0.0.1:{target.port}{target.path}"
    before = cpu_seconds(target.pid)
    load = run_wrk(url, target.seconds, target.load_core, expected, new_connections)
    used = cpu_seconds(target.pid) - before
    return Sample(used / load.requests * 1e6, load.requests / load.seconds)


def _expected(target: Target, close: bool) -> Answer:
    """One answer, read byte by byte, that all answers of the load must be like."""
    with Client(target.port) as client:
        answer = client.get(target.path, close)
    check(answer, target.body_size)
    return answer


def _transfers(target: Target, transfer: Callable[[Client], None]) -> Sample:
    count = 0
    with Client(target.port, TRANSFER_BUFFER) as client:
        before, began = cpu_seconds(target.pid), time.monotonic()
        while (elapsed := time.monotonic() - began) < target.seconds:
            transfer(client)
            count += 1
        used = cpu_seconds(target.pid) - before
    return Sample(used / count * 1e3, count / elapsed)
