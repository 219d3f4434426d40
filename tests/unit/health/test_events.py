"""The log of what happened to endpoints."""

import errno
import json
import logging
import os
import stat
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from lbg.health.events import FILE, Event, EventLog

NOW = 1_700_000_000.0


def clock() -> float:
    return NOW


def writer(directory: Path | None = None, kept: int = 1000) -> EventLog:
    """Return a log that may write, whose clock stands still."""
    log = EventLog(directory, kept, clock)
    log.open_for_writing()
    return log


def add(log: EventLog, *texts: str) -> list[Event]:
    return [log.add("down", "api", "http://a:1", text, 1.5) for text in texts]


def texts(log: EventLog, last_id: int = 0) -> list[str]:
    return [event.text for event in log.since(last_id)]


def lines(directory: Path) -> list[bytes]:
    return (directory / FILE).read_bytes().splitlines()


def test_an_event_holds_what_it_was_given_and_the_time() -> None:
    event = writer().add("up", "api", "http://a:1", "status 200", 12.3456)
    assert event == Event(event.id, NOW, "up", "api", "http://a:1", "status 200", 12.346)


def test_events_come_in_order_with_rising_ids() -> None:
    log = writer()
    first, second, third = add(log, "a", "b", "c")
    assert first.id < second.id < third.id == log.last_id
    assert log.since(first.id) == [second, third]


def test_a_new_log_has_no_events() -> None:
    assert (EventLog().since(0), EventLog().last_id) == ([], 0)


def test_the_log_keeps_the_last_ones_only() -> None:
    log = writer(kept=3)
    add(log, "a", "b", "c", "d")
    assert texts(log) == ["b", "c", "d"]


def test_ids_rise_over_a_restart_that_lost_the_history() -> None:
    (before,) = add(EventLog(clock=lambda: NOW), "a")
    (after,) = add(EventLog(clock=lambda: NOW + 0.01), "b")
    assert before.id < after.id


def test_an_id_from_the_future_gets_everything() -> None:
    log = writer()
    (event,) = add(log, "a")
    assert log.since(event.id + 1) == [event]
    assert next(log.follow(event.id + 1)) == event


def test_a_follower_gets_the_history_after_its_id_first() -> None:
    log = writer()
    first, second, third = add(log, "a", "b", "c")
    followed = log.follow(first.id)
    assert [next(followed), next(followed)] == [second, third]


def test_a_follower_gets_a_heartbeat_when_nothing_happens() -> None:
    log = writer()
    followed = log.follow(0, heartbeat=0.0)
    assert [next(followed), next(followed)] == [None, None]
    (event,) = add(log, "a")
    assert [next(followed), next(followed)] == [event, None]


def test_a_follower_wakes_for_an_event() -> None:
    log = writer()
    seen: list[Event | None] = []
    thread = Thread(target=lambda: seen.extend([next(log.follow(0, heartbeat=30.0))]))
    thread.start()
    (event,) = add(log, "a")
    thread.join(10)
    assert seen == [event]


def test_each_follower_gets_each_event() -> None:
    log = writer()
    followers = [log.follow(0), log.follow(0)]
    (event,) = add(log, "a")
    assert [next(follower) for follower in followers] == [event, event]


def test_a_follower_that_was_too_slow_goes_on_with_what_is_kept() -> None:
    log = writer(kept=2)
    followed = log.follow(0, heartbeat=0.0)
    add(log, "a", "b", "c")
    assert [event.text for event in (next(followed), next(followed)) if event] == ["b", "c"]


def test_closing_ends_followers_after_what_they_have_not_seen() -> None:
    log = writer()
    (event,) = add(log, "a")
    followed = log.follow(0)
    log.close()
    assert list(followed) == [event]


def test_closing_wakes_a_follower() -> None:
    log = writer()
    thread = Thread(target=lambda: list(log.follow(0, heartbeat=30.0)))
    thread.start()
    log.close()
    thread.join(10)
    assert not thread.is_alive()


