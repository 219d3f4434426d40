"""Spans on their way to a collector that may be slow, or dead."""

import logging
from collections.abc import Sequence
from threading import Event
from typing import Any

import pytest

from lbg.telemetry import otlp_queue
from lbg.telemetry.otlp_queue import PLACES, TOGETHER, SpanQueue
from lbg.telemetry.spans import Span

WAIT = 5.0


class Collector:
    """Takes spans when `open` is set, and delivers them unless `trouble` is."""

    def __init__(self) -> None:
        self.trouble = ""
        self.batches: list[int] = []
        self.open = Event()
        self.asked = Event()
        self.closed = False
        self.open.set()

    def send(self, spans: Sequence[Span]) -> bool:
        self.asked.set()
        assert self.open.wait(WAIT)
        self.batches.append(len(spans))
        return not self.trouble

    def close(self) -> None:
        self.closed = True
        self.open.set()


def some(count: int) -> list[Any]:
    return [object() for _ in range(count)]


@pytest.fixture
def collector() -> Collector:
    return Collector()


def stalled(collector: Collector) -> SpanQueue:
    """Return a queue whose first spans are being sent, and do not get there."""
    collector.open.clear()
    queue = SpanQueue(collector)
    queue.put(some(TOGETHER))
    assert collector.asked.wait(WAIT)
    return queue


def test_spans_are_sent_without_more_to_come(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(otlp_queue, "_INTERVAL", 0.001)
    queue = SpanQueue(collector)
    queue.put(some(2))
    assert collector.asked.wait(WAIT)
    queue.close(WAIT)
    assert (collector.batches, queue.lost) == ([2], 0)


def test_no_thread_runs_before_the_first_span(collector: Collector) -> None:
    queue = SpanQueue(collector)
    assert queue._thread is None
    queue.close(WAIT)
    assert collector.closed


def test_who_puts_does_not_wait_for_a_collector_that_is_slow(collector: Collector) -> None:
    queue = stalled(collector)
    for _ in range(PLACES):
        queue.put(some(1))
    assert queue.lost == 0
    queue.put(some(3))
    assert queue.lost == 3
    collector.open.set()
    queue.close(WAIT)
    assert (sum(collector.batches), queue.lost) == (TOGETHER + PLACES, 3)


def test_a_batch_is_never_larger_than_what_may_be_encoded_at_once(collector: Collector) -> None:
    queue = stalled(collector)
    queue.put(some(3 * TOGETHER + 1))
    collector.open.set()
    queue.close(WAIT)
    assert collector.batches == [TOGETHER, TOGETHER, TOGETHER, TOGETHER, 1]


def test_what_cannot_be_delivered_is_lost_and_told_with_its_cause(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.trouble = "connection refused"
    queue = SpanQueue(collector)
    queue.put(some(TOGETHER))
    queue.close(WAIT)
    assert queue.lost == TOGETHER
    (line,) = caplog.records
    assert line.getMessage() == f"lost {TOGETHER} spans: connection refused"
    assert (line.levelno, line.__dict__["lost"]) == (logging.WARNING, TOGETHER)


def test_losses_are_told_at_most_once_a_minute_and_at_the_end(
    collector: Collector, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(otlp_queue, "monotonic", lambda: now)
    collector.trouble = "refused"
    queue = SpanQueue(collector)
    for seconds in (0, 1, 59, 60, 61):
        now = 1000.0 + seconds
        queue._waiting.extend(some(1))
        queue._send()
    told = [line.getMessage() for line in caplog.records]
    assert told == ["lost 1 span: refused", "lost 3 spans: refused"]
    queue.close(WAIT)
    assert caplog.records[-1].getMessage() == "lost 1 span: refused"


def test_a_place_that_is_full_is_a_cause_as_well(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    queue = stalled(collector)
    queue.put(some(PLACES))
    queue.put(some(2))
    collector.open.set()
    queue.close(WAIT)
    assert [line.getMessage() for line in caplog.records] == ["lost 2 spans: more came than could be sent"]


def test_what_is_lost_while_a_collector_takes_its_time_is_told_at_once(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    queue = stalled(collector)
    queue.put(some(PLACES))
    queue.put(some(2))
    queue.put(some(2))
    assert [line.getMessage() for line in caplog.records] == ["lost 2 spans: more came than could be sent"]
    collector.open.set()
    queue.close(WAIT)


def test_the_end_waits_no_longer_than_it_may(collector: Collector) -> None:
    queue = stalled(collector)
    queue.put(some(5))
    queue.close(0.0)
    assert collector.closed
    assert queue.lost == 5
    queue.put(some(1))
    assert queue.lost == 6
    assert queue._thread is not None
    queue._thread.join(WAIT)
