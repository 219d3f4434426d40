"""The thread that writes log lines, and what it does when they cannot be written."""

import _thread

from lbg.telemetry.log_target import LogTarget
from lbg.telemetry.log_writer import LogWriter
from tests.support.waiting import eventually

LONG = 10.0  # seconds, of which these tests need none


class Place(LogTarget):
    """Notes what is written; `gate` holds a write up, `room` is how many lines of each write it keeps."""

    def __init__(self, room: int = 1_000_000) -> None:
        super().__init__("/place")
        self.lines: list[bytes] = []
        self.room = room
        self.gate = _thread.allocate_lock()
        self.entered = _thread.allocate_lock()
        self.entered.acquire()

    def write(self, lines: list[bytes]) -> int:
        if self.entered.locked():
            self.entered.release()
        with self.gate:
            self.lines += lines[: self.room]
        lost = max(0, len(lines) - self.room)
        self.trouble = "/place: No space left on device" if lost else ""
        return lost

    def reopen(self) -> None:
        self.lines.append(b"reopened\n")


def test_lines_are_written_in_order() -> None:
    place = Place()
    writer = LogWriter(place)
    lines = [f"{number}\n" for number in range(10_000)]
    for line in lines:
        writer.put(line)
    writer.close(LONG)
    assert b"".join(place.lines).decode() == "".join(lines)
    assert writer.lost == 0


def test_a_place_that_blocks_holds_up_nobody_and_loses_what_there_is_no_room_for() -> None:
    place = Place()
    writer = LogWriter(place, backlog=1000)
    place.gate.acquire()
    writer.put("first\n")
    place.entered.acquire()
    for number in range(1000):
        writer.put(f"{number:09}\n")
    waiting = 1 + (1000 - 6) // 10  # one more fits while there is room at all
    assert writer.lost == 1000 - waiting
    assert writer.trouble == "/place takes them too slowly"
    place.gate.release()
    writer.close(LONG)
    assert len(place.lines) == 1 + waiting
    assert writer.lost == 1000 - waiting


def test_there_is_room_again_after_what_waited_was_written() -> None:
    place = Place()
    writer = LogWriter(place, backlog=10)
    place.gate.acquire()
    writer.put("first of them\n")
    writer.put("lost\n")
    place.gate.release()
    eventually(lambda: "waiting=0" in repr(writer))
    writer.put("again\n")
    writer.close(LONG)
    assert place.lines == [b"first of them\n", b"again\n"]
    assert writer.lost == 1


def test_lines_that_the_place_does_not_take_are_lost_and_counted() -> None:
    place = Place(room=1)
    writer = LogWriter(place)
    for line in ("a\n", "b\n", "c\n"):
        writer.put(line)
    writer.close(LONG)
    assert len(place.lines) + writer.lost == 3
    assert writer.lost == 2
    assert writer.trouble == "/place: No space left on device"


def test_a_file_is_reopened_by_the_thread_that_writes_it() -> None:
    place = Place()
    writer = LogWriter(place)
    writer.put("one\n")
    writer.reopen()
    writer.close(LONG)
    assert sorted(place.lines) == [b"one\n", b"reopened\n"]


def test_a_place_that_blocks_does_not_hold_up_the_end() -> None:
    place = Place()
    writer = LogWriter(place)
    place.gate.acquire()
    writer.put("first\n")
    writer.close(0.0)
    writer.put("late\n")
    assert writer.lost == 1
    place.gate.release()


def test_an_end_without_a_line_waits_for_nothing() -> None:
    writer = LogWriter(Place())
    writer.close(LONG)
    assert "lost=0" in repr(writer)


def test_a_line_of_any_characters_is_written() -> None:
    place = Place()
    writer = LogWriter(place)
    writer.put("ü \udcff\n")
    writer.close(LONG)
    assert place.lines == ["ü \\udcff\n".encode()]


def test_all_that_waits_is_written_when_it_is_drained_and_more_may_come() -> None:
    place = Place()
    writer = LogWriter(place, gather=0.0)
    for number in range(100):
        writer.put(f"{number}\n")
    writer.drain(LONG)
    assert len(place.lines) == 100
    writer.put("more\n")
    writer.drain(LONG)
    assert place.lines[-1] == b"more\n"


def test_a_place_that_blocks_does_not_hold_up_who_drains() -> None:
    place = Place()
    writer = LogWriter(place)
    place.gate.acquire()
    writer.put("first\n")
    writer.drain(0.0)
    assert place.lines == []
    place.gate.release()
    writer.close(LONG)
