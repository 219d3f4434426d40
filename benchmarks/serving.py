"""A proxy started for one scenario, ready when it answers rightly."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.backends import SIZES, Backends
from benchmarks.client import Client, WrongAnswerError, check
from benchmarks.measures import Target
from benchmarks.peers.catalogue import Peer, Site
from benchmarks.program import Program, free_port, running
from benchmarks.scenarios import Scenario

START_TIMEOUT = 20.0


class StartError(Exception):
    """A proxy ended, or never gave a right answer, after it was started."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What all measurements of one run share."""

    backends: Backends
    directory: Path
    proxy_core: int
    load_core: int
    rounds: int
    seconds: int


@contextmanager
def serving(bench: Bench, scenario: Scenario, peer: Peer) -> Iterator[Target]:
    """Run the peer before the scenario's backend; the block begins when it answers rightly."""
    directory = Path(mkdtemp(prefix=f"{scenario.name}-{peer.name}-", dir=bench.directory))
    backend = bench.backends.sink if scenario.to_sink else bench.backends.files
    site = Site(directory, free_port(), backend, scenario.streaming)
    launch = peer.launch(site)
    with running(launch.command, bench.proxy_core, directory, launch.environ) as program:
        _wait_until_serving(program, site.port)
        yield Target(
            pid=program.pid,
            port=site.port,
            path=scenario.path,
            body_size=SIZES.get(scenario.path, 0),
            upload=bench.backends.upload,
            load_core=bench.load_core,
            seconds=bench.seconds,
        )


def _wait_until_serving(program: Program, port: int) -> None:
    give_up = time.monotonic() + START_TIMEOUT
    while True:
        try:
            with Client(port) as client:
                answer = client.get("/")
                check(answer, answer.body_size)
            return
        except (WrongAnswerError, OSError) as error:
            if program.has_ended() or time.monotonic() > give_up:
                why = "" if program.has_ended() else f"no 200 in {START_TIMEOUT:g} s ({error}): "
                raise StartError(f"did not start: {why}{program.last_lines()}") from error
        time.sleep(0.05)
