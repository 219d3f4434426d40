"""Rates, latencies and their history, with a clock that tests turn."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from lbg.control import stats as stats_module
from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams
from lbg.control.stats import Stats
from lbg.control.stats_counts import Counts
from lbg.control.stats_path import add_stats
from lbg.control.stats_track import Track
from lbg.health.events import EventLog
from lbg.state.document import Published
from lbg.state.layout import Field, counters
from tests.support.waiting import eventually
from tests.unit.control.control_app import SLOTS, Answer, published
from tests.unit.control.counting import Counting

EPOCH = 1_732_000_000.0


class Sampled(Counting):
    """The sampler of such workers; `now` is its clock, in seconds."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.now = 100.0
        self.stats = Stats(published(), self.cells, self.series, lambda: self.now, lambda: EPOCH + self.now)
        self.stats.sample()

    def pass_by(self, seconds: float = 2.0, times: int = 1) -> None:
        """Let time pass, and a sample be taken after each step."""
        for _ in range(times):
            self.now += seconds
            self.stats.sample()

    def endpoint(self, name: str = "web/a:1") -> dict[str, Any]:
        """Return what is told of an endpoint."""
        found: dict[str, Any] = self.stats.document()["endpoints"][name]
        return found


@pytest.fixture
def sampled(tmp_path: Path) -> Sampled:
    return Sampled(tmp_path)


def test_rates_are_those_of_the_window(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=1000)
    sampled.pass_by(times=5)
    sampled.attempts("web/a:1", responses_2xx=30, responses_5xx=8, failures=2)
    sampled.pass_by()
    found = sampled.endpoint()
    assert (found["requests_per_second"], found["error_rate"]) == (4.0, 0.25)
    sampled.pass_by(times=5)
    found = sampled.endpoint()
    assert (found["requests_per_second"], found["error_rate"]) == (0.0, 0.0)


def test_a_window_that_is_not_full_yet_is_as_long_as_it_is(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=40)
    sampled.pass_by()
    assert sampled.endpoint()["requests_per_second"] == 20.0


def test_nothing_is_known_from_one_sample(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=5, in_flight=3)
    assert sampled.endpoint() == {
        "requests_per_second": None,
        "error_rate": None,
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
        "in_flight": 0,
        "history": {"requests_per_second": [None], "errors_per_second": [None], "p95_ms": [None]},
    }


def test_what_was_counted_before_the_start_is_in_no_rate(tmp_path: Path) -> None:
    counting = Sampled(tmp_path)
    counting.attempts("web/a:1", responses_2xx=500)
    later = Stats(published(), counting.cells, counting.series, lambda: counting.now)
    later.sample()
    counting.now += 2
    later.sample()
    assert later.document()["endpoints"]["web/a:1"]["requests_per_second"] == 0.0


def test_latencies_are_those_of_the_window(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=100, bucket=9)
    sampled.pass_by()
    sampled.pass_by(times=5)
    sampled.attempts("web/a:1", responses_2xx=90, bucket=0)
    sampled.attempts("web/a:1", responses_2xx=10, bucket=3)
    sampled.pass_by()
    found = sampled.endpoint()
    assert (found["p50_ms"], found["p95_ms"], found["p99_ms"]) == (0.556, 7.5, 9.5)
    sampled.pass_by(times=5)
    assert sampled.endpoint()["p50_ms"] is None


def test_pools_and_the_whole_have_numbers_of_their_own(sampled: Sampled) -> None:
    sampled.requests("web", 8, bucket=2)
    sampled.requests("web", 2, code="502")
    sampled.requests("", 10, code="404")
    sampled.open(4)
    sampled.attempts("api/a:1", in_flight=1)
    sampled.pass_by()
    document = sampled.stats.document()
    total, web = document["total"], document["pools"]["web"]
    assert (total["requests_per_second"], total["error_rate"], total["in_flight"]) == (10.0, 0.1, 4)
    assert (web["requests_per_second"], web["error_rate"], web["p95_ms"]) == (5.0, 0.2, 4.844)
    assert document["pools"]["api"]["in_flight"] == 1


def test_history_has_a_point_for_each_time(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=2, responses_5xx=2)
    sampled.pass_by()
    sampled.pass_by(4.0)
    document = sampled.stats.document()
    assert document["times"] == [EPOCH + 100, EPOCH + 102, EPOCH + 106]
    history = document["endpoints"]["web/a:1"]["history"]
    assert history["requests_per_second"] == [None, 2.0, 0.0]
    assert history["errors_per_second"] == [None, 1.0, 0.0]
    assert history["p95_ms"] == [None, 0.95, 0.95]


def test_only_five_minutes_are_kept(sampled: Sampled) -> None:
    sampled.pass_by(times=400)
    document = sampled.stats.document()
    tracks = [document["total"], *document["pools"].values(), *document["endpoints"].values()]
    lengths = {len(line) for track in tracks for line in track["history"].values()}
    assert (len(document["times"]), lengths) == (150, {150})
    assert document["times"][-1] == EPOCH + sampled.now


def test_memory_is_bounded() -> None:
    track = Track((1.0,))
    for number in range(400):
        track.note(2.0 * number, Counts(number, 0, [number, 0], 0))
    lines = track.document(400)["history"].values()
    assert [sum(point is not None for point in line) for line in lines] == [150] * 3


def test_only_newer_points_come_when_asked(sampled: Sampled) -> None:
    sampled.pass_by(times=3)
    last = sampled.stats.document()["times"][-1]
    assert sampled.stats.document(last)["times"] == []
    assert sampled.stats.document(last)["total"]["history"]["p95_ms"] == []
    sampled.requests("web", 4)
    sampled.pass_by()
    document = sampled.stats.document(last)
    assert document["times"] == [last + 2]
    assert document["pools"]["web"]["history"]["requests_per_second"] == [2.0]


