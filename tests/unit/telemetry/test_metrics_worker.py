"""How a worker is now, at each tick."""

from types import SimpleNamespace

from lbg.state.series import Region, Series, SeriesReader
from lbg.telemetry.metrics_kinds import GAUGES, Kind
from lbg.telemetry.metrics_worker import WorkerMetrics

MS = 1_000_000  # ns


class Worker:
    """A worker whose ticks come when a test says so."""

    def __init__(self) -> None:
        self.series = Series.private()
        self.tunnels = 0
        region = Region(self.series, 0, GAUGES.__contains__)
        self.metrics = WorkerMetrics(region, 0.1, lambda: self.tunnels)

    def numbers(self, kind: Kind) -> dict[tuple[str, ...], int]:
        """Return what it told."""
        reader = SeriesReader(self.series)
        return {each.labels: reader.values(each)[0] for each in reader.entries() if each.kind == kind}

    def lag_after(self, *ticks: float) -> int:
        """Return the lag in ms after these ticks, in seconds."""
        for tick in ticks:
            self.metrics.tick(tick)
        (lag,) = self.numbers(Kind.LOOP_LAG).values()
        return round(lag / MS)


def test_ticks_in_time_have_no_lag() -> None:
    assert Worker().lag_after(100.0, 100.1, 100.2) == 0


def test_the_first_tick_has_no_lag() -> None:
    assert Worker().lag_after(100.0) == 0


def test_a_late_tick_is_seen_for_ten_seconds_at_least() -> None:
    worker = Worker()
    assert worker.lag_after(100.0, 100.1, 100.45, 100.5) == 250
    assert worker.lag_after(*[100.5 + number / 10 for number in range(1, 100)]) == 250


def test_it_is_forgotten_after_twenty() -> None:
    worker = Worker()
    assert worker.lag_after(100.0, 100.35) == 250
    assert worker.lag_after(*[100.35 + number / 10 for number in range(1, 205)]) == 0


def test_connections_with_a_request_are_active_and_others_idle() -> None:
    worker = Worker()
    worker.metrics.tick(1.0)
    assert worker.numbers(Kind.CONNECTIONS) == {}
    worker.metrics.server = SimpleNamespace(connections={1, 2, 3}, active={2})
    worker.metrics.tick(1.1)
    assert worker.numbers(Kind.CONNECTIONS) == {("active",): 1, ("idle",): 2}


def test_tunnels_are_told() -> None:
    worker = Worker()
    worker.tunnels = 3
    worker.metrics.tick(1.0)
    worker.tunnels = 2
    worker.metrics.tick(1.1)
    assert worker.numbers(Kind.TUNNELS) == {("",): 2}
