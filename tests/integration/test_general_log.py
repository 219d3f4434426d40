"""The general log of a running lbg: who reads it may stop, and no request waits."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import BinaryIO

import pytest

from tests.support.backend import Backend
from tests.support.client import fetch
from tests.support.lbg import LbgProcess, one_pool
from tests.support.waiting import eventually

LONG = "/" + "x" * 200  # makes a line of 400 bytes; a pipe takes 64 KB
REQUESTS = 400


class IntoPipe(LbgProcess):
    """Writes its log into a pipe that nobody reads before `read`."""

    def output(self) -> BinaryIO:
        """Open the pipe."""
        self.reading, writing = os.pipe()
        return os.fdopen(writing, "wb")

    def read(self) -> None:
        """Write to the log's file from now on what comes out of the pipe."""
        Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with os.fdopen(self.reading, "rb") as pipe, self.log_path.open("wb", buffering=0) as file:
            while data := os.read(pipe.fileno(), 65536):
                file.write(data)


@pytest.fixture
def unread(backend: Backend, tmp_path: Path) -> Iterator[IntoPipe]:
    """Lend an lbg that logs each answer of its own."""
    config = one_pool(backend.url) | {"routes": [{"pool": "main", "path_exact": "/"}]}
    env = {"LBG_LOG__LEVEL": "debug"}
    with IntoPipe(config, tmp_path / "lbg", workers=1, env=env) as process:
        yield process


def test_a_reader_of_stderr_that_stops_holds_up_no_request_and_gets_all_lines_later(unread: IntoPipe) -> None:
    statuses = Counter(fetch(unread.address, LONG).status for _ in range(REQUESTS))
    assert statuses == {404: REQUESTS}
    assert fetch(unread.address, "/").status == 200
    unread.read()
    eventually(lambda: unread.log().count("404 no_route") == REQUESTS, what="a line for each request")
    assert unread.stop() == 0
    eventually(lambda: "Worker exiting" in unread.log(), what="the last lines")
