"""Traces: rings that keep the latest, slots that are torn or damaged, files that are not trusted."""

import errno
import os
from pathlib import Path

import pytest

from lbg.state import trace_memory as module
from lbg.state.layout import CELL, WORKER_SLOTS
from lbg.state.state_file import Damaged
from lbg.state.trace_file import FILE
from lbg.state.trace_layout import (
    AREA,
    LONGEST,
    SIZE,
    SLOT,
    SLOTS,
    Ring,
    RowField,
    SlotField,
    area,
    row,
    slot,
)
from lbg.state.trace_memory import TraceMemory


def kept(memory: TraceMemory, worker: int = 0) -> list[bytes]:
    """Return the documents of a worker, the latest first."""
    found = (memory.read(place) for place in sorted(memory.places(worker), reverse=True))
    return [document for document in found if document is not None]


def write(memory: TraceMemory, *numbers: int, ring: Ring = Ring.FAILED, worker: int = 0) -> None:
    for number in numbers:
        memory.write(worker, ring, number, b"%d" % number)


def shared(path: Path) -> TraceMemory:
    TraceMemory.create(path)
    return TraceMemory.open(path)


def open_as_a_new_process(path: Path) -> TraceMemory:
    module._MAPPED.clear()
    return TraceMemory.open(path)


def test_the_latest_come_first() -> None:
    memory = TraceMemory.private()
    write(memory, 3, 1, 2)
    assert kept(memory) == [b"3", b"2", b"1"]


def test_a_full_ring_loses_its_oldest() -> None:
    memory = TraceMemory.private()
    write(memory, *range(1, SLOTS[Ring.REFUSED] + 3), ring=Ring.REFUSED)
    documents = kept(memory)
    assert len(documents) == SLOTS[Ring.REFUSED]
    assert documents[-1] == b"3"


def test_no_ring_pushes_out_the_others() -> None:
    memory = TraceMemory.private()
    write(memory, 1)
    write(memory, 2, ring=Ring.SERVED)
    write(memory, *range(3, 503), ring=Ring.REFUSED)
    assert kept(memory)[-2:] == [b"2", b"1"]


def test_the_longest_document_fits_and_touches_no_neighbour() -> None:
    memory = TraceMemory.private()
    for number in range(SLOTS[Ring.FAILED]):
        memory.write(0, Ring.FAILED, number, bytes([number]) * LONGEST)
    assert kept(memory) == [bytes([number]) * LONGEST for number in reversed(range(SLOTS[Ring.FAILED]))]


def test_slots_are_apart() -> None:
    firsts = [slot(3, ring, number) for ring in Ring for number in range(SLOTS[ring])]
    assert firsts == list(range(area(3), area(4), SLOT))
    assert area(WORKER_SLOTS) == SIZE
    assert slot(3, Ring.FAILED, SLOTS[Ring.FAILED]) == area(3)


def test_what_was_overwritten_since_it_was_found_is_not_told() -> None:
    memory = TraceMemory.private()
    write(memory, 1)
    (place,) = memory.places(0)
    write(memory, *range(2, SLOTS[Ring.FAILED] + 2))
    assert memory.read(place) is None


def test_what_is_being_written_is_passed_over() -> None:
    memory = TraceMemory.private()
    write(memory, 1, 2)
    memory._view[slot(0, Ring.FAILED, 0) // CELL + SlotField.SEQUENCE] += 1
    assert kept(memory) == [b"2"]


def test_a_torn_document_is_not_told() -> None:
    memory = TraceMemory.private()
    write(memory, 1234)
    (place,) = memory.places(0)
    memory._memory[place.first + 24] ^= 1
    assert memory.read(place) is None


def test_a_worker_that_died_while_it_wrote_is_followed_by_one_that_goes_on() -> None:
    memory = TraceMemory.private()
    write(memory, 1)
    memory._view[slot(0, Ring.FAILED, 1) // CELL + SlotField.SEQUENCE] = 3
    write(memory, 2)
    assert kept(memory) == [b"2", b"1"]


def test_the_beginning_of_a_document_can_be_looked_at() -> None:
    memory = TraceMemory.private()
    write(memory, 123456)
    (place,) = memory.places(0)
    assert memory.read(place, 3) == b"123"


def test_traces_outlive_the_process_and_are_for_all(tmp_path: Path) -> None:
    memory = shared(tmp_path)
    memory.reserve(5)
    write(memory, 1, worker=5)
    again = open_as_a_new_process(tmp_path)
    assert again.workers() == [5]
    write(again, 2, worker=5)
    assert kept(again, 5) == kept(memory, 5) == [b"2", b"1"]


def test_an_area_without_disk_space_is_never_touched(tmp_path: Path) -> None:
    memory = shared(tmp_path)
    assert memory.workers() == []
    assert memory.places(0) == []
    assert not memory.reserved(0)


def test_disk_space_is_taken_for_one_worker_at_a_time(tmp_path: Path) -> None:
    memory = shared(tmp_path)
    before = (tmp_path / FILE).stat().st_blocks * 512
    memory.reserve(3)
    assert AREA <= (tmp_path / FILE).stat().st_blocks * 512 - before < 1.1 * AREA


def test_a_worker_without_disk_space_is_not_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    memory = shared(tmp_path)
    monkeypatch.setattr(module, "allocate", refuse)
    with pytest.raises(OSError, match="No space"):
        memory.reserve(0)
    assert not memory.reserved(0)


def test_what_was_left_out_is_counted_over_all_workers(tmp_path: Path) -> None:
    memory = shared(tmp_path)
    for worker in (1, 2, 2):
        memory.reserve(worker)
        memory.leave_out(worker)
    assert memory.left_out() == 3


@pytest.mark.parametrize("damage", [b"", b"x" * 4096])
def test_another_file_is_not_trusted(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE).write_bytes(damage)
    (tmp_path / FILE).chmod(0o600)
    with pytest.raises(Damaged, match="is not a trace file of this version of lbg"):
        TraceMemory.open(tmp_path)


def test_a_length_that_nobody_wrote_does_no_harm() -> None:
    memory = TraceMemory.private()
    write(memory, 1)
    (place,) = memory.places(0)
    memory._view[place.first // CELL + SlotField.CHECK] = 2**64 - 1
    assert memory.read(place) is None


def test_a_count_that_nobody_wrote_does_no_harm() -> None:
    memory = TraceMemory.private()
    memory._view[row(0) + RowField.WRITTEN] = 2**64 - 1
    assert kept(memory) == []
