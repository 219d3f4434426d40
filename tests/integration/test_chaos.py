"""Backends that are killed, frozen, slow and wrong at random while clients go on asking."""

import os
import random
import time
from collections import Counter
from contextlib import ExitStack

import pytest

from lbg.state.cells import Cells
from lbg.state.layout import Field, counters
from tests.conftest import StartLbg
from tests.support.backend_process import BackendProcess, Behaviour
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.waiting import eventually

SECONDS = float(os.environ.get("LBG_CHAOS_SECONDS", "30"))
SEED = int(os.environ.get("LBG_CHAOS_SEED", "1"))
ANCHORED = 5.0
"""Seconds in which one of the backends is well; then it is another one."""
WORKERS = 4
CONFIG = {
    "health": {"interval": 1.0, "timeout": 0.5, "fast_interval": 0.5},
    "outlier": {"eject": 2.0, "max_ejected": 0.7},
    "retry": {"status": [500], "budget": 1.0},
}
"""Two of three are bad at the same time, which is more than the usual limits are made for."""
BEHAVIOURS = {
    "well": Behaviour(),
    "wrong": Behaviour(status=500),
    "wrong and says so": Behaviour(status=500, probe_status=500),
    "slow": Behaviour(delay=5.0),
    "slow with its checks": Behaviour(delay=5.0, probe_delay=5.0),
}
MOODS = [*BEHAVIOURS, "dead", "frozen"]


class Patient:
    """A backend and how it is."""

    def __init__(self, backend: BackendProcess) -> None:
        self.backend = backend
        self.mood = "well"

    def __repr__(self) -> str:
        """Show how it is."""
        return f"<Patient {self.backend.name} {self.mood}>"

    def become(self, mood: str) -> None:
        """Change, from whatever it was."""
        if self.mood == "dead":
            self.backend.start()
        elif self.mood == "frozen":
            self.backend.thaw()
        self.mood = mood
        if mood == "dead":
            self.backend.kill()
        elif mood == "frozen":
            self.backend.freeze()
        else:
            self.backend.behave(BEHAVIOURS[mood])


class Chaos:
    """Changes two of three patients at random; the third, the anchor, is well meanwhile."""

    def __init__(self, process: LbgProcess, patients: list[Patient]) -> None:
        self._process = process
        self._patients = patients
        self._random = random.Random(SEED)
        self._anchor = patients[0]
        self._anchored = time.monotonic()
        self.changes: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Go on for so long, then let all be well."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            victim = self._random.choice([one for one in self._patients if one is not self._anchor])
            mood = self._random.choice(MOODS)
            victim.become(mood)
            self.changes[mood] += 1
            time.sleep(self._random.uniform(0.2, 1.5))
            if time.monotonic() > self._anchored + ANCHORED:
                self._choose_anchor()
        for patient in self._patients:
            patient.become("well")

    def _choose_anchor(self) -> None:
        usable = {one["url"] for one in self._process.ask("/api/v1/endpoints") if one["usable"]}
        fit = [one for one in self._patients if one.mood == "well" and one.backend.url in usable]
        fit = [one for one in fit if one is not self._anchor]
        if fit:
            self._anchor = self._random.choice(fit)
            self._anchored = time.monotonic()


def _answered(process: LbgProcess) -> list[int]:
    """Return how many good answers each proxy worker had of each endpoint."""
    cells = Cells.open(process.directory / "state")
    workers = [worker["slot"] for worker in process.status()["workers"] if worker["role"] == "proxy"]
    return [
        cells.view[counters(worker, endpoint) + Field.RESPONSES_2XX]
        for worker in workers
        for endpoint in range(3)
    ]


@pytest.mark.timeout(SECONDS + 90)
def test_no_request_that_may_be_sent_twice_fails(lbg: StartLbg, capsys: pytest.CaptureFixture[str]) -> None:
    with ExitStack() as running:
        patients = [Patient(running.enter_context(BackendProcess(name))) for name in "abc"]
        urls = [patient.backend.url for patient in patients]
        process = lbg(one_pool(*urls, **CONFIG), workers=WORKERS)
        chaos = Chaos(process, patients)
        with Load(process.address, concurrency=32, rate=150, timeout=30.0) as load:
            chaos.run(SECONDS)
            for url in urls:
                process.wait_for(url, "up", timeout=15.0)
        pool = process.ask("/api/v1/pools/main")
        with capsys.disabled():
            rescues = sum(endpoint["rescues"] for endpoint in pool["endpoints"])
            print(
                f"\n{SECONDS:g} s, seed {SEED}: {load!r}, {load.cut} cut, slowest {load.slowest:.2f} s, "
                f"{pool['retries']} retries, {pool['retries_denied']} denied, {rescues} rescues, "
                f"{len(process.events())} events, {dict(chaos.changes)}"
            )
        assert len(load.failures) == load.cut, load.failures
        assert load.slowest < 15.0
        eventually(
            lambda: [endpoint["in_flight"] for endpoint in process.ask("/api/v1/endpoints")] == [0, 0, 0],
            what="no request to be left",
        )
        before = _answered(process)
        with Load(process.address, concurrency=8, rate=100, keep_alive=False) as load:
            eventually(
                lambda: all(now > then for now, then in zip(_answered(process), before, strict=True)),
                timeout=15.0,
                what="each worker to use each endpoint",
            )
        assert not load.failures
