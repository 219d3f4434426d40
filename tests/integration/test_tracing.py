"""Traces: their context on its way through lbg, and spans at a receiver that decodes them."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Lock, Thread
from time import time_ns
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.conftest import StartLbg
from tests.support.backend import Backend
from tests.support.client import Header, fetch
from tests.support.handlers import answer, close_before_answer, half_body
from tests.support.lbg import LbgProcess, one_pool
from tests.support.load import Load
from tests.support.waiting import eventually

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED: Header = ("traceparent", f"00-{TRACE}-{PARENT}-01")
UNSAMPLED: Header = ("traceparent", f"00-{TRACE}-{PARENT}-00")
STATE: Header = ("tracestate", "vendor=1,other=2")
NO_PROBES = {"type": "none"}


class Receiver:
    """Takes spans by OTLP over HTTP, answers `status`, and not before `open` is set."""

    def __init__(self) -> None:
        self.status = 200
        self.open = Event()
        self.open.set()
        self._lock = Lock()
        self._spans: list[Span] = []
        self.services: set[str] = set()
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.take(self.path, self.headers["Content-Type"], body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, content_type: str, body: bytes) -> None:
        """Keep the spans of one request."""
        assert (path, content_type) == ("/v1/traces", "application/x-protobuf")
        self.asked += 1
        self.open.wait(30)
        if self.status != 200:
            return
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            with self._lock:
                self.services.add(told["service.name"])
                self._spans += [span for scope in resource.scope_spans for span in scope.spans]

    @property
    def spans(self) -> list[Span]:
        """What came so far."""
        with self._lock:
            return list(self._spans)

    def wait(self, count: int) -> list[Span]:
        """Return the spans once there are so many, the request first, then its attempts in their order."""
        eventually(lambda: len(self.spans) >= count, 10.0, f"{count} spans")
        assert len(self.spans) == count
        return sorted(self.spans, key=lambda span: (span.kind, span.start_time_unix_nano))

    @contextmanager
    def running(self) -> Iterator["Receiver"]:
        """Answer while the block runs."""
        thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self.open.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Give a receiver that answers 200."""
    with Receiver().running() as running:
        yield running


def exporting(start: StartLbg, url: str, config: dict[str, object], **options: Any) -> LbgProcess:
    """Start lbg so that it exports to `url`, with one worker; `env` sets more keys."""
    env = {"LBG_TRACING__OTLP": url, **options.pop("env", {})}
    return start(config, **{"workers": 1, "env": env, **options})


def told(span: Span) -> dict[str, Any]:
    """Return the attributes of a span."""
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in span.attributes}


