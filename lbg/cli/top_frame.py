"""One frame of `lbg top`: what the admin API says of now, as a screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from lbg.cli.admin_client import plain
from lbg.cli.event_line import event_line
from lbg.cli.status_table import STYLES, about, config_trouble
from lbg.cli.top_choice import choose, name_of
from lbg.cli.top_sparkline import sparkline
from lbg.health.transitions import span
from lbg.state.condition import local_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

Document = dict[str, Any]

EVENTS: Final = 5
SPARKS: Final = 20  # samples in a sparkline
_WIDE: Final = 120  # columns from which on there is room for every number
_MIDDLE: Final = 100  # from which on there is a sparkline
_ABOVE: Final = 3  # lines besides those about lbg: in all, a blank one, the headings
_NONE: Final = "-"
_NOTHING: Final[Document] = {"history": {"requests_per_second": []}}


@dataclass(frozen=True, slots=True)
class Answers:
    """What the admin API said together, at `now`, UNIX time."""

    status: Document
    stats: Document
    events: Sequence[Document]
    now: float


def frame(answers: Answers, width: int, height: int | None, trouble: str = "") -> RenderableType:
    """Return the frame for a screen of that size; `height` None is no limit. `trouble` is told on top.

    Raises one of `OTHER_SHAPE` when an answer is another document.
    """
    events = [_cut(event_line(event, answers.now)) for event in answers.events[-_events_in(height) :]]
    below = len(events) + bool(events)
    status, stats = answers.status, answers.stats
    about_lbg = [_cut(line) for line in (about(status), *config_trouble(status["config"], answers.now))]
    above = _ABOVE + len(about_lbg)
    rows = None if height is None else max(2, height - above - below - 1)  # one for what is left out
    chosen = choose(status["pools"], stats["endpoints"], rows)
    left_out = sum(len(pool["endpoints"]) for pool in status["pools"].values())
    left_out -= sum(map(len, chosen.values()))
    lines: list[RenderableType] = [*about_lbg, _cut(_in_all(stats["total"], trouble)), Text()]
    lines.append(_table(chosen, answers, width))
    if left_out:
        lines.append(Text(f"… and {left_out} more", "dim"))
    return Group(*lines, *([Text(), *events] if events else []))


def silence(since: float, now: float) -> str:
    """Return what is told in place of an answer; both are UNIX time."""
    return f"no answer since {local_time(since, now)}, trying again"


def _events_in(height: int | None) -> int:
    return EVENTS if height is None else max(1, min(EVENTS, height // 6))


def _cut(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _in_all(total: Document, trouble: str) -> Text:
    if trouble:
        return Text(plain(trouble), "bold red")
    line = Text(f"{_rate(total)} requests/s, ")
    line.append(f"{_errors(total)} % errors", _error_style(total))
    return line.append(f", p95 {_time(total, 'p95_ms')} ms, {total['in_flight']:d} in flight")


def _table(chosen: dict[str, list[Document]], answers: Answers, width: int) -> Table:
    table = Table(
        box=None, pad_edge=False, header_style="bold", padding=(0, 1 if width < _MIDDLE else 2, 0, 0)
    )
    table.add_column("ENDPOINT")  # this one and the last give way where there is no room
    for heading in ("STATE", "FOR"):
        table.add_column(heading, no_wrap=True, min_width=len(heading))
    for heading in _headings(width):
        table.add_column(heading, no_wrap=True, justify="right", min_width=len(heading))
    if width >= _MIDDLE:
        table.add_column("REQ/S, LAST 40 S", no_wrap=True, min_width=SPARKS)
    table.add_column("REASON")
    for name, endpoints in chosen.items():
        table.add_row(*_pool_row(name, answers, width))
        for endpoint in endpoints:
            table.add_row(*_endpoint_row(endpoint, answers.stats["endpoints"], width))
    return table


def _headings(width: int) -> tuple[str, ...]:
    quantiles = ("P50", "P95", "P99") if width >= _WIDE else ("P95",)
    return ("WEIGHT" if width >= _WIDE else "WT", "BUSY", "REQ/S", "ERR%", *quantiles)


def _pool_row(name: str, answers: Answers, width: int) -> list[Text]:
    pool = answers.status["pools"][name]
    usable, total = pool["usable"], len(pool["endpoints"])
    state = Text(f"{usable:d}/{total}", "bold" if usable else "bold red")
    waiting = f"{pool['waiting']:d} waiting" if pool["waiting"] else ""
    in_flight = sum(endpoint["in_flight"] for endpoint in pool["endpoints"])
    its = answers.stats["pools"].get(name, _NOTHING) | {"in_flight": in_flight}
    return [_cut(Text(plain(name), "bold")), state, Text(), *_numbers(its, "", waiting, width)]


def _endpoint_row(endpoint: Document, numbers: Document, width: int) -> list[Text]:
    lasted, state = endpoint["for_seconds"], endpoint["state"]
    age = _NONE if lasted is None else " ".join(span(lasted).split()[:2])
    weight = f"{endpoint['weight']:d}"
    its = numbers.get(name_of(endpoint), _NOTHING) | {"in_flight": endpoint["in_flight"]}
    backup = " (backup)" if endpoint["backup"] else ""
    return [
        _cut(Text(plain(f"  {endpoint['name']}{backup}"))),
        Text(plain(state.upper()), STYLES.get(state, "")),
        Text(age),
        *_numbers(its, weight, endpoint["reason"], width),
    ]


def _numbers(its: Document, weight: str, reason: str, width: int) -> list[Text]:
    quantiles = ("p50_ms", "p95_ms", "p99_ms") if width >= _WIDE else ("p95_ms",)
    cells = [
        Text(weight),
        Text(f"{its['in_flight']:d}"),
        Text(_rate(its)),
        Text(_errors(its), _error_style(its)),
        *[Text(_time(its, name)) for name in quantiles],
    ]
    if width >= _MIDDLE:
        cells.append(Text(sparkline(its["history"]["requests_per_second"], SPARKS), "cyan"))
    return [*cells, _cut(Text(plain(reason)))]


def _rate(its: Document) -> str:
    rate = its.get("requests_per_second")
    if rate is None:
        return _NONE
    return f"{rate:.1f}" if 0 < rate < 99.95 else f"{rate:.0f}"


def _errors(its: Document) -> str:
    share = its.get("error_rate")
    if share is None:
        return _NONE
    percent = share * 100
    return f"{percent:.1f}" if 0 < percent < 9.95 else f"{percent:.0f}"


def _error_style(its: Document) -> str:
    return "red" if its.get("error_rate") else ""


def _time(its: Document, name: str) -> str:
    milliseconds = its.get(name)
    if milliseconds is None:
        return _NONE
    return f"{milliseconds:.1f}" if milliseconds < 9.95 else f"{milliseconds:.0f}"
