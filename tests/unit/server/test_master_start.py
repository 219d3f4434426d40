"""The master: addresses, limits and numbers that it checks before gunicorn starts."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lbg.net.address import Bind
from lbg.server import listeners
from lbg.server.master import Master
from lbg.server.roles import Role
from tests.unit.server.arbiters import arbiter


def test_the_admin_address_is_the_last_one(master: Master) -> None:
    assert [bind.text for bind in master.binds] == ["0.0.0.0:8080", "127.0.0.1:9090"]


def test_a_bind_on_the_command_line_does_not_lose_the_admin_listener(master: Master) -> None:
    running = arbiter("0.0.0.0:1234")
    master.nworkers_changed(running, 3, None)
    assert running.cfg.bind == ["0.0.0.0:1234", "127.0.0.1:9090"]
    master.nworkers_changed(running, 3, None)
    assert running.cfg.bind == ["0.0.0.0:1234", "127.0.0.1:9090"]


def test_the_last_proxy_worker_stays(master: Master, caplog: pytest.LogCaptureFixture) -> None:
    running = arbiter(workers={1: SimpleNamespace(role=Role.CONTROL)}, num_workers=1)
    master.nworkers_changed(running, 1, 2)
    assert running.num_workers == 2
    assert "the last proxy worker stays" in caplog.text


def test_a_single_worker_that_does_both_may_be_alone(master: Master) -> None:
    running = arbiter(workers={1: SimpleNamespace(role=Role.COMBINED)}, num_workers=1)
    master.nworkers_changed(running, 1, 2)
    assert running.num_workers == 1


def test_the_descriptor_limit_is_raised_as_far_as_allowed(
    master: Master, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda _: None)
    master.on_starting(arbiter("127.0.0.1:1", "127.0.0.1:9090"))
    assert limits == [(15_000, 15_000)]


def test_every_address_that_cannot_be_bound_is_said_before_the_start(
    master: Master,
    limits: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda bind: f"cannot listen on {bind.text}")
    with pytest.raises(SystemExit) as caught:
        master.on_starting(arbiter("127.0.0.1:1", "unix:/run/a.sock"))
    assert caught.value.code == 2
    assert (
        capsys.readouterr().err
        == "lbg: cannot listen on 127.0.0.1:1\nlbg: cannot listen on unix:/run/a.sock\n"
    )


def test_an_admin_address_alone_is_refused(
    master: Master,
    limits: list[tuple[int, int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda _: None)
    with pytest.raises(SystemExit):
        master.on_starting(arbiter("127.0.0.1:9090"))
    assert "no public address is left" in capsys.readouterr().err


def test_a_public_address_may_be_a_descriptor(
    master: Master, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda _: None)
    master.on_starting(arbiter("fd://3", "127.0.0.1:9090"))
    assert master.state.published.snapshot.config == master.config


def test_an_upgrade_starts_again_as_a_module(
    master: Master, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda _: None)
    arguments = ["python", "/x/gunicorn/__main__.py", "-c", "y"]
    master.on_starting(arbiter("127.0.0.1:1", "127.0.0.1:9090", START_CTX={"args": arguments}))
    assert arguments == ["python", "-m", "gunicorn", "-c", "y"]


@pytest.mark.parametrize("variable", ["GUNICORN_FD", "LISTEN_FDS"])
def test_inherited_sockets_are_not_tried(
    master: Master, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "3")
    monkeypatch.setattr(listeners, "complaint", lambda bind: pytest.fail(f"tried {bind}"))
    master.on_starting(arbiter("127.0.0.1:1"))
    assert master.state.published.snapshot.config == master.config


def test_gunicorns_own_addresses_are_read_whatever_their_kind(
    master: Master, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Bind] = []
    monkeypatch.setattr(listeners, "complaint", tried.append)
    master.on_starting(arbiter("127.0.0.1:1", "[::1]:2", "unix:/run/a.sock", "fd://3"))
    assert [bind.text for bind in tried] == ["127.0.0.1:1", "[::1]:2", "unix:/run/a.sock"]


def test_a_start_that_is_refused_leaves_no_state_directory(
    master: Master, state: Path, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda bind: f"cannot listen on {bind.text}")
    with pytest.raises(SystemExit):
        master.on_starting(arbiter("127.0.0.1:1", "127.0.0.1:9090"))
    assert not state.exists()


def test_a_start_opens_the_state_directory(
    master: Master, state: Path, limits: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "complaint", lambda _: None)
    master.on_starting(arbiter("127.0.0.1:1", "127.0.0.1:9090"))
    assert master.state.path == state


# They hold on to sockets and TLS, which a worker patches after the fork.
NOT_FOR_THE_MASTER = ("ssl", "requests", "urllib3", "flask", "dns", "gevent")


def test_the_master_imports_nothing_that_its_workers_patch() -> None:
    program = "import sys, lbg.server.settings; print(*set(sys.modules) & set(sys.argv[1:]))"
    command = [sys.executable, "-c", program, *NOT_FOR_THE_MASTER]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == []
