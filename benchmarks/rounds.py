"""Interleaved rounds: every peer is measured in every round, in an order that rotates."""

import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

from benchmarks.client import WrongAnswerError
from benchmarks.measures import Sample, Target
from benchmarks.peers.catalogue import Peer
from benchmarks.scenarios import Scenario
from benchmarks.serving import Bench, StartError, serving


@dataclass(slots=True)
class Cell:
    """What the rounds gave for one peer in one scenario; one failure spoils it."""

    samples: list[Sample] = field(default_factory=list)
    failure: str = ""

    @property
    def cost(self) -> float | None:
        return None if self.failure else statistics.median(sample.cost for sample in self.samples)

    @property
    def rate(self) -> float | None:
        rates = [sample.rate for sample in self.samples if sample.rate is not None]
        return statistics.median(rates) if rates and not self.failure else None


def run_scenario(bench: Bench, scenario: Scenario, peers: Sequence[Peer]) -> dict[str, Cell]:
    """Measure all peers; a peer that fails is left out of the rounds that remain."""
    cells = {peer.name: Cell() for peer in peers}
    with ExitStack() as started:
        targets = {} if scenario.fresh else _start_all(bench, scenario, peers, cells, started)
        for number in range(bench.rounds):
            turn = number % len(peers)
            for peer in (*peers[turn:], *peers[:turn]):
                cell = cells[peer.name]
                if cell.failure:
                    continue
                with _failure_in(cell, scenario, peer):
                    sample = _measure(bench, scenario, peer, targets.get(peer.name))
                    cell.samples.append(sample)
                    where = f"{scenario.name} {number + 1}/{bench.rounds} {peer.name}"
                    _tell(f"{where}: {sample.cost:.1f} {scenario.unit}")
    return cells


def _start_all(
    bench: Bench, scenario: Scenario, peers: Sequence[Peer], cells: dict[str, Cell], started: ExitStack
) -> dict[str, Target]:
    """Start the peers and make each do a second of the work, so that no round pays for the first steps."""
    targets = {}
    for peer in peers:
        with _failure_in(cells[peer.name], scenario, peer):
            target = started.enter_context(serving(bench, scenario, peer))
            scenario.measure(replace(target, seconds=1))
            targets[peer.name] = target
    return targets


def _measure(bench: Bench, scenario: Scenario, peer: Peer, target: Target | None) -> Sample:
    """One measurement, of a proxy started for it alone when none runs already."""
    if target is not None:
        return scenario.measure(target)
    with serving(bench, scenario, peer) as fresh:
        return scenario.measure(fresh)


@contextmanager
def _failure_in(cell: Cell, scenario: Scenario, peer: Peer) -> Iterator[None]:
    """Turn what goes wrong with one peer into its cell's failure."""
    try:
        yield
    except (StartError, WrongAnswerError, OSError, ValueError) as error:
        cell.failure = str(error) or type(error).__name__
        _tell(f"{scenario.name} {peer.name}: {cell.failure}")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
