"""The status document of the admin API as a table for people."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from time import time
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lbg.cli.admin_client import plain
from lbg.cli.config_text import amended, not_taken_up
from lbg.health.transitions import span
from lbg.state.condition import local_time

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]

STYLES: Final = {
    "up": "bold green",
    "down": "bold red",
    "ejected": "bold yellow",
    "trial": "bold yellow",
    "draining": "bold cyan",
    "maint": "bold magenta",
    "stale": "dim",
    "unknown": "dim",
    "unchecked": "dim",
}
_SILENT: Final = 5.0  # seconds after which proxy workers, too, take the control worker for dead
_NARROW: Final = 100  # columns
_NONE: Final = "-"


def status_table(status: Document, width: int) -> RenderableType:
    """Return the table for a screen of `width` columns, below lines on lbg itself and one on each pool.

    Raises one of `OTHER_SHAPE` when it is another document.
    """
    lines = [
        about(status),
        *_configuration(status["config"]),
        *(_pool_line(name, pool) for name, pool in status["pools"].items()),
    ]
    gap = 1 if width < _NARROW else 2
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, gap, 0, 0))
    for heading in ("POOL", "ENDPOINT", "STATE", "FOR"):
        table.add_column(heading, no_wrap=True, overflow="fold")
    for heading in ("IN\nFLIGHT" if width < _NARROW else "IN FLIGHT", "REQUESTS", "5XX", "FAILED"):
        table.add_column(heading, no_wrap=True, justify="right")
    table.add_column("LAST CHECK", overflow="fold")
    for pool in status["pools"].values():
        for endpoint in pool["endpoints"]:
            table.add_row(*_row(endpoint))
    return Group(*lines, Text(), table)


def about(status: Document) -> Text:
    """Return a line on lbg itself: its version, its master, its configuration and its workers."""
    roles = Counter(worker["role"] for worker in status["workers"])
    workers = ", ".join(f"{number} {role}" for role, number in sorted(roles.items())) or "one"
    config = status["config"]
    source = f"generation {config['generation']} of {config['source']}"
    master = "" if status["master"] is None else f", master {status['master']:d}"
    line = Text(plain(f"lbg {status['version']}{master}, {source}, workers: {workers}"))
    age = status["control"]["heartbeat_age_seconds"]
    if age is not None and age > _SILENT:
        line.append(f", HEALTH CHECKS SILENT for {span(age)}", "bold red")
    return line


def config_trouble(config: Document, now: float) -> list[Text]:
    """Return a line on why the configuration as it is written is not in force, none when it is."""
    line = not_taken_up(config, now)
    return [Text(line, "bold red")] if line else []


def _configuration(config: Document) -> list[Text]:
    lines = config_trouble(config, time())
    if config["added"] or config["removed"]:
        lines.append(Text(f"configuration: {amended(config['source'], config)}"))
    return lines


def _pool_line(name: str, pool: Document) -> Text:
    usable, total = pool["usable"], len(pool["endpoints"])
    line = Text(plain(f"{name}: "))
    line.append(f"{usable} of {total} usable", "" if usable else "bold red")
    line.append(f", {pool['waiting']:d} waiting")
    return line


def _row(endpoint: Document) -> list[Text]:
    lasted = endpoint["for_seconds"]
    failed, errors = endpoint["failures"], endpoint["responses"]["5xx"]
    # A response that was cut short is counted as a response and as a failure.
    ended = endpoint["requests"] + failed - endpoint["cuts"]
    return [
        Text(plain(endpoint["pool"])),
        Text(plain(endpoint["url"]) + _marks(endpoint)),
        Text(plain(endpoint["state"].upper()), STYLES.get(endpoint["state"], "")),
        Text(_NONE if lasted is None else span(lasted)),
        Text(f"{endpoint['in_flight']:d}"),
        Text(f"{ended:d}"),
        Text(f"{errors:d}", "red" if errors else ""),
        Text(f"{failed:d}", "red" if failed else ""),
        Text(plain(_last_check(endpoint))),
    ]


def _marks(endpoint: Document) -> str:
    """Return what tells the endpoint from others of its pool: that it is a backup, its weight of now."""
    backup = " (backup)" if endpoint["backup"] else ""
    weight = endpoint["weight"]
    return backup if weight == endpoint["configured_weight"] else f"{backup} (weight {weight:d})"


def _last_check(endpoint: Document) -> str:
    """Return what the last check met and how long ago, after the reason of an ejection."""
    said = []
    if endpoint["state"] in {"ejected", "trial"}:
        said.append(endpoint["reason"])
    if endpoint["ejected_until"] is not None:
        until = datetime.fromisoformat(endpoint["ejected_until"]).timestamp()
        said.append(f"until {local_time(until, until)}")
    last = endpoint["last_check"]
    if last is not None:
        said.append(f"{last['text']}, {span(last['age_seconds'])} ago")
    return "; ".join(said) or _NONE
