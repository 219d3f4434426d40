"""What goes to a collector; the network is left out."""

import io
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
import requests
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2
from requests.adapters import BaseAdapter
from urllib3 import HTTPResponse

from lbg.telemetry.otlp_collector import OtlpCollector
from lbg.telemetry.spans import Span
from lbg.telemetry.trace_context import TraceContext

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = 0xB7AD6B7169203331


class Network(BaseAdapter):
    """Answers `status`, `reason` and `body`, or raises `error`; keeps what was sent."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 200
        self.reason = "So"
        self.body: io.RawIOBase | io.BytesIO = io.BytesIO()
        self.error: Exception | None = None
        self.sent: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        self.sent.append(request)
        if self.error is not None:
            raise self.error
        response = requests.Response()
        response.status_code, response.reason = self.status, self.reason
        response.raw = HTTPResponse(self.body, preload_content=False)
        response.request, response.url = request, str(request.url)
        return response

    def close(self) -> None:
        """Nothing is open."""

    @property
    def spans(self) -> Any:
        body = self.sent[0].body
        assert isinstance(body, bytes)
        (resource,) = ExportTraceServiceRequest.FromString(body).resource_spans
        return resource


def collecting(url: str = "http://otel.example:4318") -> tuple[OtlpCollector, Network]:
    collector, network = OtlpCollector(url, "edge"), Network()
    collector._session.mount("http://", network)
    return collector, network


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.1")
    level = logging.getLogger("opentelemetry.exporter").level
    yield
    logging.getLogger("opentelemetry.exporter").setLevel(level)


def span(*, server: bool = True, parent: int = PARENT, failed: bool = False, state: str = "a=b") -> Span:
    context = TraceContext(TRACE, "", state, sampled=True)
    told = {"http.request.method": "GET", "server.port": 80, "lbg.connection_reused": True}
    return Span(context, "GET /*", server, 7, parent, 1_000, 2_000, {**told}, failed)


def test_a_span_is_sent_as_it_is() -> None:
    collector, network = collecting()
    assert collector.send([span()])
    (scope,) = network.spans.scope_spans
    (sent,) = scope.spans
    assert (sent.trace_id.hex(), sent.span_id.hex()) == (TRACE, f"{7:016x}")
    assert (sent.parent_span_id.hex(), sent.trace_state) == (f"{PARENT:x}", "a=b")
    assert (sent.name, sent.start_time_unix_nano, sent.end_time_unix_nano) == ("GET /*", 1_000, 2_000)
    assert {one.key: one.value.WhichOneof("value") for one in sent.attributes} == {
        "http.request.method": "string_value",
        "server.port": "int_value",
        "lbg.connection_reused": "bool_value",
    }


@pytest.mark.parametrize(
    ("server", "kind"), [(True, trace_pb2.Span.SPAN_KIND_SERVER), (False, trace_pb2.Span.SPAN_KIND_CLIENT)]
)
def test_kind_and_the_place_of_the_parent_are_told(server: bool, kind: int) -> None:
    collector, network = collecting()
    collector.send([span(server=server)])
    (sent,) = network.spans.scope_spans[0].spans
    assert sent.kind == kind
    remote = bool(sent.flags & trace_pb2.SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
    assert remote is server


def test_a_span_where_the_trace_begins_has_no_parent_and_no_state() -> None:
    collector, network = collecting()
    collector.send([span(parent=0, state="")])
    (sent,) = network.spans.scope_spans[0].spans
    assert (sent.parent_span_id, sent.trace_state) == (b"", "")


@pytest.mark.parametrize(
    ("failed", "status"),
    [(False, trace_pb2.Status.STATUS_CODE_UNSET), (True, trace_pb2.Status.STATUS_CODE_ERROR)],
)
def test_a_failure_is_the_status(failed: bool, status: int) -> None:
    collector, network = collecting()
    collector.send([span(failed=failed)])
    assert network.spans.scope_spans[0].spans[0].status.code == status


def test_the_service_has_its_name() -> None:
    collector, network = collecting()
    collector.send([span()])
    told = {one.key: one.value.string_value for one in network.spans.resource.attributes}
    assert told["service.name"] == "edge"
    assert told["service.version"]


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("http://otel.example:4318", "http://otel.example:4318/v1/traces"),
        ("http://otel.example:4318/", "http://otel.example:4318/v1/traces"),
        ("http://otel.example/in", "http://otel.example/in/v1/traces"),
        ("http://otel.example/in/v1/traces", "http://otel.example/in/v1/traces"),
    ],
)
def test_the_path_of_traces_is_added_to_the_url(url: str, asked: str) -> None:
    collector, network = collecting(url)
    collector.send([span()])
    assert network.sent[0].url == asked


def test_fields_of_the_environment_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hunter2")
    collector, network = collecting()
    collector.send([span()])
    assert network.sent[0].headers["api-key"] == "hunter2"


@pytest.mark.parametrize("status", [301, 307, 400, 500, 503])
def test_an_answer_that_is_an_error_is_told_and_not_logged(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    collector, network = collecting()
    network.status = status
    assert not collector.send([span()])
    assert collector.trouble == f"the collector answered {status} So"
    assert not caplog.records


def test_what_a_collector_says_cannot_forge_a_line_or_a_colour() -> None:
    collector, network = collecting()
    network.status, network.reason = 400, "\x1b[31mred\x9b1m\nFAKE"
    collector.send([span()])
    assert collector.trouble == r"the collector answered 400 \x1b[31mred\x9b1m\nFAKE"
    network.error = requests.ConnectionError("\x1b]0;title")
    collector.send([span()])
    assert collector.trouble == r"\x1b]0;title"


class Dripping(io.RawIOBase):
    """A body that never ends, and that takes its time."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        gevent.sleep(self.pause)
        self.given += size
        return b"x" * size


def test_of_a_long_answer_only_the_beginning_is_read() -> None:
    collector, network = collecting()
    body = network.body = Dripping()
    assert collector.send([span()])
    assert body.given <= 8192
    assert body.closed


def test_a_collector_that_takes_its_time_over_the_body_is_given_up() -> None:
    collector, network = collecting()
    network.body = Dripping(pause=60.0)
    assert not collector.send([span()])
    assert collector.trouble == "the collector took too long to answer"


def test_an_answer_that_breaks_off_is_a_failure_that_is_told() -> None:
    collector, network = collecting()
    body = network.body = io.BytesIO()
    body.read = lambda *_: (_ for _ in ()).throw(OSError("reset"))  # type: ignore[method-assign]
    assert not collector.send([span()])
    assert "reset" in collector.trouble


def test_a_refusal_is_told_in_the_words_of_the_system() -> None:
    collector, network = collecting()
    cause = SimpleNamespace(reason=OSError("[Errno 111] Connection refused"))
    network.error = requests.ConnectionError(cause)
    assert not collector.send([span()])
    assert collector.trouble == "[Errno 111] Connection refused"


def test_trouble_ends_with_an_answer() -> None:
    collector, network = collecting()
    network.status = 500
    collector.send([span()])
    network.status = 200
    assert collector.send([span()])
    assert collector.trouble == ""
