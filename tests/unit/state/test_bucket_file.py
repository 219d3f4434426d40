"""The bucket file: which ones are trusted, what happens on a full disk and when the file is gone."""

import errno
import itertools
import os
import stat
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.state import bucket_memory as memory_module
from lbg.state import state_file
from lbg.state.bucket_file import FILE, SIZE
from lbg.state.bucket_layout import (
    AREA,
    AREAS,
    COUNTS,
    HOLD_PLACES,
    HOLD_SET,
    HOLD_SETS,
    LIMIT_ROW,
    LIMITS,
    ROW,
    SET,
    SETS,
    WAYS,
    Count,
    Header,
    Kind,
    LimitField,
    Part,
    RowField,
    area,
    counts,
    hold_set,
    holds,
    limit_row,
    rate_set,
)
from lbg.state.bucket_memory import BucketMemory
from lbg.state.layout import CELL, WORKER_SLOTS
from lbg.state.limiter import Outcome
from lbg.state.state_file import Damaged
from tests.unit.state.limits import Limits


def write(path: Path, cell: int, number: int) -> None:
    with (path / FILE).open("r+b") as file:
        file.seek(cell * CELL)
        file.write(struct.pack("=Q", number))


def open_as_a_new_process(path: Path) -> BucketMemory:
    memory_module._MAPPED.clear()
    return BucketMemory.open(path)


