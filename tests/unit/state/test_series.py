"""Series: entries that are only added, regions that fill up, files that are not trusted."""

import errno
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.state import series as module
from lbg.state import state_file as file_module
from lbg.state.layout import CELL, WORKER_SLOTS
from lbg.state.series import Region, Series, SeriesReader
from lbg.state.series_file import FILE, SIZE
from lbg.state.series_layout import (
    MAX_TEXT,
    REGION,
    REGIONS,
    SPARE,
    Header,
    RegionField,
    head_of,
    parts_of,
    region,
    row,
)
from lbg.state.state_file import Damaged


def never(_: int) -> bool:
    return False


def writer(series: Series, worker: int = 0, is_gauge: Callable[[int], bool] = never) -> Region:
    return Region(series, worker, is_gauge)


def found(series: Series) -> dict[tuple[int, int, tuple[str, ...]], list[int]]:
    reader = SeriesReader(series)
    return {(each.worker, each.kind, each.labels): reader.values(each) for each in reader.entries()}


def open_as_a_new_process(path: Path) -> Series:
    module._MAPPED.clear()
    return Series.open(path)


def shared(path: Path) -> Series:
    Series.create(path)
    series = Series.open(path)
    series.reserve(0)
    return series


def write(path: Path, cell: int, number: int) -> None:
    with (path / FILE).open("r+b") as file:
        file.seek(cell * CELL)
        file.write(struct.pack("=Q", number))


def test_what_a_worker_counts_is_read_with_its_labels() -> None:
    series = Series.private()
    region = writer(series)
    first, second = region.find(3, ("api", "GET"), 2), region.find(4, ("",), 1)
    assert first is not None
    assert second is not None
    region.view[first] += 7
    region.view[first + 1] += 8
    region.view[second] += 9
    assert found(series) == {(0, 3, ("api", "GET")): [7, 8], (0, 4, ("",)): [9]}


def test_an_entry_is_added_once() -> None:
    region = writer(Series.private())
    assert region.find(3, ("api",), 2) == region.find(3, ("api",), 2)
    assert region.find(3, ("other",), 2) != region.find(3, ("api",), 2)
    assert region.find(4, ("api",), 2) != region.find(3, ("api",), 2)


@pytest.mark.parametrize("label", ["", "a", "12345678", "ä€", 'quote " and \\ and \n', "x" * 300])
def test_labels_come_back_as_they_were(label: str) -> None:
    series = Series.private()
    writer(series).find(1, ("before", label, "after"), 1)
    assert list(found(series)) == [(0, 1, ("before", label, "after"))]


def test_a_label_cannot_pose_as_two() -> None:
    series = Series.private()
    writer(series).find(1, ("a\0b", "c"), 1)
    assert list(found(series)) == [(0, 1, ("a?b", "c"))]


def test_a_reader_finds_what_is_added_later_and_nothing_twice() -> None:
    series = Series.private()
    region, reader = writer(series), SeriesReader(series)
    for number in range(3):
        region.find(1, (str(number),), 1)
        assert [entry.labels for entry in reader.entries()] == [(str(each),) for each in range(number + 1)]


def test_whoever_takes_over_a_region_goes_on_with_its_counters() -> None:
    series = Series.private()
    first = writer(series).find(1, ("a",), 1)
    assert first is not None
    series.view[first] = 41
    again = writer(series)
    assert again.find(1, ("a",), 1) == first
    again.view[first] += 1
    assert found(series) == {(0, 1, ("a",)): [42]}


def test_whoever_takes_over_a_region_zeroes_its_gauges() -> None:
    series = Series.private()
    region = writer(series)
    for kind in (1, 2):
        at = region.find(kind, ("a",), 2)
        assert at is not None
        series.view[at + 1] = 5
    writer(series, is_gauge=lambda kind: kind == 2)
    assert found(series) == {(0, 1, ("a",)): [0, 5], (0, 2, ("a",)): [0, 0]}


def test_half_an_entry_of_a_killed_worker_is_not_seen_and_overwritten() -> None:
    series = Series.private()
    at = writer(series).find(1, ("a long label that is cut",), 4)
    assert at is not None
    series.view[at] = series.view[at + 3] = 99
    series.view[row(0) + RegionField.USED] = SPARE
    assert found(series) == {}
    writer(series).find(1, ("b",), 6)
    assert found(series) == {(0, 1, ("b",)): [0] * 6}


def test_a_full_region_counts_what_it_could_not_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REGION", SPARE + 6)
    series = Series.private()
    region = writer(series)
    assert region.find(1, ("a",), 4) == region.spare() + SPARE + 2
    assert series.lost() == 1
    assert region.find(1, ("b",), 4) is None
    region.view[region.spare()] += 1
    assert series.lost() == 2
    assert found(series) == {(0, 1, ("a",)): [0] * 4}


