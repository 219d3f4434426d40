"""Which requests are kept, and in which ring."""

import json
from typing import Any

import pytest

from lbg.errors import REASONS
from lbg.state.trace_layout import Ring
from lbg.state.trace_memory import TraceMemory
from lbg.telemetry import trace as module
from lbg.telemetry.trace import Traces
from tests.unit.telemetry.entries import environ_of
from tests.unit.telemetry.traced import Traced, config_of, refusal, route_of

SECOND = 1_000_000_000


class Clock:
    """Stands still unless told."""

    def __init__(self) -> None:
        self.now = SECOND

    def __call__(self) -> int:
        return self.now


class Kept(TraceMemory):
    """Remembers what is written, and where."""

    def __init__(self) -> None:
        self.documents: list[tuple[Ring, dict[str, Any]]] = []
        self.missing = 0
        self.room = True

    def reserved(self, worker: int) -> bool:
        return self.room

    def write(self, worker: int, ring: Ring, at: int, document: bytes) -> None:
        self.documents.append((ring, json.loads(document)))

    def leave_out(self, worker: int) -> None:
        self.missing += 1

    @property
    def kinds(self) -> list[str]:
        return [document["kind"] for _, document in self.documents]


def traces_of(memory: Kept, clock: Clock | None = None, **tracing: float) -> Traces:
    return Traces(config_of(tracing=tracing), memory, 0, clock or Clock())


def kinds(record: Traced, status: int = 200, took: float = 0.01, **tracing: float) -> list[str]:
    memory = Kept()
    traces_of(memory, **tracing).observe(environ_of(), record, status, 5, took)
    return memory.kinds


def test_a_fast_request_that_was_served_is_not_kept() -> None:
    assert kinds(Traced()) == []
    assert kinds(Traced(), 404) == []


@pytest.mark.parametrize("reason", REASONS)
def test_a_request_with_a_reason_is_kept(reason: str) -> None:
    status = REASONS[reason].status
    of_client = status < 500 or reason == "loop"
    assert kinds(refusal(reason), status) == ["refused" if of_client else "failed"]


def test_a_cut_answer_is_kept_whatever_its_status() -> None:
    assert kinds(refusal("upstream_cut_body"), 200) == ["failed"]


def test_an_error_of_the_backend_is_kept() -> None:
    assert kinds(Traced(), 500) == ["failed"]


def test_a_slow_request_is_kept_unless_that_is_off() -> None:
    assert kinds(Traced(), took=0.9) == []
    assert kinds(Traced(), took=1.0) == ["slow"]
    assert kinds(Traced(), took=1.0, slow=2.0) == []
    assert kinds(Traced(), took=1e6, slow=0.0) == []


def test_a_tunnel_is_not_slow() -> None:
    assert kinds(Traced(), 101, took=3600.0) == []


def test_a_share_of_the_others_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "random", lambda: 0.3)
    assert kinds(Traced(), sample=0.31) == ["sampled"]
    assert kinds(Traced(), sample=0.3) == []


@pytest.mark.parametrize(
    ("record", "status", "ring"),
    [
        (refusal("rate_limited"), 429, Ring.REFUSED),
        (refusal("client_gone"), 499, Ring.REFUSED),
        (refusal("client_gone"), 200, Ring.REFUSED),
        (refusal("bad_request"), 501, Ring.REFUSED),
        (refusal("loop"), 508, Ring.REFUSED),
        (refusal("no_healthy"), 503, Ring.FAILED),
        (refusal("read_timeout"), 200, Ring.FAILED),
        (Traced(), 500, Ring.FAILED),
    ],
)
def test_what_clients_do_does_not_push_out_what_backends_do(record: Traced, status: int, ring: Ring) -> None:
    memory = Kept()
    traces_of(memory).observe(environ_of(), record, status, 5, 0.01)
    assert [kept for kept, _ in memory.documents] == [ring]


def test_a_slow_request_has_its_own_ring() -> None:
    memory = Kept()
    traces_of(memory).observe(environ_of(), Traced(), 200, 5, 2.0)
    assert memory.documents[0][0] is Ring.SERVED


def test_a_flood_of_one_failure_leaves_room_for_others() -> None:
    memory, clock = Kept(), Clock()
    traces = traces_of(memory, clock)
    for _ in range(60):
        traces.observe(environ_of(), refusal("no_healthy"), 503, 5, 0.01)
    assert (len(memory.documents), memory.missing) == (50, 10)
    traces.observe(environ_of(), refusal("queue_full"), 503, 5, 0.01)
    traces.observe(environ_of(), refusal("no_healthy", route=route_of()), 503, 5, 0.01)
    assert len(memory.documents) == 52
    clock.now += SECOND
    for _ in range(60):
        traces.observe(environ_of(), refusal("no_healthy"), 503, 5, 0.01)
    assert len(memory.documents) == 57


def test_a_request_whose_head_nobody_understood_is_kept() -> None:
    memory = Kept()
    traces_of(memory).observe({}, refusal("bad_request", detail="No.", pool=None), 400, 0, 0.0)
    ((_, document),) = memory.documents
    assert (document["method"], document["path"], document["detail"]) == ("", "", "No.")


def test_another_configuration_counts_from_then_on() -> None:
    memory = Kept()
    traces = traces_of(memory)
    traces.adopt(config_of(tracing={"slow": 5.0}))
    traces.observe(environ_of(), Traced(), 200, 5, 2.0)
    assert memory.documents == []


def test_a_worker_without_room_keeps_nothing() -> None:
    memory = Kept()
    memory.room = False
    traces_of(memory).observe(environ_of(), Traced(), 500, 5, 0.01)
    assert memory.documents == []


def test_a_mistake_of_ours_ends_the_traces_and_no_request(caplog: pytest.LogCaptureFixture) -> None:
    memory = Kept()
    traces = traces_of(memory)
    for _ in range(2):
        traces.observe({"REQUEST_METHOD": None}, Traced(), 500, 5, 0.01)
    assert [record.getMessage() for record in caplog.records] == ["this worker keeps no more traces"]
