"""Measure lbg beside nginx, HAProxy, Caddy and a plain `requests` proxy, in CPU time and memory."""

import os
import resource
import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from benchmarks.backends import backends
from benchmarks.options import Options, parse
from benchmarks.peers.catalogue import Peer
from benchmarks.program import which
from benchmarks.report import Results, markdown, print_tables
from benchmarks.rounds import run_scenario
from benchmarks.serving import Bench

RESULTS = Path(__file__).parent / "RESULTS.md"
REQUIRED = {"nginx": "nginx", "wrk": "wrk", "taskset": "util-linux"}


def main() -> int:
    """0 when all was measured, 1 when a cell failed, 2 when the benchmark cannot run here."""
    options = parse(sys.argv[1:], __doc__ or "")
    missing = [package for program, package in REQUIRED.items() if which(program) is None]
    if missing:
        return _refuse(f"backend and load need more programs: apt-get install {' '.join(missing)}")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return _refuse("two cores are needed: one for the proxy, one for load and backends")
    peers = [peer for peer in options.peers if peer.is_installed()]
    absent = [f"{peer.name} is not installed and left out" for peer in options.peers if peer not in peers]
    for line in absent:
        print(line, file=sys.stderr)
    if not peers:
        return _refuse("none of the proxies asked for is installed")
    conditions = [
        f"rounds: {options.rounds} of {options.seconds} s",
        f"load average at the start: {os.getloadavg()[0]:.2f}",
        *absent,
    ]
    results = _measure(options, peers, proxy_core=cores[0], load_core=cores[1])
    print_tables(results)
    if options.write:
        command = shlex.join([".venv/bin/python", "-m", "benchmarks", *sys.argv[1:]])
        RESULTS.write_text(
            markdown(results, [peer.name for peer in peers if not peer.variant], command, conditions)
        )
        print(f"written to {RESULTS}")
    return 1 if any(one.failures() for one in results) else 0


def _measure(options: Options, peers: Sequence[Peer], proxy_core: int, load_core: int) -> list[Results]:
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    _raise_descriptor_limit()
    os.sched_setaffinity(0, {load_core})
    with TemporaryDirectory(prefix="lbg-bench-") as name:
        directory = Path(name)
        with backends(load_core, directory) as started:
            bench = Bench(started, directory, proxy_core, load_core, options.rounds, options.seconds)
            return [
                Results(one, run_scenario(bench, one, [peer for peer in peers if one.takes(peer)]))
                for one in options.scenarios
            ]


def _interrupt(*_: object) -> NoReturn:
    """Stop measuring; a second signal does not disturb the ending of what was started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _raise_descriptor_limit() -> None:
    """A thousand idle clients take more descriptors than many systems give at first; programs inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _refuse(reason: str) -> int:
    print(f"benchmarks: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
