"""The state directory in every weather: what outlives a killed master, and what is never trusted."""

import os
import re
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from lbg.state.directory import Claim, Unusable, claim
from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import NoResponseError, fetch
from tests.support.handlers import answer
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.waiting import eventually

RUNTIME = Path("/run/lbg")


def _state(process: LbgProcess) -> Path:
    return process.directory / "state"


def _workers(process: LbgProcess, count: int = 3) -> dict[int, str]:
    """Wait until there are so many workers; return their roles by pid."""

    def there() -> dict[int, str]:
        try:
            roles = {worker["pid"]: worker["role"] for worker in process.status()["workers"]}
        except (OSError, NoResponseError) as error:
            raise AssertionError(f"no answer from the admin listener: {error!r}") from error
        assert len(roles) == count, roles
        return roles

    return eventually(there, timeout=15.0, what=f"{count} workers")


def _kill_master(process: LbgProcess) -> None:
    """Kill the master and wait until its workers have noticed."""
    children = psutil.Process(process.pid).children()
    assert process.stop(signal.SIGKILL) == -signal.SIGKILL
    psutil.wait_procs(children, timeout=10.0)


def _requests(process: LbgProcess) -> int:
    (endpoint,) = process.status()["pools"]["main"]["endpoints"]
    return int(endpoint["requests"])


def _messages(process: LbgProcess, level: str) -> list[str]:
    """Return the log lines of the master of one level."""
    return [
        line
        for line in process.log().splitlines()
        if f'"level": "{level}"' in line and '"logger": "lbg.master"' in line
    ]


def test_a_killed_master_leaves_counters_and_health_to_the_next(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url))
    for _ in range(7):
        fetch(process.address)
    _workers(process)
    _kill_master(process)
    process.start()
    assert _requests(process) == 7
    assert process.status()["config"]["generation"] == 2
    fetch(process.address)
    assert _requests(process) == 8
    assert _messages(process, "WARNING") == []


def test_endpoints_that_are_down_stay_down_over_a_killed_master(lbg: StartLbg) -> None:
    with Backend(answer(body=b"a")) as a, Backend() as b:
        process = lbg(one_pool(a.url, b.url, health={"interval": 0.5, "fall": 1}))
        b.stop()

        def states() -> list[str]:
            return [endpoint["state"] for endpoint in process.status()["pools"]["main"]["endpoints"]]

        eventually(lambda: states() == ["up", "down"], timeout=10.0)
        _kill_master(process)
        process.start()
        assert states() in (["up", "down"], ["stale", "down"])  # until the next check
        assert {fetch(process.address).body for _ in range(6)} == {b"a"}


def _rubbish(path: Path) -> None:
    path.write_bytes(b"rubbish")


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to("../elsewhere")


def _foreign(path: Path) -> None:
    os.chown(path, 65534, 65534)


UNSOUND = {
    "rubbish for cells": ("cells", _rubbish),
    "cells cut short": ("cells", _cut),
    "no cells": ("cells", Path.unlink),
    "a link for cells": ("cells", _link),
    "rubbish for a document": ("directory", _rubbish),
    "a document cut short": ("directory", _cut),
    "no document": ("directory", Path.unlink),
    "a link for a document": ("directory", _link),
}
if os.geteuid() == 0:
    UNSOUND |= {"foreign cells": ("cells", _foreign), "a foreign document": ("directory", _foreign)}


@pytest.mark.parametrize(("name", "change"), UNSOUND.values(), ids=UNSOUND.keys())
def test_state_that_is_not_sound_is_made_anew_and_told_once(
    lbg: StartLbg, backend: Backend, name: str, change: Callable[[Path], None]
) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    fetch(process.address)
    _kill_master(process)
    change(_state(process) / name)
    process.start()
    assert fetch(process.address).body == b"ok"
    assert _requests(process) == 1
    (line,) = _messages(process, "WARNING")
    assert "begin anew" in line
    assert str(_state(process) / name) in line
    assert not (_state(process) / name).is_symlink()