def refusing() -> str:
    """Return the URL of an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_without_export_the_context_passes_as_it_came(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    odd = [SAMPLED, ("Traceparent", "nonsense"), STATE, ("tracestate", "A B"), ("TraceState", "x=1")]
    fetch(process.address, "/", headers=odd)
    (got,) = backend.requests
    sent = [(name.decode(), value.decode()) for name, value in got.headers]
    assert [field for field in sent if field[0].lower().startswith("trace")] == odd


def test_without_export_a_worker_has_not_loaded_the_sdk(lbg: StartLbg, backend: Backend) -> None:
    process = lbg(one_pool(backend.url), workers=1)
    for pid in (process.pid, *process.worker_pids("proxy"), *process.worker_pids("control")):
        assert "google/_upb" not in Path(f"/proc/{pid}/maps").read_text()  # the C part of protobuf


def test_with_export_the_master_has_not_loaded_the_sdk(
    lbg: StartLbg, backend: Backend, receiver: Receiver
) -> None:
    process = exporting(lbg, receiver.url, one_pool(backend.url))
    fetch(process.address)
    receiver.wait(2)
    (worker,) = process.worker_pids("proxy")
    assert "google/_upb" in Path(f"/proc/{worker}/maps").read_text()
    for pid in (process.pid, *process.worker_pids("control")):
        assert "google/_upb" not in Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("config", ["plain", "routed"])
def test_the_endpoint_is_a_child_of_the_attempt_and_that_of_the_request(
    lbg: StartLbg, backend: Backend, receiver: Receiver, config: str
) -> None:
    config_of: dict[str, object] = one_pool(backend.url)
    if config == "routed":
        config_of["routes"] = [{"path": "/", "pool": "main", "host": "127.0.0.1"}]
    process = exporting(lbg, receiver.url, config_of, env={"LBG_TRACING__SERVICE_NAME": "edge"})
    before = time_ns()
    fetch(process.address, "/a?b", headers=[SAMPLED, STATE])
    request, attempt = receiver.wait(2)
    assert receiver.services == {"edge"}
    assert (request.kind, attempt.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert request.trace_id == attempt.trace_id == bytes.fromhex(TRACE)
    assert request.parent_span_id == bytes.fromhex(PARENT)
    assert attempt.parent_span_id == request.span_id
    (got,) = backend.requests
    assert got.values("traceparent") == [f"00-{TRACE}-{attempt.span_id.hex()}-01"]
    assert got.values("tracestate") == [STATE[1]]
    assert before < request.start_time_unix_nano <= attempt.start_time_unix_nano
    assert attempt.end_time_unix_nano <= request.end_time_unix_nano < time_ns()
    assert told(request)["url.path"] == "/a"
    assert told(request)["http.response.status_code"] == told(attempt)["http.response.status_code"] == 200
    assert told(attempt)["server.port"] == backend.address[1]


def test_without_a_parent_a_trace_begins(lbg: StartLbg, backend: Backend, receiver: Receiver) -> None:
    process = exporting(lbg, receiver.url, one_pool(backend.url))
    fetch(process.address, "/", headers=[SAMPLED, SAMPLED, STATE])
    request, attempt = receiver.wait(2)
    assert request.parent_span_id == b""
    assert request.trace_id.hex() != TRACE
    (got,) = backend.requests
    assert got.values("traceparent") == [f"00-{request.trace_id.hex()}-{attempt.span_id.hex()}-01"]
    assert got.values("tracestate") == []


@pytest.mark.parametrize("first", ["refuses", "closes"])
def test_each_try_has_a_span_and_its_endpoint_is_told_its_own(
    lbg: StartLbg, backend: Backend, receiver: Receiver, first: str
) -> None:
    with Backend(close_before_answer()) as closing:
        url = refusing() if first == "refuses" else closing.url
        config = one_pool(url, backend.url, balance="round_robin", health=NO_PROBES)
        process = exporting(lbg, receiver.url, config)
        for _ in range(2):  # round robin begins with one or the other
            assert fetch(process.address, "/").status == 200
        receiver.wait(5)
    attempts: dict[bytes, list[Span]] = {}
    for span in receiver.spans:
        if span.kind == Span.SPAN_KIND_CLIENT:
            attempts.setdefault(span.parent_span_id, []).append(span)
    failed, answered = next(each for each in attempts.values() if len(each) == 2)
    assert failed.status.code == Status.STATUS_CODE_ERROR
    assert told(failed)["error.type"] == ("connect_refused" if first == "refuses" else "upstream_reset")
    assert answered.status.code == Status.STATUS_CODE_UNSET
    assert told(answered)["http.request.resend_count"] == 1
    sent = [request.get("traceparent") for request in backend.requests]
    assert f"00-{answered.trace_id.hex()}-{answered.span_id.hex()}-01" in sent
    if first == "closes":
        (got,) = closing.requests
        assert got.values("traceparent") == [f"00-{failed.trace_id.hex()}-{failed.span_id.hex()}-01"]


def test_a_reply_of_our_own_and_a_cut_one_are_told_as_failures(
    lbg: StartLbg, backend: Backend, receiver: Receiver
) -> None:
    backend.handler = half_body()
    config: dict[str, object] = {
        "pools": {
            "cut": {"endpoints": [backend.url], "health": NO_PROBES},
            "gone": {"endpoints": [refusing()], "health": NO_PROBES},
        },
        "routes": [{"path": "/cut", "pool": "cut"}, {"path": "/gone", "pool": "gone"}],
    }
    process = exporting(lbg, receiver.url, config)
    for target in ("/cut", "/gone", "/none"):
        fetch(process.address, target)
    spans = {told(span)["url.path"]: span for span in receiver.wait(5) if span.kind == Span.SPAN_KIND_SERVER}
    cut, gone, none = spans["/cut"], spans["/gone"], spans["/none"]
    assert told(cut)["error.type"] == "upstream_cut_body"
    assert (told(gone)["error.type"], told(gone)["http.response.status_code"]) == ("connect_refused", 502)
    assert (none.name, told(none)["lbg.reason"]) == ("GET", "no_route")
    assert [span.status.code for span in (cut, gone, none)] == [2, 2, 0]


@pytest.mark.parametrize(
    ("share", "parent", "spans"), [("0.0", SAMPLED, 2), ("0.0", None, 0), ("1.0", UNSAMPLED, 0)]
)
def test_parents_decide_and_the_share_where_there_is_none(
    lbg: StartLbg, backend: Backend, receiver: Receiver, share: str, parent: Header | None, spans: int
) -> None:
    process = exporting(lbg, receiver.url, one_pool(backend.url), env={"LBG_TRACING__OTLP_SAMPLE": share})
    fetch(process.address, "/", headers=[parent] if parent else [])
    (value,) = backend.requests[0].values("traceparent")
    assert value.endswith("-01" if spans else "-00")
    process.stop()  # which sends what waits
    assert len(receiver.spans) == spans


def test_the_word_of_strangers_can_be_left_out(lbg: StartLbg, backend: Backend, receiver: Receiver) -> None:
    env = {"LBG_TRACING__OTLP_PARENT": "trusted"}
    process = exporting(lbg, receiver.url, one_pool(backend.url), env=env)
    fetch(process.address, "/", headers=[SAMPLED, STATE])
    request, _ = receiver.wait(2)
    assert request.trace_id.hex() != TRACE
    assert (request.parent_span_id, request.trace_state) == (b"", "")


def test_the_access_log_names_the_trace_that_began_here(
    lbg: StartLbg, backend: Backend, receiver: Receiver, tmp_path: Path
) -> None:
    log = tmp_path / "access.log"
    env = {"LBG_LOG__ACCESS": "true", "LBG_LOG__ACCESS_FILE": str(log)}
    process = exporting(lbg, receiver.url, one_pool(backend.url), env=env)
    fetch(process.address, "/")
    request, _ = receiver.wait(2)
    eventually(lambda: log.exists() and log.read_text().endswith("\n"))
    line = json.loads(log.read_text())
    assert (line["trace_id"], line["request_id"]) == (request.trace_id.hex(), told(request)["lbg.request_id"])


def test_who_is_asked_whether_a_request_may_pass_sees_the_request_as_parent(
    lbg: StartLbg, backend: Backend, receiver: Receiver
) -> None:
    with Backend(answer(200)) as auth, Backend(answer(200)) as copies:
        filters = [{"use": "forward_auth", "pool": "auth"}, {"use": "mirror", "pool": "copies"}]
        pools = {"main": backend.url, "auth": auth.url, "copies": copies.url}
        config: dict[str, object] = {
            "pools": {name: {"endpoints": [url]} for name, url in pools.items()},
            "routes": [{"pool": "main", "filters": filters}],
        }
        process = exporting(lbg, receiver.url, config)
        assert fetch(process.address, "/", headers=[SAMPLED, STATE]).status == 200
        request, _ = receiver.wait(2)
        eventually(lambda: copies.requests, what="the copy")
        for other in (auth, copies):
            (got,) = other.requests
            assert got.values("traceparent") == [f"00-{TRACE}-{request.span_id.hex()}-01"]
            assert got.values("tracestate") == [STATE[1]]


def _stopped(receiver: Receiver) -> str:
    receiver.open.clear()
    return receiver.url


def _failing(receiver: Receiver) -> str:
    receiver.status = 500
    return receiver.url


@pytest.mark.parametrize(
    "collector", [lambda _: refusing(), _stopped, _failing], ids=["dead", "stopped", "failing"]
)
def test_requests_do_not_notice_a_collector_in_trouble(
    lbg: StartLbg, backend: Backend, receiver: Receiver, collector: Callable[[Receiver], str]
) -> None:
    env = {"OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
    process = exporting(lbg, collector(receiver), one_pool(backend.url), env=env)
    with Load(process.address, concurrency=4) as load:
        eventually(lambda: load.done >= 2000, 30.0, "2000 answers")
    assert load.failures == []

    def lost() -> float:
        text = fetch(process.admin_address, "/metrics").body.decode()
        (line,) = [line for line in text.splitlines() if line.startswith("lbg_trace_spans_lost_total ")]
        return float(line.split()[1])

    eventually(lambda: lost() > 0, 15.0, "lost spans to be counted")
    eventually(lambda: process.log().count('"message": "lost '), 15.0, "a line of the log")
    assert process.log().count('"message": "lost ') == 1
    assert process.stop() == 0


def test_what_waits_at_the_end_is_sent(lbg: StartLbg, backend: Backend, receiver: Receiver) -> None:
    process = exporting(lbg, receiver.url, one_pool(backend.url), workers=2)
    for _ in range(20):
        fetch(process.address, "/")
    process.stop()
    assert len(receiver.spans) == 40


def test_the_end_does_not_wait_for_a_collector(lbg: StartLbg, backend: Backend, receiver: Receiver) -> None:
    process = exporting(lbg, receiver.url, one_pool(backend.url))
    receiver.open.clear()
    fetch(process.address, "/")
    eventually(lambda: receiver.asked, what="the first spans")
    assert process.stop(timeout=5.0) == 0


def test_without_the_extra_lbg_serves_and_says_once_what_to_install(
    lbg: StartLbg, backend: Backend, receiver: Receiver, tmp_path: Path
) -> None:
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.metadata as m\n"
        "real = m.distribution\n"
        "def distribution(name):\n"
        "    if name.startswith('opentelemetry'):\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return real(name)\n"
        "m.distribution = distribution\n"
    )
    process = exporting(lbg, receiver.url, one_pool(backend.url), env={"PYTHONPATH": str(hide)}, workers=2)
    assert fetch(process.address, "/", headers=[SAMPLED]).status == 200
    assert backend.requests[0].values("traceparent") == [SAMPLED[1]]
    assert process.log().count("pip install 'lbg[otel]'") == 1


@pytest.mark.parametrize("worker_class", ["gevent", "sync"])
def test_under_another_server_spans_are_sent_as_well(
    lbg: StartLbg, backend: Backend, receiver: Receiver, worker_class: str
) -> None:
    process = exporting(lbg, receiver.url, one_pool(backend.url), worker_class=worker_class)
    assert fetch(process.address, "/", headers=[SAMPLED]).status == 200
    request, attempt = receiver.wait(2)
    assert attempt.parent_span_id == request.span_id
    assert backend.requests[0].values("traceparent") == [f"00-{TRACE}-{attempt.span_id.hex()}-01"]
