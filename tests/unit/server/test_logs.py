"""How log lines look."""

import io
import json
import logging
import logging.config
import sys
from typing import Any, Literal

import pytest

from lbg.config.schema import LogConfig
from lbg.server.logs import ConsoleFormatter, log_config


def line(message: str, level: int = logging.INFO, *, colours: bool = False) -> str:
    """Return the console line for `message` without its time and pid."""
    record = logging.LogRecord("lbg", level, "", 0, message, (), None)
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


@pytest.mark.parametrize("level", ["debug", "warning"])
def test_the_level_is_that_of_our_and_gunicorns_loggers(level: Literal["debug", "warning"]) -> None:
    loggers = log_config(LogConfig(level=level))["loggers"]
    assert {name: logger["level"] for name, logger in loggers.items()} == dict.fromkeys(
        ("gunicorn.error", "gunicorn.access", "lbg"), level.upper()
    )