def test_a_reader_ahead_of_the_clock_gets_all(sampled: Sampled) -> None:
    sampled.pass_by()
    ahead = EPOCH + sampled.now + 3600  # as after the clock was set back
    assert len(sampled.stats.document(ahead)["times"]) == 2


def test_a_rate_is_never_negative(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=50, responses_5xx=50)
    sampled.pass_by()
    sampled.cells.clear_endpoint(SLOTS["web/a:1"])
    sampled.pass_by()
    found = sampled.endpoint()
    assert found["requests_per_second"] == 0.0
    assert found["error_rate"] == 0.0
    assert found["history"]["errors_per_second"][-1] == 0.0


def test_an_error_rate_is_never_negative(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_5xx=50)
    sampled.pass_by(times=5)
    sampled.cells.clear_endpoint(SLOTS["web/a:1"])
    sampled.attempts("web/a:1", responses_2xx=100)
    sampled.pass_by()
    assert sampled.endpoint()["error_rate"] == 0.0


def test_the_death_of_a_worker_changes_no_rate(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", worker=2, responses_2xx=20)
    sampled.pass_by()
    sampled.cells.forget(2, 4713)
    sampled.pass_by()
    assert sampled.endpoint()["history"]["requests_per_second"] == [None, 10.0, 0.0]


def without_b(moved: dict[str, int] | None = None) -> Published:
    """Return a configuration without web/b:2 and the pool api, but with web/c:3."""
    pools = {"web": {"endpoints": ["http://a:1", "http://c:3"]}}
    plain = published()
    return Published(
        published(pools).snapshot, {**plain.slots, "web/c:3": 9, **(moved or {})}, plain.pool_slots
    )


def test_another_configuration_keeps_the_history_of_what_stays(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=20)
    sampled.requests("web", 20)
    sampled.pass_by()
    sampled.stats.adopt(without_b())
    sampled.pass_by()
    document = sampled.stats.document()
    assert list(document["endpoints"]) == ["web/a:1", "web/c:3"]
    assert list(document["pools"]) == ["web"]
    rates = [document["endpoints"]["web/a:1"], document["pools"]["web"], document["total"]]
    assert [track["history"]["requests_per_second"] for track in rates] == [[None, 10.0, 0.0]] * 3


def test_a_new_endpoint_has_nothing_before_its_first_point(sampled: Sampled) -> None:
    sampled.pass_by()
    sampled.stats.adopt(without_b())
    assert sampled.endpoint("web/c:3")["history"]["requests_per_second"] == [None, None]
    sampled.pass_by(times=2)
    assert sampled.endpoint("web/c:3")["history"]["requests_per_second"] == [None, None, None, 0.0]


def test_an_endpoint_in_another_slot_begins_anew(sampled: Sampled) -> None:
    sampled.attempts("web/a:1", responses_2xx=20)
    sampled.pass_by()
    sampled.cells.view[counters(1, 40) + Field.RESPONSES_2XX] = 5000
    sampled.stats.adopt(without_b({"web/a:1": 40}))
    sampled.pass_by(times=2)
    assert sampled.endpoint()["history"]["requests_per_second"] == [None, None, None, 0.0]


def ask(sampled: Sampled, query: str = "", token: str = "") -> Answer:
    """Return the answer of the admin listener."""
    control = ControlApp(published(token=token), sampled.cells, EventStreams(EventLog()))
    control.parts.append(lambda flask: add_stats(flask, sampled.stats))
    return Answer(control, "/api/v1/stats", QUERY_STRING=query)


def test_the_admin_api_tells_it(sampled: Sampled) -> None:
    sampled.pass_by()
    document = ask(sampled).document
    assert (document["now"], document["interval"], document["window"]) == (EPOCH + 102, 2.0, 10.0)
    assert list(document["endpoints"]) == ["web/a:1", "web/b:2", "api/a:1"]
    assert ask(sampled, f"since={EPOCH + 101.5}").document["times"] == [EPOCH + 102]


@pytest.mark.parametrize("since", ["", "x", "-1", "nan", "inf", "1e3", "1.", "9" * 17, "%d9%a1"])
def test_a_since_that_is_no_time_is_refused(sampled: Sampled, since: str) -> None:
    answer = ask(sampled, f"since={since}")
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert answer.document["detail"].startswith("since: expected UNIX seconds such as 1732000000.5, got ")


def test_strangers_are_told_nothing(sampled: Sampled) -> None:
    assert ask(sampled, token="secret").status == 401


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stats]:
    """Return a sampler by the real clock, which samples all the time once it is started."""
    monkeypatch.setattr(stats_module, "INTERVAL", 0.001)
    counting = Counting(tmp_path)
    stats = Stats(published(), counting.cells, counting.series)
    yield stats
    stats.stop()


def test_samples_are_taken_from_start_to_stop(running: Stats) -> None:
    running.start()
    eventually(lambda: len(running.document()["times"]) > 3)
    running.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "lbg-stats"]


def test_a_sample_that_fails_is_told_once_and_the_next_one_is_taken(
    running: Stats, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []

    def fail_twice() -> None:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError("damaged")

    with caplog.at_level(logging.ERROR), patch.object(running, "sample", fail_twice):
        running.start()
        eventually(lambda: len(calls) > 3)
        running.stop()
    assert [record.message for record in caplog.records] == ["the numbers of the last seconds are missing"]
