"""The state directory: whose it may be, who holds it, and documents that are never half there."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.state import directory
from lbg.state.directory import Claim, Unusable, choices, claim, publish, read
from lbg.state.lock import FileLock


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Give places of the test's own for the usual ones; /run/lbg is not there yet, the others are."""
    made = {name: tmp_path / name for name in ("run", "shm", "tmp")}
    made["shm"].mkdir()
    made["tmp"].mkdir()
    monkeypatch.setattr(directory, "_RUNTIME", made["run"])
    monkeypatch.setattr(directory, "_SHARED", made["shm"])
    monkeypatch.setattr(directory.tempfile, "tempdir", str(made["tmp"]))
    return made


def test_a_configured_directory_is_made_private_and_kept(tmp_path: Path) -> None:
    (choose,) = choices(str(tmp_path / "a" / "b"))
    made = choose()
    assert (made.path, mode(made.path), made.fresh) == (tmp_path / "a" / "b", 0o700, False)
    made.give_up()
    assert made.path.exists()


def test_a_configured_directory_may_be_named_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert choices("a")[0]().path == tmp_path / "a"


def test_an_existing_private_directory_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert claim(tmp_path).lock.in_place


@pytest.mark.parametrize("permissions", [0o755, 0o750, 0o701, 0o777, 0o710])
def test_a_directory_others_can_reach_is_refused(tmp_path: Path, permissions: int) -> None:
    tmp_path.chmod(permissions)
    with pytest.raises(Unusable, match=rf"mode {permissions:04o}.*chmod 700"):
        claim(tmp_path)
    assert directory.MASTER_LOCK not in names(tmp_path)


def test_a_foreign_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(Unusable, match=f"belongs to user {owner}, not to user {owner + 1}"):
        claim(tmp_path)


def test_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for link in ("link", "dangling"):
        with pytest.raises(Unusable, match="not a directory"):
            claim(tmp_path / link)
    assert not (tmp_path / "nothing").exists()


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unusable, match="not a directory"):
        claim(tmp_path / "file")


def test_a_directory_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        claim(tmp_path / "file" / "below")


