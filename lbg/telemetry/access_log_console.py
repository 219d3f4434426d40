"""A request that is over as one line for a person."""

from __future__ import annotations

from time import localtime, strftime
from typing import TYPE_CHECKING, Final

from lbg.telemetry.received import as_received

if TYPE_CHECKING:
    from lbg.telemetry.access_log_entry import Entry

_COLOURS: Final = {1: "\033[36m", 2: "\033[32m", 3: "\033[36m", 4: "\033[33m", 5: "\033[31m"}
_DIM: Final = "\033[2m"
_RESET: Final = "\033[0m"
_LONGEST: Final = 300  # characters of a target


class ConsoleLine:
    """Returns `12:01:03 200 GET /path?query 127.0.0.1:8001 3.2 ms ID` for an entry, coloured on a terminal.

    Behind or in place of the endpoint stands the reason of an answer that none gave, or not wholly. ID is
    the request's.
    """

    def __init__(self, *, colours: bool) -> None:
        self._colours = colours

    def __call__(self, entry: Entry) -> str:
        """Return the line with its line feed; it is ASCII."""
        record = entry.record
        endpoint = record.endpoint.name if record.endpoint is not None else ""
        told = " ".join(part for part in (endpoint, entry.reason) if part) or "-"
        came = as_received(entry.environ)
        query = came.get("QUERY_STRING")
        target = f"{entry.path}?{query}" if query else entry.path
        what = _printable(f"{came.get('REQUEST_METHOD') or '-'} {target or '-'}")
        colour, reset = self._colour(entry.status)
        now = strftime("%H:%M:%S", localtime(entry.ended))
        dim = _DIM if self._colours else ""
        took = f"{entry.took * 1000:.1f} ms"
        request_id = f"{dim}{_printable(record.request_id)}{reset}"
        return f"{now} {colour}{entry.status}{reset} {what} {_printable(told)} {took} {request_id}\n"

    def _colour(self, status: int) -> tuple[str, str]:
        return (_COLOURS.get(status // 100, ""), _RESET) if self._colours else ("", "")


def _printable(text: str) -> str:
    """Return `text` so that it cannot forge a line or a colour on the terminal."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return short.encode("unicode_escape").decode("ascii")
