"""The spans of a request that is over."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lbg.errors import REASONS, Reason, Sent, UpstreamError
from lbg.telemetry.spans import Span, Spans
from lbg.telemetry.trace_context import TraceContext

BEGAN = 1000.0  # CLOCK_MONOTONIC
ENDED = 1_700_000_000_000_000_000  # ns of Unix time
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
MS = 1_000_000


def context(parent: str = PARENT, *, sampled: bool = True) -> TraceContext:
    return TraceContext(TRACE, parent, "", sampled=sampled)


def endpoint(host: str = "127.0.0.1", port: int = 8001, path: str = "") -> Any:
    return SimpleNamespace(address=SimpleNamespace(host=host, port=port, path=path))


@dataclass
class Try:
    endpoint: Any = field(default_factory=endpoint)
    began: float = BEGAN + 0.001
    took: float = 0.012
    reused: bool = False
    status: int = 200
    error: UpstreamError | None = None


def route(**config: Any) -> Any:
    return SimpleNamespace(
        name="shop", config=SimpleNamespace(**{"path": None, "path_exact": None, "path_regex": "", **config})
    )


@dataclass
class Request:
    request_id: str = "id1"
    client: str = "192.0.2.1"
    began: float = BEGAN
    queued: float = 0.0
    reason: Reason | None = None
    route: Any = field(default_factory=route)
    pool: Any = field(default_factory=lambda: SimpleNamespace(name="api"))
    attempts: tuple[Try, ...] = field(default_factory=lambda: (Try(),))
    trace_context: TraceContext | None = field(default_factory=context)


class Visitors:
    """Whoever asks is told these."""

    def address(self, environ: dict[str, Any]) -> str:
        return "198.51.100.7"

    def secure(self, environ: dict[str, Any]) -> bool:
        return "secure" in environ


def spans(record: Request | None = None, status: int = 200, **environ: Any) -> tuple[Span, ...]:
    """Return those of a GET that took 20 ms."""
    asked = {
        "REQUEST_METHOD": "GET",
        "REMOTE_ADDR": "10.0.0.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "RAW_URI": "/things/1?secret=hunter2",
        **environ,
    }
    return Spans(Visitors()).of(asked, record or Request(), status, 0.020, ENDED)


def attributes(*arguments: Any, **environ: Any) -> dict[str, Any]:
    return dict(spans(*arguments, **environ)[0].attributes)


def test_a_request_has_the_attributes_of_the_conventions() -> None:
    (request, _) = spans(HTTP_HOST="Shop.Example:8080", HTTP_USER_AGENT="curl")
    assert request.server
    assert request.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/*",
        "url.path": "/things/1",
        "url.scheme": "http",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": "192.0.2.1",
        "network.peer.address": "10.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "curl",
        "lbg.request_id": "id1",
        "lbg.route": "shop",
        "lbg.pool": "api",
    }


def test_an_attempt_has_the_attributes_of_the_conventions() -> None:
    (_, attempt) = spans()
    assert not attempt.server
    assert attempt.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "server.address": "127.0.0.1",
        "server.port": 8001,
        "lbg.pool": "api",
        "lbg.connection_reused": False,
    }


def test_no_query_is_told() -> None:
    assert not any("hunter2" in str(value) for span in spans() for value in span.attributes.values())


def test_the_request_is_a_child_of_who_sent_it_and_attempts_are_its_children() -> None:
    record = Request(attempts=(Try(), Try()))
    request, first, second = spans(record)
    assert record.trace_context is not None
    assert request.parent_id == int(PARENT, 16)
    assert request.span_id == record.trace_context.span_id
    assert first.parent_id == second.parent_id == request.span_id
    assert [first.span_id, second.span_id] == [record.trace_context.attempt_id(number) for number in (0, 1)]


def test_a_trace_that_begins_here_has_no_parent() -> None:
    assert spans(Request(trace_context=context("")))[0].parent_id == 0


@pytest.mark.parametrize("none", [None, context(sampled=False)])
def test_what_is_not_recorded_has_no_spans(none: TraceContext | None) -> None:
    assert spans(Request(trace_context=none)) == ()


def test_times_are_unix_time_on_the_clock_of_the_request() -> None:
    request, first, second = spans(Request(attempts=(Try(took=0.002), Try(began=BEGAN + 0.004, took=0.015))))
    assert (request.ended, request.ended - request.began) == (ENDED, 20 * MS)
    assert first.began - request.began == pytest.approx(1 * MS, abs=1000)
    assert first.ended - first.began == pytest.approx(2 * MS, abs=1000)
    assert second.began - request.began == pytest.approx(4 * MS, abs=1000)
    assert second.ended - second.began == pytest.approx(15 * MS, abs=1000)


def test_attempts_after_the_first_are_counted() -> None:
    _, *attempts = spans(Request(attempts=(Try(), Try(), Try())))
    assert [one.attributes.get("http.request.resend_count") for one in attempts] == [None, 1, 2]


def test_an_attempt_without_an_answer_tells_why() -> None:
    refused = UpstreamError("connect_refused", "refused", sent=Sent.NOTHING)
    _, failed, answered = spans(Request(attempts=(Try(status=0, error=refused), Try())))
    assert failed.failed
    assert failed.attributes["error.type"] == "connect_refused"
    assert "http.response.status_code" not in failed.attributes
    assert not answered.failed
    assert "error.type" not in answered.attributes


@pytest.mark.parametrize(("status", "error"), [(399, None), (404, "404"), (503, "503")])
def test_an_attempt_fails_from_400_on(status: int, error: str | None) -> None:
    (_, attempt) = spans(Request(attempts=(Try(status=status),)), status)
    assert (attempt.failed, attempt.attributes.get("error.type")) == (error is not None, error)


@pytest.mark.parametrize(("status", "error"), [(404, None), (429, None), (500, "500")])
def test_a_request_fails_from_500_on(status: int, error: str | None) -> None:
    request = spans(status=status)[0]
    assert (request.failed, request.attributes.get("error.type")) == (error is not None, error)


def test_the_reason_of_a_local_reply_is_told() -> None:
    record = Request(reason=REASONS["no_healthy"], attempts=())
    (request,) = spans(record, 503)
    assert request.failed
    assert request.attributes["error.type"] == request.attributes["lbg.reason"] == "no_healthy"


def test_an_answer_that_was_cut_failed() -> None:
    cut = UpstreamError("upstream_cut_body", "cut", sent=Sent.ANSWERED)
    record = Request(reason=cut.reason)
    request = spans(record, 200, **{"lbg.cut": cut})[0]
    assert (request.failed, request.attributes["error.type"]) == (True, "upstream_cut_body")


def test_a_client_that_left_is_no_failure_and_got_no_status() -> None:
    request = spans(Request(reason=REASONS["client_gone"]), 499, **{"lbg.cut": OSError()})[0]
    assert not request.failed
    assert request.attributes["lbg.reason"] == "client_gone"
    assert "http.response.status_code" not in request.attributes


@pytest.mark.parametrize(
    ("config", "pattern"),
    [
        ({}, "/*"),
        ({"path": "/v1"}, "/v1/*"),
        ({"path": "/v1/"}, "/v1/*"),
        ({"path_exact": "/login"}, "/login"),
        ({"path_regex": "/u/[0-9]+"}, "/u/[0-9]+"),
    ],
)
def test_the_name_has_the_paths_of_the_route_and_not_that_of_the_request(
    config: dict[str, str], pattern: str
) -> None:
    request = spans(Request(route=route(**config)))[0]
    assert (request.name, request.attributes["http.route"]) == (f"GET {pattern}", pattern)


def test_without_a_route_the_name_is_the_method() -> None:
    record = Request(route=None, pool=None, attempts=())
    (request,) = spans(record, 404)
    assert request.name == "GET"
    assert not {"http.route", "lbg.route", "lbg.pool"} & set(request.attributes)


def test_a_method_that_is_not_known_is_no_name() -> None:
    request, attempt = spans(REQUEST_METHOD="BREW")
    assert (request.name, attempt.name) == ("HTTP /*", "HTTP")
    assert request.attributes["http.request.method"] == "_OTHER"
    assert request.attributes["http.request.method_original"] == "BREW"


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [
        ("a", "a", None),
        ("a:1", "a", 1),
        ("[::1]", "[::1]", None),
        ("[::1]:1", "[::1]", 1),
        ("12", "12", None),
    ],
)
def test_the_host_is_taken_apart(host: str, address: str, port: int | None) -> None:
    told = attributes(HTTP_HOST=host)
    assert (told["server.address"], told.get("server.port")) == (address, port)


def test_the_scheme_and_the_client_are_asked_for() -> None:
    told = attributes(Request(client="", queued=0.5), secure=True)
    assert (told["url.scheme"], told["client.address"], told["lbg.queued"]) == (
        "https",
        "198.51.100.7",
        0.5,
    )


def test_what_a_client_sent_is_cut() -> None:
    told = attributes(HTTP_HOST="h" * 5000, HTTP_USER_AGENT="u" * 5000, RAW_URI="/" + "p" * 5000)
    assert max(len(str(value)) for value in told.values()) == 1024


def test_an_endpoint_on_a_unix_socket_is_named_by_its_path() -> None:
    (_, attempt) = spans(Request(attempts=(Try(endpoint("", 0, "/run/app.sock")),)))
    assert attempt.attributes["server.address"] == "/run/app.sock"
    assert "server.port" not in attempt.attributes


def test_what_filters_changed_is_told_as_it_came() -> None:
    came = {"REQUEST_METHOD": "GET", "HTTP_HOST": "a.example", "HTTP_USER_AGENT": "curl", "RAW_URI": "/a"}
    told = attributes(HTTP_HOST="b.example", HTTP_USER_AGENT="secret", **{"lbg.received": came})
    assert (told["server.address"], told["user_agent.original"]) == ("a.example", "curl")
    assert told["url.path"] == "/a"
