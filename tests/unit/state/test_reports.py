"""What workers tell of failed requests, and what the control worker hears of it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.state import reports as module
from lbg.state.cells import Cells
from lbg.state.layout import ENDPOINT_SLOTS, REPORTS, WORKER_SLOTS, Kind, reports
from lbg.state.reports import Report, ReportReader, ReportWriter

A, B = Kind.CONNECT_FAILURE, Kind.SERVER_ERROR


@pytest.fixture(autouse=True)
def _ticking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time go on by one nanosecond with each look at the clock."""
    ticks = itertools.count(1)
    monkeypatch.setattr(module, "monotonic_ns", lambda: next(ticks))


def cells_of(workers: int) -> Cells:
    cells = Cells.private()
    for worker in range(workers):
        cells.register(worker, pid=100 + worker, role=0, generation=1)
    return cells


def test_nothing_reported_is_nothing_heard() -> None:
    assert ReportReader(cells_of(2)).take() == []


def test_a_report_is_heard_once_with_its_time() -> None:
    cells = cells_of(1)
    reader, writer = ReportReader(cells), ReportWriter(cells, 0)
    writer.report(7, A)
    assert reader.take() == [Report(1, 7, A, 0, 0)]
    assert reader.take() == []
    writer.report(8, B)
    assert reader.take() == [Report(2, 8, B, 0, 0)]


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("slot", [0, 1, 255, 256, ENDPOINT_SLOTS - 1])
def test_every_endpoint_and_kind_comes_through(slot: int, kind: Kind) -> None:
    cells = cells_of(1)
    reader = ReportReader(cells)
    ReportWriter(cells, 0).report(slot, kind)
    assert [(report.endpoint, report.kind) for report in reader.take()] == [(slot, kind)]


def test_reports_of_all_workers_come_in_the_order_of_time() -> None:
    cells = cells_of(3)
    reader = ReportReader(cells)
    writers = [ReportWriter(cells, worker) for worker in range(3)]
    for slot, worker in enumerate([2, 0, 1, 1, 0, 2]):
        writers[worker].report(slot, A)
    assert [report.endpoint for report in reader.take()] == [0, 1, 2, 3, 4, 5]


def test_a_reader_begins_with_what_comes_after_it() -> None:
    cells = cells_of(1)
    writer = ReportWriter(cells, 0)
    writer.report(1, A)
    reader = ReportReader(cells)
    assert reader.take() == []
    writer.report(2, A)
    assert [report.endpoint for report in reader.take()] == [2]


def test_a_worker_that_comes_later_is_heard_from_its_first_report() -> None:
    cells = cells_of(1)
    reader = ReportReader(cells)
    cells.register(5, pid=200, role=0, generation=2)
    ReportWriter(cells, 5).report(3, B)
    assert [report.endpoint for report in reader.take()] == [3]


def test_a_worker_that_takes_over_a_slot_goes_on_with_its_reports() -> None:
    cells = cells_of(2)
    reader = ReportReader(cells)
    ReportWriter(cells, 1).report(1, A)
    assert len(reader.take()) == 1
    cells.forget(1, 101)
    cells.register(1, pid=300, role=0, generation=2)
    ReportWriter(cells, 1).report(2, A)
    assert [report.endpoint for report in reader.take()] == [2]


def test_the_ring_goes_round() -> None:
    cells = cells_of(1)
    reader, writer = ReportReader(cells), ReportWriter(cells, 0)
    heard = []
    for slot in range(2 * REPORTS + 10):
        writer.report(slot % ENDPOINT_SLOTS, A)
        if slot % 100 == 0:
            heard += reader.take()
    heard += reader.take()
    assert [report.endpoint for report in heard] == [n % ENDPOINT_SLOTS for n in range(2 * REPORTS + 10)]


def test_of_more_than_the_ring_holds_the_last_are_heard() -> None:
    cells = cells_of(1)
    reader, writer = ReportReader(cells), ReportWriter(cells, 0)
    for slot in range(REPORTS + 5):
        writer.report(slot, A)
    assert [report.endpoint for report in reader.take()] == list(range(5, REPORTS + 5))
    assert reader.take() == []


def test_a_damaged_report_is_not_read_again() -> None:
    cells = cells_of(1)
    reader, writer = ReportReader(cells), ReportWriter(cells, 0)
    writer.report(7, A)
    cells.view[reports(0) + 1] = 7 << 8 | 99  # of no kind
    with pytest.raises(ValueError, match="99"):
        reader.take()
    assert reader.take() == []
    writer.report(8, B)
    assert [(report.endpoint, report.kind) for report in reader.take()] == [(8, B)]


def test_one_workers_overflow_loses_nothing_of_another() -> None:
    cells = cells_of(2)
    reader = ReportReader(cells)
    ReportWriter(cells, 1).report(77, B)
    loud = ReportWriter(cells, 0)
    for _ in range(REPORTS * 2):
        loud.report(1, A)
    heard = reader.take()
    assert len(heard) == REPORTS + 1
    assert heard[0] == Report(1, 77, B, 1, 0)


def test_the_last_worker_slot_has_its_ring_too() -> None:
    cells = cells_of(1)
    reader = ReportReader(cells)
    cells.register(WORKER_SLOTS - 1, pid=1, role=0, generation=1)
    writer = ReportWriter(cells, WORKER_SLOTS - 1)
    for _ in range(REPORTS):
        writer.report(ENDPOINT_SLOTS - 1, Kind.TRIAL_FAILED)
    assert len(reader.take()) == REPORTS


steps = st.lists(
    st.one_of(
        st.none(),  # the reader looks
        st.tuples(st.integers(0, 2), st.integers(0, 9), st.sampled_from(Kind)),
    ),
    max_size=60,
)


@given(steps=steps)
def test_all_is_heard_in_order_whenever_the_reader_looks(
    steps: list[tuple[int, int, Kind] | None],
) -> None:
    cells = cells_of(3)
    reader = ReportReader(cells)
    writers = [ReportWriter(cells, worker) for worker in range(3)]
    told, heard = [], []
    for step in steps:
        if step is None:
            heard += reader.take()
            continue
        worker, slot, kind = step
        writers[worker].report(slot, kind)
        told.append((slot, kind))
    heard += reader.take()
    assert [(report.endpoint, report.kind) for report in heard] == told
