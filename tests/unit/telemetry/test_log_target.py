"""Where log lines end up: files, and pipes that others write to as well."""

import fcntl
import os
import stat
from pathlib import Path

import pytest

from lbg.telemetry import log_target
from lbg.telemetry.log_target import ATOMIC, LogTarget


def test_lines_are_appended_to_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(b"old\n")
    target = LogTarget(str(file))
    assert target.write([b"one\n", b"two\n"]) == 0
    assert target.write([b"three\n"]) == 0
    assert file.read_bytes() == b"old\none\ntwo\nthree\n"


def test_a_new_file_is_not_for_everybody_to_read(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        LogTarget(str(tmp_path / "access.log")).write([b"one\n"])
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "access.log").stat().st_mode) == 0o640


def test_a_moved_file_is_written_until_it_is_reopened(tmp_path: Path) -> None:
    file, moved = tmp_path / "access.log", tmp_path / "access.log.1"
    target = LogTarget(str(file))
    target.write([b"one\n"])
    file.rename(moved)
    target.write([b"two\n"])
    target.reopen()
    target.write([b"three\n"])
    assert moved.read_bytes() == b"one\ntwo\n"
    assert file.read_bytes() == b"three\n"


def test_lines_that_find_no_file_are_lost_and_those_after_it_is_there_are_not(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "access.log"
    target = LogTarget(str(file))
    assert target.write([b"one\n", b"two\n"]) == 2
    assert target.trouble == f"{file}: No such file or directory"
    file.parent.mkdir()
    assert target.write([b"three\n"]) == 0
    assert target.trouble == ""
    assert file.read_bytes() == b"three\n"


@pytest.mark.parametrize(("room", "kept"), [(11, b"old\none\n"), (12, b"old\none\ntwo\n"), (5, b"old\n")])
def test_a_line_that_a_full_disk_cut_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int, kept: bytes
) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(b"old\n")
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[: room - 4]))
    target = LogTarget(str(file))
    assert target.write([b"one\n", b"two\n", b"three\n"]) == 4 - kept.count(b"\n")
    assert "is the disk full?" in target.trouble
    assert file.read_bytes() == kept


def test_other_processes_are_shut_out_while_a_batch_is_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "access.log"
    file.touch()
    write = os.write

    def write_beside_another(fd: int, data: bytes) -> int:
        with file.open("rb") as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return write(fd, data)

    monkeypatch.setattr(os, "write", write_beside_another)
    assert LogTarget(str(file)).write([b"one\n"]) == 0
    with file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_pipe_gets_whole_lines_in_pieces_that_do_not_mix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    pieces: list[bytes] = []
    monkeypatch.setattr(os, "write", lambda fd, data: pieces.append(data) or len(data))
    lines = [b"x" * 999 + b"\n"] * 10 + [b"y" * (ATOMIC - 1) + b"\n", b"z\n"]
    target = LogTarget(str(pipe))
    assert target.write(lines) == 0
    target.reopen()
    os.close(reader)
    assert b"".join(pieces) == b"".join(lines)
    assert [len(piece) for piece in pieces] == [4000, 4000, 2000, ATOMIC, 2]


def test_a_pipe_whose_reader_left_loses_lines(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    target = LogTarget(str(pipe))
    assert target.write([b"one\n"]) == 0
    os.close(reader)
    assert target.write([b"two\n"]) == 1
    assert target.trouble == f"{pipe}: Broken pipe"


def test_a_full_pipe_that_does_not_block_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write, waited = os.write, []

    def full_once(fd: int, data: bytes) -> int:
        if not waited:
            waited.append(fd)
            raise BlockingIOError
        return write(fd, data)

    monkeypatch.setattr(os, "write", full_once)
    target = LogTarget(str(pipe))
    assert target.write([b"one\n"]) == 0
    assert os.read(reader, 100) == b"one\n"
    target.reopen()
    os.close(reader)


def test_stdout_is_written_and_never_closed(capfd: pytest.CaptureFixture[str]) -> None:
    target = LogTarget("")
    assert target.write([b"one\n"]) == 0
    target.reopen()
    assert target.write([b"two\n"]) == 0
    assert capfd.readouterr().out == "one\ntwo\n"


def test_a_process_without_stdout_has_no_such_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_target.sys, "__stdout__", None)
    assert LogTarget("").closed
    assert not LogTarget("").terminal
    assert not LogTarget("/var/log/access.log").closed


def test_a_fifo_without_a_reader_loses_lines_and_holds_up_nobody(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    target = LogTarget(str(pipe))
    assert target.write([b"one\n", b"two\n"]) == 2
    assert target.trouble == f"{pipe}: No such device or address"
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert target.write([b"three\n"]) == 0
    assert os.read(reader, 100) == b"three\n"
    target.reopen()
    os.close(reader)


def test_a_file_is_written_by_a_descriptor_that_blocks(tmp_path: Path) -> None:
    target = LogTarget(str(tmp_path / "access.log"))
    target.write([b"one\n"])
    assert os.get_blocking(target._fd)
    target.reopen()


def test_stderr_is_another_standard_stream(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = LogTarget("", "stderr")
    assert (target.write([b"one\n"]), target.name) == (0, "stderr")
    assert capfd.readouterr().err == "one\n"
    monkeypatch.setattr(log_target.sys, "__stderr__", None)
    assert target.closed
    assert not target.has_reader
    assert not LogTarget("").closed


def test_a_pipe_has_a_reader_and_a_file_has_none(tmp_path: Path) -> None:
    target = LogTarget("", "stderr")
    before = os.dup(2)
    reader, writer = os.pipe()
    try:
        with (tmp_path / "log").open("wb") as file:
            os.dup2(file.fileno(), 2)
            assert not target.has_reader
        os.dup2(writer, 2)
        assert target.has_reader
    finally:
        os.dup2(before, 2)
        for fd in (before, reader, writer):
            os.close(fd)
