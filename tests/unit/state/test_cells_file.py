"""The cell file: which ones are trusted, what happens on a full disk and when the file is gone."""

import errno
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.state import state_file as module
from lbg.state.cell_file import FILE, SIZE
from lbg.state.cells import Cells
from lbg.state.layout import (
    AREA,
    AREAS,
    ENDPOINT_SLOTS,
    FIELDS,
    MAX_WEIGHT,
    WORKER_SLOTS,
    Admin,
    Cause,
    Ejection,
    Field,
    Header,
    Health,
    HealthField,
    area,
    counters,
    health_row,
)
from lbg.state.state_file import Damaged


@pytest.fixture
def cells(tmp_path: Path) -> Cells:
    """Cells of a new file in `tmp_path`."""
    Cells.create(tmp_path)
    return Cells.open(tmp_path)


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_a_new_file_counts_nothing_and_is_private(cells: Cells, tmp_path: Path) -> None:
    totals = [cells.total(endpoint, field) for endpoint in (0, ENDPOINT_SLOTS - 1) for field in Field]
    assert totals == [0] * 2 * FIELDS
    assert list(cells.workers()) == []
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert names(tmp_path) == {FILE}


def test_whoever_maps_the_file_sees_every_count(cells: Cells, tmp_path: Path) -> None:
    cells.register(2, 4711, 1, 1)
    cells.view[counters(2, 9) + Field.FAILURES] = 4
    assert Cells.open(tmp_path).total(9, Field.FAILURES) == 4


def test_a_new_file_takes_the_place_of_an_old_one(cells: Cells, tmp_path: Path) -> None:
    cells.view[Header.EPOCH] = 7
    (tmp_path / "cells.new").write_text("left by a master that was killed")
    Cells.create(tmp_path)
    assert Cells.open(tmp_path).view[Header.EPOCH] == 0
    assert cells.view[Header.EPOCH] == 7
    assert names(tmp_path) == {FILE}


def test_a_new_file_takes_the_place_of_a_link_and_not_of_its_target(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("data")
    (tmp_path / FILE).symlink_to(target)
    Cells.create(tmp_path)
    assert target.read_text() == "data"
    assert not (tmp_path / FILE).is_symlink()


def test_no_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Cells.open(tmp_path)


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def cell(index: int, value: int) -> Callable[[Path], None]:
    """Return what writes one cell of a good file."""

    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(index * 8)
            file.write(struct.pack("=Q", value))

    return change


def resize(size: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, size)


def to_link(path: Path) -> None:
    path.rename(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (write(b""), "not a cell file"),
    "short": (write(b"short"), "not a cell file"),
    "zeros": (write(b"\0" * SIZE), "not a cell file"),
    "text": (write(b"x" * SIZE), "not a cell file"),
    "cut": (resize(SIZE - 8), "not a cell file"),
    "longer": (resize(SIZE + 8), "not a cell file"),
    "magic": (cell(Header.MAGIC, 1), "not a cell file"),
    "version": (cell(Header.VERSION, 1), "of this version"),
    "boot": (cell(Header.BOOT, 1), "before the last boot"),
    "workers": (cell(Header.WORKERS, WORKER_SLOTS + 1), "no master wrote"),
    "generation": (cell(Header.GENERATION, 2**64 - 1), "no master wrote"),
    "health": (cell(health_row(0) + HealthField.HEALTH, len(Health)), "no control worker"),
    "ejection": (
        cell(health_row(ENDPOINT_SLOTS - 1) + HealthField.EJECTION, len(Ejection)),
        "no control worker",
    ),
    "cause": (cell(health_row(7) + HealthField.EJECTED_FOR, len(Cause)), "no control worker"),
    "admin state": (cell(health_row(7) + HealthField.ADMIN, len(Admin)), "no control worker"),
    "weight": (cell(health_row(7) + HealthField.WEIGHT, MAX_WEIGHT + 1), "no control worker"),
    "link": (to_link, "symbolic link"),
    "pipe": (to_pipe, "not a file"),
}


@pytest.mark.parametrize(("damage", "why"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_file_is_refused_with_its_name(
    cells: Cells, tmp_path: Path, damage: Callable[[Path], object], why: str
) -> None:
    damage(tmp_path / FILE)
    with pytest.raises(Damaged, match=f"{tmp_path / FILE} .*{why}"):
        Cells.open(tmp_path)


def test_every_value_a_control_worker_writes_is_accepted(cells: Cells, tmp_path: Path) -> None:
    cells.view[Header.WORKERS] = WORKER_SLOTS
    for slot in range(ENDPOINT_SLOTS):
        row = health_row(slot)
        cells.view[row + HealthField.HEALTH] = slot % len(Health)
        cells.view[row + HealthField.EJECTION] = slot % len(Ejection)
        cells.view[row + HealthField.EJECTED_FOR] = slot % len(Cause)
        cells.view[row + HealthField.ADMIN] = slot % len(Admin)
        cells.view[row + HealthField.WEIGHT] = slot % (MAX_WEIGHT + 1)
    Cells.open(tmp_path)


def test_a_foreign_file_is_refused(cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(Damaged, match="not a file of this user"):
        Cells.open(tmp_path)


def test_a_file_that_cannot_be_opened_is_an_os_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(IsADirectoryError):
        Cells.open(tmp_path)


def refuse(number: int) -> Callable[..., None]:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("function", ["posix_fallocate", "truncate", "pwrite"])
def test_a_full_disk_is_an_os_error_and_leaves_what_was_there(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    monkeypatch.setattr(os, function, refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        Cells.create(tmp_path)
    assert names(tmp_path) == {FILE}
    assert cells.is_file(tmp_path)


def test_a_worker_that_the_disk_has_no_room_for_is_an_os_error(
    cells: Cells, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        cells.reserve(3)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_file_system_that_cannot_promise_room_is_taken_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(number))
    Cells.create(tmp_path)
    Cells.open(tmp_path).reserve(0)


def test_elsewhere_than_on_linux_room_is_not_promised(
    cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.sys, "platform", "darwin")
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    cells.reserve(0)


def used(path: Path) -> int:
    return (path / FILE).stat().st_blocks * 512


@pytest.mark.parametrize("worker", [0, 5, WORKER_SLOTS - 1])
def test_room_is_taken_for_what_is_shared_and_for_workers_as_they_come(
    cells: Cells, tmp_path: Path, worker: int
) -> None:
    assert AREAS * 8 <= used(tmp_path) < AREAS * 8 + AREA * 8
    before = used(tmp_path)
    cells.reserve(worker)
    taken = used(tmp_path)
    assert before + AREA * 8 <= taken
    cells.view[area(worker)] = 1
    cells.view[area(worker) + AREA - 1] = 1
    cells._memory.flush()
    assert used(tmp_path) < taken + AREA  # a block or two of the file system's own


def test_a_deleted_file_that_is_made_anew_is_another_one(cells: Cells, tmp_path: Path) -> None:
    assert cells.is_file(tmp_path)
    (tmp_path / FILE).unlink()
    assert not cells.is_file(tmp_path)
    Cells.create(tmp_path)
    assert not cells.is_file(tmp_path)
    assert Cells.open(tmp_path).is_file(tmp_path)
