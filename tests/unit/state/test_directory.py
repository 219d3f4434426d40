"""The state directory: whose it may be, and documents that are never half there."""

import os
import stat
from pathlib import Path

import pytest

from lbg.state import directory
from lbg.state.directory import UnsafeDirectory, prepare, publish, read, remove


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_fresh_directory_is_private_and_ends_with_the_master() -> None:
    path, fresh = prepare(None)
    try:
        assert (mode(path), fresh) == (0o700, True)
    finally:
        remove(path)
    assert not path.exists()


def test_two_masters_get_two_fresh_directories() -> None:
    first, second = prepare("")[0], prepare(None)[0]
    try:
        assert first != second
    finally:
        remove(first)
        remove(second)


def test_a_configured_directory_is_made_private_and_kept(tmp_path: Path) -> None:
    path, fresh = prepare(str(tmp_path / "a" / "b"))
    assert (path, mode(path), fresh) == (tmp_path / "a" / "b", 0o700, False)


def test_an_existing_private_directory_is_taken(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    assert prepare(str(tmp_path)) == (tmp_path, False)


@pytest.mark.parametrize("permissions", [0o755, 0o750, 0o701, 0o777, 0o710])
def test_a_directory_others_can_reach_is_refused(tmp_path: Path, permissions: int) -> None:
    tmp_path.chmod(permissions)
    with pytest.raises(UnsafeDirectory, match=rf"mode {permissions:04o}.*chmod 700"):
        prepare(str(tmp_path))


def test_a_foreign_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(UnsafeDirectory, match=f"belongs to user {owner}, not to user {owner + 1}"):
        prepare(str(tmp_path))


def test_a_link_is_refused_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "private")
    with pytest.raises(UnsafeDirectory, match="not a directory"):
        prepare(str(tmp_path / "link"))


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UnsafeDirectory, match="not a directory"):
        prepare(str(tmp_path / "file"))


def test_a_directory_that_cannot_be_made_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError):
        prepare(str(tmp_path / "file" / "below"))


def test_a_document_is_read_as_it_was_published(tmp_path: Path) -> None:
    publish(tmp_path, b"one")
    publish(tmp_path, b"two")
    assert read(tmp_path) == b"two"
    assert [path.name for path in tmp_path.iterdir()] == [directory.DOCUMENT]


def test_a_document_holds_secrets_and_is_private(tmp_path: Path) -> None:
    publish(tmp_path, b"token")
    assert mode(tmp_path / directory.DOCUMENT) == 0o600


def test_a_document_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path, b"old")

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, b"new")
    assert read(tmp_path) == b"old"


def test_a_reader_keeps_the_document_it_opened(tmp_path: Path) -> None:
    publish(tmp_path, b"x" * 100_000)
    with (tmp_path / directory.DOCUMENT).open("rb") as opened:
        half = opened.read(50_000)
        publish(tmp_path, b"y" * 100_000)
        assert half + opened.read() == b"x" * 100_000


def test_no_document_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path)


def test_removing_what_is_gone_is_no_error(tmp_path: Path) -> None:
    remove(tmp_path / "gone")
