"""What systemd relies on: its protocol for services that tell when they listen."""

import socket
from pathlib import Path

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.lbg import one_pool


def test_it_tells_systemd_that_it_listens(lbg: StartLbg, backend: Backend, tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        told.settimeout(10.0)
        lbg(one_pool(backend.url), env={"NOTIFY_SOCKET": path})
        assert b"READY=1" in told.recv(4096).splitlines()
