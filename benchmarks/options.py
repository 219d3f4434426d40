"""The flags of `python -m benchmarks`."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from benchmarks.peers.catalogue import PEERS, Peer
from benchmarks.scenarios import SCENARIOS, Scenario

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What to measure, how long, and whether to keep the results."""

    scenarios: Sequence[Scenario]
    peers: Sequence[Peer]
    rounds: int
    seconds: int
    write: bool


def parse(arguments: Sequence[str], description: str) -> Options:
    """Read the command line; end the program with 2 when it is wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=description)
    add = parser.add_argument
    add("--only", type=_names(SCENARIOS), metavar="NAMES", help=f"comma list of {', '.join(SCENARIOS)}")
    add("--peers", type=_names(PEERS), metavar="NAMES", help=f"comma list of {', '.join(PEERS)}")
    add("--rounds", type=_at_least_one, default=5, help="measurements of each cell (5)")
    add("--seconds", type=_at_least_one, default=2, help="length of one measurement (2)")
    add("--quick", action="store_true", help="one round of one second, nothing written")
    add("--no-write", action="store_true", help="leave RESULTS.md as it is")
    found = parser.parse_args(arguments)
    return Options(
        scenarios=found.only or list(SCENARIOS.values()),
        peers=found.peers or list(PEERS.values()),
        rounds=1 if found.quick else found.rounds,
        seconds=1 if found.quick else found.seconds,
        write=not (found.quick or found.no_write),
    )


def _names(known: Mapping[str, T]) -> Callable[[str], list[T]]:
    """A reader of comma lists of known names."""

    def read(text: str) -> list[T]:
        names = [name.strip() for name in text.split(",")]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)} (known: {', '.join(known)})")
        return [known[name] for name in dict.fromkeys(names)]

    return read


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number