def test_no_two_numbers_share_a_cell() -> None:
    ranges = [
        (0, Header.SECRET + 4),
        *((limit_row(slot), LIMIT_ROW) for slot in (0, 1, LIMITS - 1)),
        *((rate_set(number), SET) for number in (0, 1, SETS - 1)),
        *((hold_set(number), HOLD_SET) for number in (0, 1, HOLD_SETS - 1)),
    ]
    for worker in (0, 1, WORKER_SLOTS - 1):
        ranges += [(counts(worker, limit), COUNTS) for limit in (0, 1, LIMITS - 1)]
        ranges.append((holds(worker) // 2, HOLD_PLACES // 2))
    taken = sorted(ranges)
    for (start, size), (following, _) in itertools.pairwise(taken):
        assert start + size <= following
    assert sum(taken[-1]) <= SIZE // CELL
    assert area(1) - area(0) == AREA
    assert area(0) == AREAS


def test_the_parts_of_a_row_fit_into_it() -> None:
    assert max(RowField) < ROW
    assert max(LimitField) < LIMIT_ROW
    assert max(Count) < COUNTS
    assert Part.ROWS + WAYS * ROW == SET


def test_a_new_file_is_private_and_takes_a_page(tmp_path: Path) -> None:
    BucketMemory.create(tmp_path)
    status = (tmp_path / FILE).stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_size == SIZE
    assert status.st_blocks * 512 <= 2**14
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_each_file_has_a_secret_of_its_own(tmp_path: Path) -> None:
    secrets = set()
    for _ in range(3):
        BucketMemory.create(tmp_path)
        secrets.add(BucketMemory.open(tmp_path).secret)
    assert len(secrets) == 3
    assert {len(secret) for secret in secrets} == {32}


def test_whoever_maps_the_file_sees_every_number(tmp_path: Path) -> None:
    BucketMemory.create(tmp_path)
    first = BucketMemory.open(tmp_path)
    first.reserve(3)
    first.view[rate_set(9)] = 4711
    again = open_as_a_new_process(tmp_path)
    assert again.view[rate_set(9)] == 4711
    assert again.secret == first.secret
    assert again.reserved


def test_a_new_file_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    BucketMemory.create(tmp_path)
    BucketMemory.open(tmp_path).reserve(0)
    (tmp_path / "buckets.new").write_text("left by a master that was killed")
    BucketMemory.create(tmp_path)
    assert not BucketMemory.open(tmp_path).reserved


@pytest.mark.parametrize(
    ("cell", "number", "what"),
    [
        (Header.MAGIC, 1, "is not a bucket file of this version of lbg"),
        (Header.VERSION, 99, "is not a bucket file of this version of lbg"),
        (Header.BOOT, 1, "is from before the last boot"),
        (Header.WORKERS, WORKER_SLOTS + 1, "has a header that no master wrote"),
        (Header.RESERVED, 2, "has a header that no master wrote"),
    ],
)
def test_a_header_of_another_file_is_not_trusted(tmp_path: Path, cell: int, number: int, what: str) -> None:
    BucketMemory.create(tmp_path)
    write(tmp_path, cell, number)
    with pytest.raises(Damaged, match=what):
        open_as_a_new_process(tmp_path)


@pytest.mark.parametrize("size", [0, 100, SIZE - 1, SIZE + 1])
def test_a_file_of_another_size_is_not_trusted(tmp_path: Path, size: int) -> None:
    BucketMemory.create(tmp_path)
    os.truncate(tmp_path / FILE, size)
    with pytest.raises(Damaged, match="not a bucket file"):
        open_as_a_new_process(tmp_path)


def test_a_link_is_not_trusted(tmp_path: Path) -> None:
    BucketMemory.create(tmp_path)
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Damaged, match="is a symbolic link"):
        open_as_a_new_process(tmp_path)


def test_the_file_of_another_user_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    BucketMemory.create(tmp_path)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(Damaged, match="is not a file of this user"):
        open_as_a_new_process(tmp_path)


def test_a_descriptor_of_a_file_that_is_not_trusted_is_closed(tmp_path: Path) -> None:
    BucketMemory.create(tmp_path)
    write(tmp_path, Header.MAGIC, 1)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Damaged):
        open_as_a_new_process(tmp_path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        BucketMemory.open(tmp_path)


def full() -> Callable[..., None]:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    return refuse


def test_a_full_disk_leaves_no_half_written_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_file, "allocate", full())
    with pytest.raises(OSError, match="No space"):
        BucketMemory.create(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_limits_take_their_disk_space_before_they_touch_it(tmp_path: Path) -> None:
    BucketMemory.create(tmp_path)
    limits = Limits(BucketMemory.open(tmp_path), worker=2)
    limits.limiter()
    assert (tmp_path / FILE).stat().st_blocks * 512 >= area(3) * CELL
    assert limits.memory.view[Header.WORKERS] == 3


def test_without_disk_space_a_worker_limits_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    BucketMemory.create(tmp_path)
    limits = Limits(BucketMemory.open(tmp_path), worker=2)
    monkeypatch.setattr(memory_module, "allocate", full())
    limiter = limits.limiter()
    holder = limits.buckets.holder("api", 1)
    assert caplog.messages == [
        "this worker limits for itself, there is no room for more: No space left on device"
    ]
    assert not limits.memory.reserved
    assert len({limiter.hit(b"a", limits.now)[0] for _ in range(5)}) == 2
    assert holder.acquire(b"a") >= 0
    assert limits.counts(kind=Kind.CONCURRENCY) == {"passed": 1}


def test_where_the_master_found_no_room_a_worker_limits_for_itself_and_says_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    BucketMemory.create(tmp_path)
    limits = Limits(BucketMemory.open(tmp_path), worker=2)
    limits.memory.reserve(9)
    limits.memory.refused = True
    assert not limits.memory.reserved
    limiter = limits.limiter()
    assert [limiter.hit(b"a", limits.now)[0] for _ in range(3)] == [Outcome.PASSED] * 3
    assert not any(limits.memory.view[rate_set(0) : hold_set(0)])
    assert limits.counts() == {"passed": 3}
    assert caplog.messages == []


def test_private_memory_is_of_one_process(tmp_path: Path) -> None:
    assert BucketMemory.private().secret != BucketMemory.private().secret
    assert repr(BucketMemory.private()) == "<BucketMemory private>"
    BucketMemory.create(tmp_path)
    assert repr(BucketMemory.open(tmp_path)) == "<BucketMemory shared>"
