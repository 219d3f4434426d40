"""A control worker's view of a few endpoints: checks end as the test says, and time goes as it says."""

from typing import Any

from lbg.config.pools import EndpointConfig, PoolConfig
from lbg.health.passive import PassiveDetection
from lbg.health.probe import Probe, ProbeResult
from lbg.health.watched import Watched, WatchedPool
from lbg.state.cells import Cells
from lbg.state.layout import Field, counters

PASSED = ProbeResult(True, "status 200 in 2 ms", 0.002, timed_out=False, connected=True)
FAILED = ProbeResult(False, "status 503, expected 200-399", 0.003, timed_out=False, connected=True)
REFUSED = ProbeResult(False, "connect refused", 0.001, timed_out=False, connected=False)
TIMED_OUT = ProbeResult(False, "timeout after 2.0 s", 2.0, timed_out=True, connected=True)


class Clock:
    """CLOCK_MONOTONIC as the test sets it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def monotonic(self) -> float:
        """Return the time in seconds."""
        return self.now

    def monotonic_ns(self) -> int:
        """Return the time in nanoseconds."""
        return round(self.now * 1e9)


class ScriptedProbe:
    """Each check ends with the next of `results`, the last one again and again; an error is raised."""

    def __init__(self, *results: ProbeResult | Exception) -> None:
        self.results = list(results or [PASSED])
        self.timeouts: list[float] = []

    def check(self, timeout: float) -> ProbeResult:
        """Return the next result."""
        self.timeouts.append(timeout)
        result = self.results.pop(0) if len(self.results) > 1 else self.results[0]
        if isinstance(result, Exception):
            raise result
        return result


def pool_config(count: int = 1, **config: Any) -> PoolConfig:
    """Return the configuration of a pool with `count` endpoints, on ports from 8000 on."""
    urls = [f"http://127.0.0.1:{8000 + number}" for number in range(count)]
    return PoolConfig.model_validate({"endpoints": urls, **config})


def watched_endpoint(cells: Cells, probe: Probe | None = None, *, count: int = 1, **config: Any) -> Watched:
    """Return the first endpoint of a pool that has `count` of them, as the control worker has it."""
    pool = pool_config(count, **config)
    passive = PassiveDetection(pool.outlier, range(count), cells)
    endpoint = EndpointConfig(url="http://127.0.0.1:8000")
    return Watched(WatchedPool("api", pool, passive), endpoint, probe, cells, 0)


def count(cells: Cells, field: Field, *, slot: int = 0, worker: int = 0, more: int = 1) -> None:
    """Count as a worker does."""
    cells.view[counters(worker, slot) + field] += more