def test_after_closing_events_stay_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = writer(tmp_path)
    log.close()
    add(log, "a")
    assert (texts(log), lines(tmp_path), caplog.messages) == (["a"], [], [])


def test_the_next_writer_goes_on_with_ids_and_history(tmp_path: Path) -> None:
    (old,) = add(writer(tmp_path), "a")
    log = writer(tmp_path)
    (new,) = add(log, "b")
    assert log.since(0) == [old, new]
    assert new.id == old.id + 1
    assert [json.loads(line)["text"] for line in lines(tmp_path)] == ["a", "b"]


@pytest.mark.parametrize("count", [1, 3])
def test_the_file_is_for_its_user_only(count: int, tmp_path: Path) -> None:
    add(writer(tmp_path, kept=1), *"abc"[:count])
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600


def test_each_event_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = writer(tmp_path)
    written: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda _, data: written.append(data) or len(data))
    add(log, "a", "two\nlines")
    assert [data.count(b"\n") for data in written] == [1, 1]
    assert all(data.endswith(b"\n") for data in written)


def test_a_reader_sees_what_the_writer_adds_and_writes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log, reader = writer(tmp_path), EventLog(tmp_path, clock=clock)
    assert reader.last_id == 0
    (event,) = add(log, "a")
    assert (reader.last_id, reader.since(0)) == (event.id, [event])
    add(reader, "not mine to write")
    assert (len(lines(tmp_path)), caplog.messages) == (1, [])


def test_a_reader_finds_events_that_came_before_the_file(tmp_path: Path) -> None:
    reader = EventLog(tmp_path)
    assert texts(reader) == []
    add(writer(tmp_path), "a")
    assert texts(reader) == ["a"]


def test_a_follower_of_a_reader_sees_what_the_writer_adds(tmp_path: Path) -> None:
    log, reader = writer(tmp_path), EventLog(tmp_path)
    followed = reader.follow(0, heartbeat=0.0)
    assert next(followed) is None
    (event,) = add(log, "a")
    assert next(followed) == event


def test_a_reader_that_becomes_the_writer_wakes_its_followers_with_the_rest(tmp_path: Path) -> None:
    log, reader = writer(tmp_path), EventLog(tmp_path, clock=clock)
    (first,) = add(log, "a")
    followed = reader.follow(0, heartbeat=0.0)
    assert next(followed) == first
    (second,) = add(log, "b")
    log.close()
    reader.open_for_writing()
    (third,) = add(reader, "c")
    assert [next(followed), next(followed)] == [second, third]
    assert len(lines(tmp_path)) == 3


def test_a_reader_does_not_mind_half_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    add(writer(tmp_path), "a")
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"id": 17')
    assert texts(EventLog(tmp_path)) == ["a"]
    assert caplog.messages == []


def test_the_file_is_cut_when_it_passes_twice_the_bound(tmp_path: Path) -> None:
    log = writer(tmp_path, kept=3)
    add(log, *"abcdef")
    assert len(lines(tmp_path)) == 6
    add(log, "g")
    assert [json.loads(line)["text"] for line in lines(tmp_path)] == ["e", "f", "g"]
    add(log, "h")
    assert len(lines(tmp_path)) == 4
    assert os.listdir(tmp_path) == [FILE]


def test_the_next_writer_counts_the_lines_that_are_there(tmp_path: Path) -> None:
    add(writer(tmp_path, kept=3), *"abcdef")
    add(writer(tmp_path, kept=3), "g")
    assert len(lines(tmp_path)) == 3


