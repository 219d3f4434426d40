"""The lock file: one holder, heirs that hold it together, and nothing left of the dead."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lbg.state.lock import FileLock, holder
from tests.unit.state.processes import kill, resting_after, run_together

HEIR = """
import sys
from pathlib import Path
from lbg.state.lock import FileLock
lock = FileLock.inherited(Path(sys.argv[1]), int(sys.argv[2]))
print("heir" if lock else "nobody", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def held(path: Path) -> FileLock:
    lock = FileLock(path)
    assert lock.try_acquire()
    return lock


def free(path: Path) -> bool:
    """Whether somebody else could have it; gives it back at once."""
    lock = FileLock(path)
    taken = lock.try_acquire()
    lock.release()
    return taken


def test_only_one_has_it(held: FileLock, path: Path) -> None:
    assert not FileLock(path).try_acquire()
    held.release()
    assert FileLock(path).try_acquire()


def test_who_has_it_may_ask_again(held: FileLock) -> None:
    assert held.try_acquire()


def test_letting_go_twice_is_no_error(held: FileLock) -> None:
    held.release()
    held.release()
    assert not held.held


def test_the_file_is_private_and_is_closed_by_exec(held: FileLock, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not os.get_inheritable(held._descriptor)


def test_the_file_names_its_holder(held: FileLock, path: Path) -> None:
    assert holder(path) == os.getpid()


def test_the_pid_of_a_predecessor_is_not_left_in_part(path: Path) -> None:
    path.write_text("99999999999999999999999999")
    assert FileLock(path).try_acquire()
    assert holder(path) == os.getpid()


@pytest.mark.parametrize("content", [b"", b"nobody", b"\xff"])
def test_a_file_that_does_not_tell_names_nobody(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert holder(path) is None


def test_no_file_names_nobody(path: Path) -> None:
    assert holder(path) is None


def test_a_directory_names_nobody(tmp_path: Path) -> None:
    assert holder(tmp_path) is None


def test_asking_for_the_holder_does_not_wait_for_a_pipe(path: Path) -> None:
    os.mkfifo(path)
    assert holder(path) is None


def test_a_link_is_not_followed(path: Path, tmp_path: Path) -> None:
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError) as caught:
        FileLock(path).try_acquire()
    assert caught.value.errno == errno.ELOOP
    assert not (tmp_path / "precious").exists()


def test_a_file_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FileLock(tmp_path / "gone" / "lock").try_acquire()


def test_a_full_disk_costs_the_name_of_the_holder_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    lock = FileLock(path)
    assert lock.try_acquire()
    assert not free(path)
    assert holder(path) is None


def test_a_lock_whose_file_was_removed_meanwhile_is_not_taken(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after_removal(descriptor: int, operation: int) -> None:
        path.unlink()
        fcntl_flock(descriptor, operation)

    fcntl_flock = fcntl.flock
    monkeypatch.setattr(fcntl, "flock", after_removal)
    lock = FileLock(path)
    assert not lock.try_acquire()
    assert not lock.held


@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_a_lock_is_out_of_place_when_its_file_is(held: FileLock, path: Path, change: str) -> None:
    assert held.in_place
    path.unlink()
    if change == "replaced":
        path.touch()
    assert held.held
    assert not held.in_place


def test_the_lock_of_a_killed_process_is_free(path: Path) -> None:
    with resting_after(FileLock(path).try_acquire) as pid:
        assert not free(path)
        assert holder(path) == pid
        kill(pid)
        assert free(path)


def test_a_child_that_lets_go_takes_it_from_nobody(held: FileLock, path: Path) -> None:
    run_together(held.release)
    assert not free(path)


def test_the_next_program_holds_it_until_both_are_gone(held: FileLock, path: Path) -> None:
    descriptor = held.hand_over()
    with subprocess.Popen(
        [sys.executable, "-c", HEIR, str(path), str(descriptor)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        close_fds=False,
    ) as heir:
        assert heir.stdout is not None
        assert heir.stdout.readline() == b"heir\n"
        assert holder(path) == heir.pid
        held.release()
        assert not free(path)
        heir.kill()
    assert free(path)


def test_an_heir_does_not_pass_it_on_to_everything_it_executes(held: FileLock, path: Path) -> None:
    heir = FileLock.inherited(path, held.hand_over())
    assert heir is not None
    assert not os.get_inheritable(heir._descriptor)


def test_a_descriptor_of_something_else_is_no_inheritance(held: FileLock, path: Path, tmp_path: Path) -> None:
    with (tmp_path / "other").open("w") as other:
        assert FileLock.inherited(path, other.fileno()) is None
        closed = other.fileno()
    assert FileLock.inherited(path, closed) is None
    assert FileLock.inherited(path, -1) is None


def test_a_descriptor_opened_by_somebody_else_is_no_inheritance(held: FileLock, path: Path) -> None:
    with path.open("r+") as other:
        assert FileLock.inherited(path, other.fileno()) is None


def test_the_repr_tells_whether_it_is_held(held: FileLock, path: Path) -> None:
    assert repr(held) == f"<FileLock {path} held>"
    assert repr(FileLock(path)) == f"<FileLock {path} not held>"