def test_labels_without_end_find_no_room() -> None:
    assert writer(Series.private()).find(1, ("x" * (MAX_TEXT + 1),), 1) is None


def test_every_worker_has_a_region_of_its_own(tmp_path: Path) -> None:
    Series.create(tmp_path)
    series = Series.open(tmp_path)
    for worker in (0, 5, WORKER_SLOTS - 1):
        series.reserve(worker)
        at = writer(series, worker).find(1, ("a",), 1)
        assert at is not None
        series.view[at] = worker
    assert found(series) == {(worker, 1, ("a",)): [worker] for worker in (0, 5, WORKER_SLOTS - 1)}


def test_no_two_regions_share_a_cell() -> None:
    assert row(WORKER_SLOTS - 1) + len(RegionField) <= REGIONS
    assert max(Header) < row(0)
    assert region(1) - region(0) == REGION
    assert region(WORKER_SLOTS - 1) + REGION == SIZE // CELL


@pytest.mark.parametrize("parts", [(0, 0, 1), (1, MAX_TEXT, SPARE), (65535, 7, 3)])
def test_a_head_says_what_it_was_made_of(parts: tuple[int, int, int]) -> None:
    assert parts_of(head_of(*parts)) == parts


def test_whoever_maps_the_file_sees_every_number(tmp_path: Path) -> None:
    series = shared(tmp_path)
    at = writer(series).find(1, ("a",), 1)
    assert at is not None
    series.view[at] = 4711
    assert found(open_as_a_new_process(tmp_path)) == {(0, 1, ("a",)): [4711]}


def test_a_new_file_is_private_and_takes_a_page(tmp_path: Path) -> None:
    Series.create(tmp_path)
    status = (tmp_path / FILE).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_blocks * 512 <= 2**13


def test_reading_takes_no_memory_for_workers_that_never_lived(tmp_path: Path) -> None:
    series = shared(tmp_path)
    before = (tmp_path / FILE).stat().st_blocks
    assert found(series) == {}
    assert series.lost() == 0
    assert (tmp_path / FILE).stat().st_blocks == before


@pytest.mark.parametrize(
    ("cell", "number", "what"),
    [
        (Header.MAGIC, 1, "is not a series file of this version of lbg"),
        (Header.VERSION, 99, "is not a series file of this version of lbg"),
        (Header.BOOT, 1, "is from before the last boot"),
        (row(0) + RegionField.USED, REGION + 1, "has entries that no worker wrote"),
        (row(3) + RegionField.USED, SPARE + 1, "has entries that no worker wrote"),
    ],
)
def test_a_file_that_no_worker_wrote_is_not_trusted(
    tmp_path: Path, cell: int, number: int, what: str
) -> None:
    Series.create(tmp_path)
    write(tmp_path, cell, number)
    with pytest.raises(Damaged, match=what):
        open_as_a_new_process(tmp_path)


@pytest.mark.parametrize(
    "head", [head_of(1, 0, 0), head_of(1, 0, SPARE + 1), head_of(1, MAX_TEXT + 1, 1), head_of(1, 64, 60)]
)
def test_a_damaged_entry_is_not_trusted(tmp_path: Path, head: int) -> None:
    series = shared(tmp_path)
    writer(series).find(1, ("a",), 1)
    write(tmp_path, region(0) + SPARE, head)
    with pytest.raises(Damaged, match="has entries that no worker wrote"):
        open_as_a_new_process(tmp_path)


def test_room_that_the_disk_does_not_have_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = shared(tmp_path)

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "allocate", refuse)
    with pytest.raises(OSError, match="No space left"):
        series.reserve(1)


def test_a_load_that_failed_leaves_the_time_of_the_last_good_one(monkeypatch: pytest.MonkeyPatch) -> None:
    series = Series.private()
    monkeypatch.setattr(module, "time_ns", lambda: 4711)
    series.note_load(loaded=True)
    assert (series.view[Header.LOADED], series.view[Header.LOADED_AT]) == (1, 4711)
    monkeypatch.setattr(module, "time_ns", lambda: 4712)
    series.note_load(loaded=False)
    assert (series.view[Header.LOADED], series.view[Header.LOADED_AT]) == (0, 4711)


def test_the_file_module_knows_files_of_another_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Series.create(tmp_path)
    monkeypatch.setattr(file_module.os, "geteuid", lambda: 4711)
    with pytest.raises(Damaged, match="is not a file of this user"):
        open_as_a_new_process(tmp_path)
