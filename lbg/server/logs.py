"""How log lines look: JSON for machines, coloured text on a terminal."""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lbg.config.schema import LogConfig

_RED: Final = "\033[1;31m"
_GREEN: Final = "\033[1;32m"
_YELLOW: Final = "\033[1;33m"
_CYAN: Final = "\033[1;36m"
_MAGENTA: Final = "\033[1;35m"
_COLOURS: Final = {
    "UP": _GREEN,
    "DOWN": _RED,
    "EJECTED": _YELLOW,
    "TRIAL": _YELLOW,
    "READY": _GREEN,
    "DRAINING": _CYAN,
    "MAINT": _MAGENTA,
}
_WORD: Final = re.compile(rf"(?<![^ ])(?:{'|'.join(_COLOURS)})(?= )")
_LEVELS: Final = {logging.WARNING: "\033[33m", logging.ERROR: "\033[31m", logging.CRITICAL: "\033[31m"}
_RESET: Final = "\033[0m"


class ConsoleFormatter(logging.Formatter):
    """`12:01:03 [4711] message`, with the level where it is not INFO and colours on a terminal."""

    def __init__(self, *, colours: bool) -> None:
        super().__init__("%(asctime)s [%(process)d] %(message)s", "%H:%M:%S")
        self._colours = colours

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = super().formatMessage(record)
        head, message = line[: len(line) - len(record.message)], record.message
        if record.levelno != logging.INFO:
            head = f"{head}{record.levelname} "
        if not self._colours:
            return head + message
        colour = _LEVELS.get(record.levelno, "")
        message = _WORD.sub(lambda word: f"{_COLOURS[word[0]]}{word[0]}{_RESET}{colour}", message)
        return f"{colour}{head}{message}{_RESET}" if colour else head + message


def log_config(config: LogConfig) -> dict[str, Any]:
    """Return the `logging` configuration for gunicorn's and our own loggers; all write to stderr."""
    terminal = sys.stderr.isatty()
    as_json = config.format == "json" or (config.format == "auto" and not terminal)
    level = config.level.upper()
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s",
                "rename_fields": {"asctime": "ts", "levelname": "level", "process": "pid", "name": "logger"},
            },
            "console": {"()": "lbg.server.logs.ConsoleFormatter", "colours": terminal},
        },
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stderr",
                "formatter": "json" if as_json else "console",
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {
            "gunicorn.error": {"level": level, "handlers": ["stderr"], "propagate": False},
            "gunicorn.access": {"level": level, "handlers": ["stderr"], "propagate": False},
            "lbg": {"level": level, "handlers": ["stderr"], "propagate": False},
        },
    }
