"""Single requests on the admin listener."""

from typing import Any

import pytest
from flask import Flask

from lbg.config.schema import Config
from lbg.control.app import ControlApp
from lbg.control.event_stream import EventStreams
from lbg.control.traces import add_traces
from lbg.health.events import EventLog
from lbg.state.layout import CELL
from lbg.state.trace_layout import Ring, SlotField, slot
from lbg.state.trace_memory import TraceMemory
from lbg.telemetry.trace_document import Ended, encoded, trace_document
from tests.unit.control.control_app import Answer, cells_of, published
from tests.unit.telemetry.entries import Thing, Try, environ_of
from tests.unit.telemetry.traced import Traced, TracedPool, config_of, failure, refusal, route_of

BEGAN = 1700000000.0


@pytest.fixture
def memory() -> TraceMemory:
    return TraceMemory.private()


@pytest.fixture
def app(memory: TraceMemory) -> ControlApp:
    return control(memory)


def control(memory: TraceMemory, **tracing: float) -> ControlApp:
    config: Config = config_of(tracing=tracing)

    def add(flask: Flask) -> None:
        add_traces(flask, memory, config)

    return ControlApp(published(), cells_of(), EventStreams(EventLog()), None, [add])


def keep(memory: TraceMemory, record: Traced, status: int, kind: str = "failed", after: float = 0.0) -> None:
    ended = Ended(kind, status, 5, 0.25, BEGAN + after)
    document = trace_document(environ_of(), record, config_of(), ended)
    ring = Ring.FAILED if kind == "failed" else Ring.SERVED
    memory.write(0, ring, int(ended.began * 1e9), encoded(document))


def get(app: ControlApp, path: str, query: str = "") -> Any:
    answer = Answer(app, path, QUERY_STRING=query)
    assert answer.status == 200, answer.body
    return answer.document


def ids(app: ControlApp, query: str = "") -> list[str]:
    return [one["id"] for one in get(app, "/api/v1/traces", query)["traces"]]


def test_the_latest_are_listed_first_and_in_brief(app: ControlApp, memory: TraceMemory) -> None:
    assert get(app, "/api/v1/traces") == {"traces": []}
    keep(memory, refusal("connect_refused", route=route_of(), attempts=(failure("a:1"),)), 502, after=0.5)
    keep(memory, Traced("id2", attempts=(Try(),), endpoint=Thing("a:1")), 200, "slow", after=1.0)
    slow, failed = get(app, "/api/v1/traces")["traces"]
    assert slow["id"] == "id2"
    assert failed == {
        "id": "id1",
        "at": "2023-11-14T22:13:20.500Z",
        "kind": "failed",
        "method": "GET",
        "host": "shop.example",
        "path": "/things",
        "status": 502,
        "reason": "connect_refused",
        "route": "shop",
        "pool": "api",
        "endpoint": None,
        "took_ms": 250.0,
        "sentence": "502: no connection to a:1: connect refused",
    }


def test_all_is_told_of_one(app: ControlApp, memory: TraceMemory) -> None:
    keep(memory, refusal("connect_timeout", attempts=(failure("a:1"),)), 504)
    document = get(app, "/api/v1/traces/id1")
    assert set(document) == {
        *("id", "at", "kind", "method", "host", "path", "status", "reason", "route", "pool", "endpoint"),
        *("took_ms", "sentence", "filters", "candidates", "attempts", "queue_ms", "setting", "advice"),
        *("trace_id", "worker", "steps"),
    }
    assert document["setting"] == "pools.api.timeouts.connect = 1.5"
    assert document["worker"] == 0
    assert document["steps"][0] == {"text": "GET /things for shop.example"}
    (attempt,) = document["attempts"]
    assert list(attempt) == ["endpoint", "status", "error", "text", "connect_ms", "ttfb_ms", "ms", "reused"]