def test_a_read_only_directory_is_an_os_error_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(path: Path, *_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    (tmp_path / "ro").mkdir(mode=0o700)
    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(OSError) as caught:
        claim(tmp_path / "ro")
    assert caught.value.filename == str(tmp_path / "ro" / "master")


def test_a_directory_in_use_is_refused_with_the_process(tmp_path: Path) -> None:
    held = claim(tmp_path / "state")
    with pytest.raises(Unusable, match=rf"state is in use by another lbg, pid {os.getpid()}$"):
        claim(tmp_path / "state")
    held.lock.release()
    claim(tmp_path / "state")


def test_a_directory_in_use_by_nobody_knows_whom_is_refused(tmp_path: Path) -> None:
    held = claim(tmp_path / "state")
    held.lock.path.write_text("")
    with pytest.raises(Unusable, match=r"in use by another lbg$"):
        claim(tmp_path / "state")


def test_what_a_killed_master_left_half_written_is_removed(tmp_path: Path) -> None:
    state = claim(tmp_path / "state")
    state.lock.release()
    (state.path / "cells.new").touch()
    (state.path / "tmp123.new").touch()
    (state.path / "cells").touch()
    claim(state.path)
    assert names(state.path) == {"cells", "master"}


def test_without_a_configured_one_the_runtime_directory_is_the_first_choice(places: dict[str, Path]) -> None:
    made = choices(None)[0]()
    assert (made.path, mode(made.path), made.fresh) == (places["run"], 0o700, False)


def test_the_runtime_directory_of_somebody_else_is_no_choice(places: dict[str, Path]) -> None:
    places["run"].mkdir(mode=0o755)
    with pytest.raises(Unusable):
        choices("")[0]()


@pytest.mark.parametrize(("choice", "place"), [(1, "shm"), (2, "tmp")])
def test_a_fresh_directory_is_private_and_ends_with_the_master(
    places: dict[str, Path], choice: int, place: str
) -> None:
    made = choices(None)[choice]()
    assert (made.path.parent, mode(made.path), made.fresh) == (places[place], 0o700, True)
    made.give_up()
    assert names(places[place]) == set()


def test_two_masters_get_two_fresh_directories() -> None:
    choose = choices(None)[1]
    assert choose().path != choose().path


@pytest.mark.parametrize("choice", [1, 2])
def test_a_place_that_is_not_there_is_an_os_error(places: dict[str, Path], choice: int) -> None:
    places["shm"].rmdir()
    places["tmp"].rmdir()
    with pytest.raises(FileNotFoundError):
        choices(None)[choice]()


def test_a_fresh_directory_outlives_a_master_that_is_not_the_last(places: dict[str, Path]) -> None:
    made = choices(None)[1]()
    heir = FileLock.inherited(made.lock.path, os.dup(made.lock.hand_over()))
    assert heir is not None
    made.give_up()
    assert made.path.exists()
    Claim(made.path, heir, fresh=True).give_up()
    assert not made.path.exists()


def test_a_fresh_directory_that_somebody_removed_ends_without_error() -> None:
    made = choices(None)[1]()
    directory.remove(made.path)
    made.give_up()
    assert not made.path.exists()


def test_fresh_directories_of_killed_masters_are_removed(places: dict[str, Path]) -> None:
    left = choices(None)[1]()
    left.lock.release()
    made = choices(None)[1]()
    assert names(places["shm"]) == {made.path.name}


def _in_use(path: Path) -> None:
    FileLock(path / directory.MASTER_LOCK).try_acquire()


def _just_made(path: Path) -> None:
    pass


def _open_to_others(path: Path) -> None:
    (path / directory.MASTER_LOCK).touch()
    path.chmod(0o755)


def _unreadable_lock(path: Path) -> None:
    (path / directory.MASTER_LOCK).symlink_to("master.old")
    (path / "master.old").touch()


@pytest.mark.parametrize("make", [_in_use, _just_made, _open_to_others, _unreadable_lock])
def test_directories_that_may_be_in_use_or_are_foreign_stay(
    places: dict[str, Path], make: Callable[[Path], None]
) -> None:
    other = places["shm"] / "lbg-fresh-other"
    other.mkdir(mode=0o700)
    make(other)
    choices(None)[1]()
    assert other.exists()


def test_a_kept_directory_beside_the_fresh_ones_stays(places: dict[str, Path]) -> None:
    kept = claim(places["shm"] / "lbg-production")
    kept.lock.release()
    choices(None)[1]()
    assert kept.path.exists()


def test_a_document_is_read_as_it_was_published(tmp_path: Path) -> None:
    state = claim(tmp_path / "state").path
    publish(state, b"one")
    publish(state, b"two")
    assert read(state) == b"two"
    assert names(state) == {directory.DOCUMENT, directory.MASTER_LOCK}


def test_a_document_holds_secrets_and_is_private(tmp_path: Path) -> None:
    publish(tmp_path, b"token")
    assert mode(tmp_path / directory.DOCUMENT) == 0o600


class Full:
    """A file on a disk that is full."""

    def __init__(self, descriptor: int, _: str) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, _: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_document_that_cannot_be_written_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = claim(tmp_path / "state").path
    publish(state, b"old")
    with monkeypatch.context() as patched:
        patched.setattr(directory, "open", Full, raising=False)
        with pytest.raises(OSError, match="No space"):
            publish(state, b"new")
    assert read(state) == b"old"
    assert names(state) == {directory.DOCUMENT, directory.MASTER_LOCK}


def test_a_reader_keeps_the_document_it_opened(tmp_path: Path) -> None:
    publish(tmp_path, b"x" * 100_000)
    with (tmp_path / directory.DOCUMENT).open("rb") as opened:
        half = opened.read(50_000)
        publish(tmp_path, b"y" * 100_000)
        assert half + opened.read() == b"x" * 100_000


def test_no_document_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path)


def _link(path: Path) -> None:
    (path.parent / "other").write_bytes(b"other")
    path.symlink_to("other")


@pytest.mark.parametrize("make", [_link, Path.mkdir, os.mkfifo], ids=["link", "directory", "pipe"])
def test_what_is_no_file_is_an_os_error_and_is_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / directory.DOCUMENT)
    with pytest.raises(OSError):
        read(tmp_path)


def test_a_foreign_document_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(tmp_path, b"x")
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(PermissionError, match="not a file of this user"):
        read(tmp_path)


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    directory.remove(tmp_path / "gone")