DAMAGES = [
    b'{"id": 17',
    b"not json\n",
    b"\0\0\0\0\n",
    b'{"id": 17, "time": 1}\n',
    b'{"id": 0, "time": 1, "kind": "up", "pool": "a", "endpoint": "b", "text": "c", "after": 1}\n',
    b'{"id": 9007199254740992, "time": 1, "kind": "up", "pool": "", "endpoint": "", "text": "", "after":1}\n',
    b'{"id": 9, "time": 1, "kind": "u\\np", "pool": "a", "endpoint": "b", "text": "c", "after": 1}\n',
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_line_costs_that_line_and_a_warning(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add(writer(tmp_path), "a")
    with (tmp_path / FILE).open("ab") as file:
        file.write(damage)
    log = writer(tmp_path)
    add(log, "b")
    assert (texts(log), texts(writer(tmp_path))) == (["a", "b"], ["a", "b"])
    assert caplog.messages == [
        f"{tmp_path / FILE} was damaged or too long; it goes on with what could be read"
    ]


def test_the_half_of_a_first_line_is_no_foreign_file(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"id": 17')
    add(writer(tmp_path), "a")
    assert texts(writer(tmp_path)) == ["a"]


def test_only_the_tail_of_a_huge_file_is_read(tmp_path: Path) -> None:
    add(writer(tmp_path), "a")
    line = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(line * (3_000_000 // len(line)))
    log = writer(tmp_path)
    assert texts(log) == ["a"]
    assert len(lines(tmp_path)) == 1


def foreign_content(path: Path) -> None:
    path.write_text("dear diary\n")


def foreign_link(path: Path) -> None:
    path.with_name("elsewhere").touch()
    path.symlink_to("elsewhere")


@pytest.mark.parametrize("make", [foreign_content, foreign_link, Path.mkdir, os.mkfifo])
def test_a_foreign_file_is_left_alone_with_one_warning(
    make: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path / FILE)
    before = (tmp_path / FILE).lstat()
    log = writer(tmp_path)
    add(log, "a", "b")
    assert texts(log) == ["a", "b"]
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("events are kept in memory only: ")
    assert (tmp_path / FILE).lstat() == before
    assert not (tmp_path / "elsewhere").exists() or not (tmp_path / "elsewhere").stat().st_size


def test_a_link_to_events_is_not_followed(tmp_path: Path) -> None:
    add(writer(tmp_path), "a")
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to("elsewhere")
    assert texts(writer(tmp_path)) == []


def test_a_file_of_another_user_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add(writer(tmp_path), "a")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    log = writer(tmp_path)
    add(log, "b")
    assert texts(log) == ["b"]
    assert len(lines(tmp_path)) == 1
    assert caplog.messages == [
        f"events are kept in memory only: {tmp_path / FILE} is not a file of this user"
    ]


def test_a_directory_that_is_gone_costs_the_file_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = writer(tmp_path / "gone")
    add(log, "a")
    assert texts(log) == ["a"]
    assert len(caplog.messages) == 1


def full(*_: object) -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("write", [full, lambda _, data: len(data) - 1], ids=["refused", "cut"])
def test_a_full_disk_costs_the_file_only_with_one_warning(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    log = writer(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        add(log, "a", "b")
    assert texts(log) == ["a", "b"]
    assert caplog.record_tuples == [
        (
            "lbg.health",
            logging.WARNING,
            "events are kept in memory only: [Errno 28] No space left on device",
        )
    ]


def test_a_disk_that_is_too_full_to_cut_the_file_leaves_no_part_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = writer(tmp_path, kept=2)
    add(log, *"abcd")
    real = os.write
    monkeypatch.setattr(os, "write", lambda to, data: full() if data.count(b"\n") > 1 else real(to, data))
    add(log, "e", "f")
    assert texts(log) == ["e", "f"]
    assert os.listdir(tmp_path) == [FILE]
    assert len(caplog.messages) == 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    log = writer(tmp_path, kept=2)
    add(log, *"abcdefgh")
    texts(EventLog(tmp_path))
    log.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_repr_tells_how_many_there_are() -> None:
    log = writer()
    (event,) = add(log, "a")
    assert repr(log) == f"<EventLog 1 events, last id {event.id}>"
