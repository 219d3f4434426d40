"""One event of the admin API as a line for people."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from rich.text import Text

from lbg.cli.admin_client import plain
from lbg.health.transitions import span
from lbg.state.condition import local_time

_STYLES: Final = {
    "up": "bold green",
    "restored": "bold green",
    "down": "bold red",
    "ejected": "bold yellow",
    "trial": "bold yellow",
    "ready": "bold green",
    "draining": "bold cyan",
    "maint": "bold magenta",
}
_BEFORE: Final = {"up": "down", "down": "up", "restored": "out", "ready": "out"}
_WIDTH: Final = 8  # of "RESTORED"


def event_line(event: dict[str, Any], now: float) -> Text:
    """Return `12:01:03  DOWN  api  http://10.0.0.1:80  connect refused (was up for 3 h 2 min)`.

    Raises one of `OTHER_SHAPE` when it is another document.
    """
    kind, after = event["kind"], event["after_seconds"]
    clock = local_time(datetime.fromisoformat(event["time"]).timestamp(), now)
    word = plain(kind.upper().replace("_", " "))
    line = Text(f"{clock}  ")
    line.append(word, _STYLES.get(kind, "dim"))
    line.append(" " * max(0, _WIDTH - len(word)))
    line.append(plain(f"  {event['pool']}  {event['endpoint']}  {event['text']}"))
    if after and kind in _BEFORE:
        line.append(f" (was {_BEFORE[kind]} for {span(after)})")
    return line