def test_a_directory_that_others_can_reach_by_now_is_refused(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    process.stop()
    _state(process).chmod(0o750)
    with pytest.raises(AssertionError, match="ended with 2 before it was ready"):
        process.start()
    assert f"lbg: LBG_STATE_DIR: {_state(process)} has mode 0750" in process.log()


def test_a_second_one_in_the_same_directory_is_refused(
    lbg: StartLbg, backend: Backend, tmp_path: Path
) -> None:
    first = lbg(one_pool(backend.url))
    second = LbgProcess(one_pool(backend.url), tmp_path / "second", env={"LBG_STATE_DIR": str(_state(first))})
    try:
        with pytest.raises(AssertionError, match="ended with 2 before it was ready"):
            second.start()
    finally:
        second.close()
    expected = f"lbg: LBG_STATE_DIR: {_state(first)} is in use by another lbg, pid {first.pid}\n"
    assert second.log().endswith(expected)
    assert fetch(first.address).body == b"ok"
    assert _requests(first) == 1


def _in_use(path: Path) -> bool:
    try:
        held = claim(path)
    except Unusable:
        return True
    held.give_up()
    return False


def test_workers_do_not_keep_the_directory_of_a_killed_master(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url))
    children = psutil.Process(process.pid).children()
    assert _in_use(_state(process))
    for child in children:
        child.suspend()
    try:
        process.stop(signal.SIGKILL)
        assert not _in_use(_state(process))
    finally:
        for child in children:
            child.resume()


def _next_master(process: LbgProcess) -> psutil.Process:
    """Wait for the master that USR2 started and its workers."""

    def found() -> psutil.Process | None:
        for child in psutil.Process(process.pid).children():
            if len(child.children()) == process.workers + 1:
                return child
        return None

    master = eventually(found, timeout=10.0, what="the second master and its workers")
    assert master is not None
    return master


def test_the_masters_of_an_upgrade_hold_the_directory_until_both_are_gone(
    lbg: StartLbg, backend: Backend
) -> None:
    process = lbg(one_pool(backend.url))
    process.send_signal(signal.SIGUSR2)
    master = _next_master(process)
    assert process.stop() == 0
    assert _in_use(_state(process))
    _workers(process)
    master.kill()
    eventually(lambda: not _in_use(_state(process)), what="the directory to be free")


def test_a_killed_master_leaves_the_directory_to_the_one_of_an_upgrade(
    lbg: StartLbg, backend: Backend
) -> None:
    process = lbg(one_pool(backend.url))
    process.send_signal(signal.SIGUSR2)
    master = _next_master(process)
    orphans = [each for each in psutil.Process(process.pid).children() if each != master]
    process.stop(signal.SIGKILL)
    assert _in_use(_state(process))
    psutil.wait_procs(orphans, timeout=10.0)
    master.children()[-1].kill()  # at the latest the next fork takes the dead ones off the list
    eventually(lambda: {*_workers(process)} == {child.pid for child in master.children()}, timeout=10.0)
    assert fetch(process.address).body == b"ok"


def test_an_upgrade_that_fails_leaves_the_old_master_at_work(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url))
    process.write_config("[pools")
    process.send_signal(signal.SIGUSR2)
    eventually(lambda: "lbg: " in process.log() and "TOML" in process.log(), timeout=10.0)
    assert _in_use(_state(process))
    assert fetch(process.address).body == b"ok"


@contextmanager
def _runtime_directory_taken() -> Iterator[None]:
    """Let nobody have /run/lbg, so that the next choice is taken."""
    held: Claim | None = None
    try:
        held = claim(RUNTIME)
    except (Unusable, OSError):
        pass  # the next choice is taken anyhow
    try:
        yield
    finally:
        if held is not None:
            held.give_up()


@pytest.fixture
def fresh(lbg: StartLbg, backend: Backend) -> Iterator[tuple[LbgProcess, Path]]:
    """Give an lbg with a state directory of its own, and that."""
    with _runtime_directory_taken():
        process = lbg(one_pool(backend.url), env={"LBG_STATE_DIR": ""})
        yield process, _chosen(process)


def _chosen(process: LbgProcess) -> Path:
    """Return the directory that the last master of a log has chosen."""
    path = Path(re.findall(r"state directory: (\S+?)(?: \(|\")", process.log())[-1])
    assert path != RUNTIME
    return path


def test_a_fresh_directory_is_private_and_removed_at_the_end(fresh: tuple[LbgProcess, Path]) -> None:
    process, state = fresh
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert {"cells", "directory", "master"} <= {entry.name for entry in state.iterdir()}
    assert _messages(process, "WARNING") == []
    assert process.stop() == 0
    assert not state.exists()


def test_a_fresh_directory_outlives_an_upgrade_and_ends_with_the_last_master(
    fresh: tuple[LbgProcess, Path],
) -> None:
    process, state = fresh
    process.send_signal(signal.SIGUSR2)
    master = _next_master(process)
    assert process.stop() == 0
    assert state.exists()
    _workers(process)
    master.terminate()
    eventually(lambda: not state.exists(), timeout=10.0, what="the state directory to be removed")


