"""The results as tables: printed for the one who ran them, and as Markdown for all others."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.machine import cpu_model, kernel, version_of
from benchmarks.rounds import Cell
from benchmarks.scenarios import Goal, Scenario

NOTHING = "—"
Row = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Results:
    """The cells of one scenario, by peer, in the order the peers were asked for."""

    scenario: Scenario
    cells: Mapping[str, Cell]

    def title(self) -> str:
        return f"{self.scenario.name}: {self.scenario.unit}, {self.scenario.title}"

    def header(self) -> Row:
        rate = ("per second",) if self._has_rates() else ()
        compared = f"more than {self.scenario.base}" if self.scenario.variants else "lbg ÷ it"
        return ("proxy", "cost", "range", *rate, compared, "goal")

    def rows(self) -> list[Row]:
        return [self._row(peer, cell) for peer, cell in self.cells.items()]

    def failures(self) -> list[str]:
        return [f"{peer}: {cell.failure}" for peer, cell in self.cells.items() if cell.failure]

    def _row(self, peer: str, cell: Cell) -> Row:
        cost = cell.cost
        if cost is None:
            return (peer, "failed", *(NOTHING,) * (len(self.header()) - 2))
        costs = [sample.cost for sample in cell.samples]
        rate = (_number(cell.rate or 0.0),) if self._has_rates() else ()
        spread = f"{_number(min(costs))}-{_number(max(costs))}" if len(costs) > 1 else NOTHING
        return (peer, _number(cost), spread, *rate, *self._comparison(peer, cost))

    def _has_rates(self) -> bool:
        return any(cell.rate is not None for cell in self.cells.values())

    def _comparison(self, peer: str, cost: float) -> Row:
        """The ratio, or the difference, and its goal; for lbg itself the goal that names no peer."""
        base = self.scenario.base
        if peer == base:
            return (NOTHING, _verdict(self.scenario.goal_for(None), cost))
        lbg = self.cells[base].cost if base in self.cells else None
        goal = self.scenario.goal_for(peer)
        if lbg is None or cost <= 0:
            return (NOTHING, _verdict(goal, None))
        if self.scenario.variants:
            return (f"{cost - lbg:.1f}", _verdict(goal, cost - lbg))
        return (f"{lbg / cost:.2f}", _verdict(goal, lbg / cost))


def print_tables(all_results: Sequence[Results]) -> None:
    """Print one table a scenario on standard output."""
    console = Console()
    for results in all_results:
        console.print(f"\n{results.title()}", markup=False, highlight=False)
        table = Table(box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        for number, column in enumerate(results.header()):
            table.add_column(column, justify="right" if number else "left", no_wrap=True)
        for row in results.rows():
            table.add_row(*row)
        console.print(table)
        for failure in results.failures():
            console.print(failure, markup=False, highlight=False)


def markdown(
    all_results: Sequence[Results], peers: Sequence[str], command: str, conditions: Sequence[str]
) -> str:
    """The whole page: how it was measured, on what, and the tables."""
    lines = [
        "# Benchmark results",
        "",
        "Each proxy runs as one worker on one core; load and backends run on another. A cost is the CPU",
        "time of the proxy's whole process tree or, for idle connections, the growth of its proportional",
        "set size: the median over interleaved rounds, with the least and the greatest as range. Compare",
        "ratios, not times: they are of one run on one machine. 1 KB is 1,024 bytes, 1 MB 1,024 KB. Every",
        "answer was checked: one wrong answer or one socket error, and the cell counts as failed. The",
        "configurations are in `benchmarks/peers/`; for `large` and `upload` nginx does not buffer bodies",
        "and the tuned peers (-16k, -splice) have one setting that is not the default.",
        "",
        f"- date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"- machine: {cpu_model()}; {kernel()}; Python {platform.python_version()}",
        *(f"- {condition}" for condition in conditions),
        *(f"- {name}: {version_of(name)}" for name in (*peers, "wrk")),
        f"- reproduce: `{command}`",
    ]
    for results in all_results:
        lines += ["", f"## {results.title()}", ""]
        lines += [_line(results.header()), _line(["---"] * len(results.header()))]
        lines += [_line(row) for row in results.rows()]
        if failures := results.failures():
            lines += ["", *(f"- {failure}" for failure in failures)]
    return "\n".join(lines) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _verdict(goal: Goal | None, value: float | None) -> str:
    if goal is None:
        return NOTHING
    if value is None:
        return str(goal)
    return f"{goal}: {'met' if goal.is_met(value) else 'missed'}"
