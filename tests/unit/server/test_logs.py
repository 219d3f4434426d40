"""How log lines look."""

import _thread
import io
import json
import logging
import logging.config
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import pytest

from lbg.config.schema import LogConfig
from lbg.server.logs import ConsoleFormatter, JsonFormatter, StderrHandler, log_config, write_behind
from lbg.telemetry import log_target
from tests.support.waiting import eventually


def line(message: str, level: int = logging.INFO, *, colours: bool = False, **extra: str) -> str:
    """Return the console line for `message` without its time and pid."""
    record = logging.LogRecord("lbg", level, "", 0, message, (), None)
    record.__dict__.update(extra)
    formatted = ConsoleFormatter(colours=colours).format(record)
    head, _, rest = formatted.partition("] ")
    assert head.rpartition("[")[2] == str(record.process)
    return rest


def test_a_usual_line_is_time_pid_and_message() -> None:
    assert line("hello") == "hello"


@pytest.mark.parametrize("level", [logging.DEBUG, logging.WARNING, logging.ERROR, logging.CRITICAL])
def test_an_unusual_level_is_named(level: int) -> None:
    assert line("hello", level) == f"{logging.getLevelName(level)} hello"


def test_an_empty_message_keeps_time_and_pid() -> None:
    assert line("", logging.WARNING) == "WARNING "


@pytest.mark.parametrize(
    ("word", "colour"),
    [
        ("UP", "\033[1;32m"),
        ("DOWN", "\033[1;31m"),
        ("EJECTED", "\033[1;33m"),
        ("TRIAL", "\033[1;33m"),
        ("READY", "\033[1;32m"),
        ("DRAINING", "\033[1;36m"),
        ("MAINT", "\033[1;35m"),
    ],
)
def test_the_words_of_a_state_are_coloured_on_a_terminal_only(word: str, colour: str) -> None:
    assert line(f"{word} api http://a", colours=True) == f"{colour}{word}\033[0m api http://a"
    assert line(f"a is {word} now", colours=True) == f"a is {colour}{word}\033[0m now"
    assert line(f"{word} api http://a") == f"{word} api http://a"


@pytest.mark.parametrize(
    "message", ["UPDATE a", "GET /UP HTTP/1.1", "SETUP UPS", "TRIALS", "-DOWN a", "up a"]
)
def test_no_other_word_is_coloured(message: str) -> None:
    assert line(message, colours=True) == message


def test_after_a_coloured_word_a_warning_goes_on_in_its_own_colour() -> None:
    formatted = line("DOWN api http://a", logging.WARNING, colours=True)
    assert formatted == "WARNING \033[1;31mDOWN\033[0m\033[33m api http://a\033[0m"


def test_errors_are_red_on_a_terminal() -> None:
    assert line("bad", logging.ERROR, colours=True).endswith("ERROR bad\033[0m")


def test_a_line_about_a_request_ends_in_its_pool_and_id() -> None:
    assert line("503", logging.WARNING, request_id="id1", pool="api") == "WARNING 503 (pool api, id id1)"
    assert line("404", request_id="id1") == "404 (id id1)"
    assert line("lost", lost="2", pool="api") == "lost"


def test_pool_and_id_are_dim_on_a_terminal() -> None:
    assert line("404", colours=True, request_id="id1") == "404\033[2m (id id1)\033[0m"
    warning = line("503", logging.WARNING, colours=True, request_id="id1")
    assert warning == "WARNING 503\033[0m\033[2m (id id1)\033[0m"


def test_no_id_forges_a_line() -> None:
    assert "\n" not in line("404", request_id="a\n12:00:00")


class Terminal(io.StringIO):
    """A stderr that is a terminal or not."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Tell which."""
        return self._terminal


Format = Literal["auto", "json", "console"]


@pytest.mark.parametrize(
    ("form", "terminal", "formatter"),
    [
        ("auto", True, "console"),
        ("auto", False, "json"),
        ("json", True, "json"),
        ("console", False, "console"),
    ],
)
def test_the_form_follows_setting_and_terminal(
    form: Format,
    terminal: bool,
    formatter: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal(terminal=terminal))
    assert log_config(LogConfig(format=form))["handlers"]["stderr"]["formatter"] == formatter