def test_they_can_be_chosen(app: ControlApp, memory: TraceMemory) -> None:
    keep(memory, refusal("no_healthy", request_id="a", route=route_of()), 503)
    keep(memory, Traced("b", pool=TracedPool("web")), 500)
    keep(memory, Traced("c"), 200, "slow")
    keep(memory, Traced("d"), 200, "sampled")
    keep(memory, refusal("no_route", request_id="e"), 404, "refused")
    assert sorted(ids(app)) == ["a", "b", "c", "d", "e"]
    assert sorted(ids(app, "kind=failed")) == ["a", "b"]
    assert ids(app, "kind=refused") == ["e"]
    assert ids(app, "pool=web") == ["b"]
    assert ids(app, "route=shop") == ["a"]
    assert ids(app, "kind=slow") == ["c"]
    assert ids(app, "status=503") == ["a"]
    assert ids(app, "status=503&pool=web") == []


def test_so_many_are_listed_as_are_asked_for(app: ControlApp, memory: TraceMemory) -> None:
    for number in range(60):
        keep(memory, Traced(f"id{number}"), 500, after=number)
    assert len(ids(app)) == 50
    assert ids(app, "limit=2") == ["id59", "id58"]


def test_of_two_with_one_id_the_later_is_told(app: ControlApp, memory: TraceMemory) -> None:
    keep(memory, Traced("same"), 500, after=1.0)
    keep(memory, Traced("same"), 503, after=2.0)
    keep(memory, Traced("same2"), 502, after=3.0)
    assert get(app, "/api/v1/traces/same")["status"] == 503


@pytest.mark.parametrize("request_id", ["a/b", 'q"x', "a%b", "~!*'();:@&=+$,", "é"])
def test_an_id_of_any_characters_is_found(app: ControlApp, memory: TraceMemory, request_id: str) -> None:
    keep(memory, Traced(request_id), 500)
    path = f"/api/v1/traces/{request_id}".encode().decode("latin-1")
    assert get(app, path)["id"] == request_id


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("kind=slowly", 'kind: expected failed or refused or slow or sampled, got "slowly".'),
        ("limit=0", 'limit: expected a whole number from 1 to 500, got "0".'),
        ("limit=501", 'limit: expected a whole number from 1 to 500, got "501".'),
        ("limit=x", 'limit: expected a whole number from 1 to 500, got "x".'),
        ("limit=" + "9" * 5000, None),
        ("status=99", 'status: expected a whole number from 100 to 599, got "99".'),
        ("status=", 'status: expected a whole number from 100 to 599, got "".'),
    ],
)
def test_a_bad_parameter_is_a_problem(app: ControlApp, query: str, detail: str | None) -> None:
    answer = Answer(app, "/api/v1/traces", QUERY_STRING=query)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert detail is None or answer.document["detail"] == detail


def test_an_unknown_id_is_told_what_is_kept(memory: TraceMemory) -> None:
    answer = Answer(control(memory), "/api/v1/traces/gone")
    assert answer.status == 404
    assert answer.document["detail"] == (
        'There is no trace of "gone". Each worker keeps its last 256 failed, 64 refused, 128 slow (over 1 s) '
        "or sampled requests; there is none yet. The access log has all."
    )
    keep(memory, Traced(), 500)
    memory.leave_out(0)
    told = Answer(control(memory, slow=0.0), "/api/v1/traces/gone").document["detail"]
    assert "slow or sampled requests; the oldest one came at 2023-11-14T22:13:20Z. 1 that failed" in told


def test_the_whole_of_a_refusal_reaches_the_command_line(app: ControlApp) -> None:
    answer = Answer(app, "/api/v1/traces/" + "x" * 500)
    assert len(answer.document["detail"]) <= 300


def test_what_is_torn_is_passed_over(app: ControlApp, memory: TraceMemory) -> None:
    keep(memory, Traced("a"), 500)
    keep(memory, Traced("b"), 500)
    memory._view[slot(0, Ring.FAILED, 0) // CELL + SlotField.CHECK] ^= 1 << 40
    assert ids(app) == ["b"]
    assert Answer(app, "/api/v1/traces/a").status == 404