def test_the_fresh_directory_of_a_killed_master_is_removed_by_the_next(
    fresh: tuple[LbgProcess, Path],
) -> None:
    process, state = fresh
    _kill_master(process)
    assert state.exists()
    process.start()
    assert _chosen(process) != state
    assert not state.exists()


def _delete(path: Path) -> None:
    shutil.rmtree(path)


def _empty(path: Path) -> None:
    for entry in path.iterdir():
        entry.unlink()


@pytest.mark.parametrize("change", [_delete, _empty])
def test_a_deleted_directory_stops_nothing_and_is_put_back(
    lbg: StartLbg, backend: Backend, change: Callable[[Path], None]
) -> None:
    process = lbg(one_pool(backend.url))
    roles = _workers(process)
    victim = next(pid for pid, role in roles.items() if role == "proxy")
    with Load(process.address, concurrency=2) as load:
        load.wait_for(50)
        change(_state(process))
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in _workers(process), timeout=10.0, what="another worker")
        lost = len(load.failures)
        assert {entry.name for entry in _state(process).iterdir()} >= {"directory", "master"}
        earlier = set(_workers(process))
        process.send_signal(signal.SIGHUP)
        eventually(lambda: not earlier & set(_workers(process)), timeout=15.0, what="new workers")
        assert process.status()["config"]["generation"] == 2
        load.wait_for(50)
        assert len(load.failures) == lost <= load.concurrency
    assert "is gone: health and counters are in memory only" in process.log()
    assert _messages(process, "ERROR") == []


class OnSmallDisk(LbgProcess):
    """Has its state directory on a disk of its own, of `size`."""

    size = "2m"

    def command(self) -> list[str]:
        """Return the command line."""
        mount = f'mount -t tmpfs -o mode=700,size={self.size} tmpfs "$LBG_STATE_DIR"'
        return ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$@"', "sh", *super().command()]

    @property
    def disk(self) -> Path:
        """The state directory, as its master sees it."""
        return Path(f"/proc/{self.pid}/root", *_state(self).parts[1:])

    def fill(self) -> None:
        """Leave no room on the disk."""
        with (self.disk / "ballast").open("wb", buffering=0) as ballast, suppress(OSError):
            while ballast.write(b"x" * 4096):
                pass


@pytest.fixture
def small_disk(tmp_path: Path, backend: Backend) -> Iterator[OnSmallDisk]:
    """Give an lbg that is not started yet."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        pytest.xfail("this machine lets us mount nothing, and no package changes that")
    process = OnSmallDisk(one_pool(backend.url), tmp_path / "lbg")
    _state(process).mkdir(mode=0o700)
    try:
        yield process
    finally:
        process.close()
    assert not re.search(r"Traceback|SIGBUS", process.log())


@pytest.mark.needs("unshare")
def test_a_disk_without_room_for_the_state_is_refused(small_disk: OnSmallDisk) -> None:
    small_disk.size = "300k"
    with pytest.raises(AssertionError, match="ended with 2 before it was ready"):
        small_disk.start()
    expected = f"lbg: LBG_STATE_DIR: {_state(small_disk)}: No space left on device\n"
    assert small_disk.log().endswith(expected)


@pytest.mark.needs("unshare")
def test_workers_that_the_disk_has_no_room_for_serve_all_the_same(small_disk: OnSmallDisk) -> None:
    small_disk.size = "2300k"  # for one worker, without traces
    small_disk.start()
    with Load(small_disk.address, concurrency=4) as load:
        load.wait_for(200)
    assert not load.failures
    lines = _messages(small_disk, "ERROR")
    assert all("No space left on device" in line for line in lines)
    assert [sum(what in line for line in lines) for what in ("for itself", "no traces")] == [2, 1]


@pytest.mark.needs("unshare")
def test_a_reload_on_a_full_disk_changes_nothing_and_says_so(small_disk: OnSmallDisk) -> None:
    small_disk.start()
    workers = psutil.Process(small_disk.pid).children()
    _workers(small_disk)
    small_disk.fill()
    before = (small_disk.disk / "directory").read_bytes()
    with Load(small_disk.address, concurrency=4) as load:
        load.wait_for(50)
        small_disk.send_signal(signal.SIGHUP)
        gone, _ = psutil.wait_procs(workers, timeout=20.0)
        assert len(gone) == 3
        load.wait_for(50)
    assert not load.failures
    assert (small_disk.disk / "directory").read_bytes() == before
    (line,) = [line for line in _messages(small_disk, "ERROR") if "not changed" in line]
    assert "No space left on device" in line
    assert {entry.name for entry in small_disk.disk.iterdir()} & {"directory.new", "cells.new"} == set()
