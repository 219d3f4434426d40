"""How a worker is now, at each tick."""

from types import SimpleNamespace

from lbg.state.series import Region, Series, SeriesReader
from lbg.telemetry.metrics_kinds import GAUGES, Kind
from lbg.telemetry.metrics_worker import WorkerMetrics, note_start

MS = 1_000_000  # ns


class Worker:
    """A worker whose ticks come when a test says so."""

    def __init__(self) -> None:
        self.series = Series.private()
        self.tunnels = 0
        self.region = Region(self.series, 0, GAUGES.__contains__)
        self.metrics = WorkerMetrics(self.region, 0.1, lambda: self.tunnels)

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


def test_what_others_count_is_followed_from_tick_to_tick() -> None:
    worker = Worker()
    counters = {("a", "slow"): 0, ("b", "slow"): 2}
    worker.metrics.follow(Kind.HOOK_FAULTS, lambda: counters)
    worker.metrics.tick(1.0)
    assert worker.numbers(Kind.HOOK_FAULTS) == {("a", "slow"): 0, ("b", "slow"): 2}
    counters["a", "slow"] += 3
    counters["c", "failed"] = 1
    worker.metrics.tick(1.1)
    worker.metrics.tick(1.2)
    assert worker.numbers(Kind.HOOK_FAULTS) == {("a", "slow"): 3, ("b", "slow"): 2, ("c", "failed"): 1}


def test_what_the_worker_before_counted_stays() -> None:
    worker = Worker()
    at = worker.region.find(Kind.LOG_LOST, (), 1)
    assert at is not None
    worker.series.view[at] = 5
    worker.metrics.follow(Kind.LOG_LOST, lambda: {(): 2})
    worker.metrics.tick(1.0)
    assert worker.numbers(Kind.LOG_LOST) == {("",): 7}


def test_a_counter_that_begins_anew_is_no_loss() -> None:
    worker = Worker()
    counts = iter([6, 1, 4])
    worker.metrics.follow(Kind.LOG_LOST, lambda: {(): next(counts)})
    for now in (1.0, 1.1, 1.2):
        worker.metrics.tick(now)
    assert worker.numbers(Kind.LOG_LOST) == {("",): 10}


def test_what_others_count_and_has_no_room_is_told_as_lost() -> None:
    worker = Worker()
    worker.metrics.tick(1.0)
    worker.metrics.follow(Kind.HOOK_FAULTS, lambda: {("x" * 5000,): 1})
    worker.metrics.tick(1.1)
    worker.metrics.tick(1.2)
    assert worker.series.lost() == 1


def test_each_start_in_a_region_counts() -> None:
    worker = Worker()
    for _ in range(2):
        note_start(worker.region, 3, "proxy")
    assert worker.numbers(Kind.STARTS) == {("3", "proxy"): 2}
