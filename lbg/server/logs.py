"""The general log: JSON for machines, coloured text on a terminal; who reads it may stop."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import TYPE_CHECKING, Any, Final, TextIO

from pythonjsonlogger.json import JsonFormatter as PlainJsonFormatter

if TYPE_CHECKING:
    from lbg.config.schema import LogConfig
    from lbg.telemetry.log_writer import LogWriter

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
_DIM: Final = "\033[2m"
_RESET: Final = "\033[0m"

_BACKLOG: Final = 2**20  # characters of lines that may wait
_FLUSH: Final = 1.0  # seconds that lines which wait get when the process ends


class ConsoleFormatter(logging.Formatter):
    """`12:01:03 [4711] message`, with the level where it is not INFO and colours on a terminal.

    Lines about a request end in its pool and its id.
    """

    def __init__(self, *, colours: bool) -> None:
        super().__init__("%(asctime)s [%(process)d] %(message)s", "%H:%M:%S")
        self._colours = colours

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        line = super().formatMessage(record)
        head, message = line[: len(line) - len(record.message)], record.message
        if record.levelno != logging.INFO:
            head = f"{head}{record.levelname} "
        about = _about(record)
        if not self._colours:
            return head + message + about
        colour = _LEVELS.get(record.levelno, "")
        message = _WORD.sub(lambda word: f"{_COLOURS[word[0]]}{word[0]}{_RESET}{colour}", message)
        line = f"{colour}{head}{message}{_RESET}" if colour else head + message
        return f"{line}{_DIM}{about}{_RESET}" if about else line


def _about(record: logging.LogRecord) -> str:
    """Return ` (pool api, id 067c5ee6a12f00000009)` for a line about a request, "" for others."""
    request_id, pool = getattr(record, "request_id", None), getattr(record, "pool", None)
    if request_id is None:
        return ""
    told = f"pool {pool}, id {request_id}" if pool else f"id {request_id}"
    return f" ({told.encode('unicode_escape').decode('ascii')})"


class JsonFormatter(PlainJsonFormatter):
    """An object each line; `ts` is UTC, as in the access log: they are read side by side."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


class StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream at once; after `write_behind` a thread does, and nobody waits for a stopped reader.

    What finds no room then is lost, and counted in the log when there is room again.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._writer: LogWriter | None = None
        self._told = 0

    def write_behind(self) -> None:
        """Leave it to a thread from now on, which writes to stderr; not if that is a file."""
        # Both import gevent, which the master must not.
        from lbg.telemetry.log_target import LogTarget
        from lbg.telemetry.log_writer import LogWriter

        target = LogTarget("", "stderr")
        if target.has_reader:
            self._writer = LogWriter(target, _BACKLOG, gather=0.0)

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or have it written."""
        if self._writer is None:
            super().emit(record)
            return
        try:
            self._put(self._writer, record)
        except Exception:  # noqa: BLE001 - as all handlers
            self.handleError(record)

    def _put(self, writer: LogWriter, record: logging.LogRecord) -> None:
        lost = writer.lost - self._told
        if lost and not writer.full:
            self._told += lost
            writer.put(self.format(_loss(lost, writer.trouble)) + self.terminator)
        writer.put(self.format(record) + self.terminator)

    def flush(self) -> None:
        """Write what waits, for a second at most: called when the process ends."""
        super().flush()
        if self._writer is not None:
            self._writer.drain(_FLUSH)


def _loss(count: int, trouble: str) -> logging.LogRecord:
    values = {
        "name": "lbg.log",
        "levelno": logging.WARNING,
        "levelname": "WARNING",
        "msg": "lost %d %s of this log: %s",
        "args": (count, "line" if count == 1 else "lines", trouble),
        "lost": count,
    }
    return logging.makeLogRecord(values)


def write_behind() -> None:
    """Let no request of this process wait for who reads the general log."""
    for handler in logging.getLogger("lbg").handlers:
        if isinstance(handler, StderrHandler):
            handler.write_behind()


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
                "()": "lbg.server.logs.JsonFormatter",
                "fmt": "%(asctime)s %(levelname)s %(process)d %(name)s %(message)s",
                "rename_fields": {"asctime": "ts", "levelname": "level", "process": "pid", "name": "logger"},
            },
            "console": {"()": "lbg.server.logs.ConsoleFormatter", "colours": terminal},
        },
        "handlers": {
            "stderr": {
                "class": "lbg.server.logs.StderrHandler",
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