def test_a_json_line_is_one_object_with_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    stderr = Terminal(terminal=False)
    monkeypatch.setattr(sys, "stderr", stderr)
    config: dict[str, Any] = log_config(LogConfig(format="json"))
    config["loggers"] = {"lbg.unit.test": config["loggers"]["lbg"]}
    config["disable_existing_loggers"] = False
    del config["root"]
    logging.config.dictConfig(config)
    logging.getLogger("lbg.unit.test").info("two\nlines %s", '"x"', extra={"reason": "no_route"})
    written = stderr.getvalue()
    assert written.count("\n") == 1
    fields = json.loads(written)
    assert (fields["message"], fields["level"], fields["reason"]) == ('two\nlines "x"', "INFO", "no_route")
    assert {"ts", "pid", "logger"} <= fields.keys()


def test_the_time_of_a_json_line_is_utc_as_in_the_access_log(monkeypatch: pytest.MonkeyPatch) -> None:
    record = logging.makeLogRecord({"created": 1_750_068_063.25, "msecs": 250.0, "msg": "x"})
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        written = JsonFormatter("%(asctime)s").format(record)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert json.loads(written)["asctime"] == "2025-06-16T10:01:03.250Z"


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_the_level_is_that_of_our_and_gunicorns_loggers(level: Literal["debug", "warning"]) -> None:
    loggers = log_config(LogConfig(level=level))["loggers"]
    assert {name: logger["level"] for name, logger in loggers.items()} == dict.fromkeys(
        ("gunicorn.error", "gunicorn.access", "lbg"), level.upper()
    )


@pytest.fixture
def read_by_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stderr be no file, which it is where it is captured."""
    monkeypatch.setattr(log_target.LogTarget, "has_reader", True)


@contextmanager
def handling() -> Iterator[StderrHandler]:
    """Lend a handler of the logger `lbg`."""
    made = StderrHandler(sys.stderr)
    log = logging.getLogger("lbg")
    log.addHandler(made)
    try:
        yield made
    finally:
        log.removeHandler(made)


def warn(handler: StderrHandler, message: str, error: BaseException | None = None) -> None:
    info = (type(error), error, error.__traceback__) if error is not None else None
    handler.handle(logging.LogRecord("lbg", logging.WARNING, "", 0, message, (), info))


def test_a_line_is_written_before_the_next_step(capfd: pytest.CaptureFixture[str]) -> None:
    with handling() as handler:
        warn(handler, "first")
        assert capfd.readouterr().err == "first\n"


def test_into_a_file_lines_are_written_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with handling() as handler:
        write_behind()
        warn(handler, "first")
        assert capfd.readouterr().err == "first\n"


@pytest.mark.usefixtures("read_by_somebody")
def test_lines_that_a_thread_writes_are_there_at_the_end_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    with handling() as handler:
        write_behind()
        for number in range(100):
            warn(handler, str(number))
        warn(handler, "the application failed: ü", ZeroDivisionError("traceback"))
        handler.flush()
        lines = capfd.readouterr().err.splitlines()
        assert lines[:100] == [str(number) for number in range(100)]
        assert lines[100:] == ["the application failed: ü", "ZeroDivisionError: traceback"]


@pytest.mark.usefixtures("read_by_somebody")
def test_a_line_that_a_thread_writes_does_not_wait_for_others(capfd: pytest.CaptureFixture[str]) -> None:
    with handling() as handler:
        write_behind()
        warn(handler, "alone")
        eventually(lambda: capfd.readouterr().err == "alone\n")


def test_without_stderr_nothing_is_written_to_what_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    with handling() as handler:
        monkeypatch.setattr(log_target.sys, "__stderr__", None)
        handler.setStream(io.StringIO())
        write_behind()
        warn(handler, "first")
        assert handler.stream.getvalue() == "first\n"  # type: ignore[attr-defined]


@pytest.mark.usefixtures("read_by_somebody")
def test_a_reader_that_stops_holds_up_nobody_and_lost_lines_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with handling() as handler:
        gate = _thread.allocate_lock()
        written: list[bytes] = []

        def write(_: log_target.LogTarget, lines: list[bytes]) -> int:
            with gate:
                written.extend(lines)
            return 0

        monkeypatch.setattr(log_target.LogTarget, "write", write)
        write_behind()
        gate.acquire()
        for _ in range(3000):
            warn(handler, "x" * 1000)
        gate.release()
        handler.flush()
        kept = len(written)
        warn(handler, "again")
        warn(handler, "and again")
        handler.flush()
        loss = f"lost {3000 - kept} lines of this log: stderr takes them too slowly\n"
        assert 1000 < kept < 1100
        assert written[kept:] == [loss.encode(), b"again\n", b"and again\n"]
