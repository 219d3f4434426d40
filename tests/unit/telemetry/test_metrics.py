"""What is counted of a request that is over."""

from types import SimpleNamespace
from typing import Any

import pytest

from lbg.errors import LocalReply, RequestError, Sent, UpstreamError
from lbg.state.layout import ENDPOINT_SLOTS
from lbg.state.series import Region, Series, SeriesReader
from lbg.telemetry.metrics import RequestMetrics
from lbg.telemetry.metrics_kinds import (
    BOUNDS,
    GAUGES,
    REQUEST_VALUES,
    UPSTREAM_BOUNDS,
    UPSTREAM_HISTOGRAM,
    UPSTREAM_VALUES,
    Kind,
    RequestValue,
    UpstreamValue,
)


class Named:
    """A route, a pool or an endpoint: told apart by what it is, not by its name."""

    def __init__(self, name: str) -> None:
        self.name = name


ROUTE, POOL, ENDPOINT, OTHER = map(Named, ("shop", "api", "a:1", "b:2"))
MS = 1_000_000  # ns
RESET = UpstreamError("upstream_reset", "closed", sent=Sent.WRITTEN)


def attempt(endpoint: Any = ENDPOINT, **values: Any) -> Any:
    usual = {
        "connect": 0.0,
        "reused": True,
        "status": 200,
        "error": None,
        "ttfb": 0.002,
        "took": 0.004,
    }
    return SimpleNamespace(endpoint=endpoint, **usual | values)


def record(*attempts: Any, **values: Any) -> Any:
    usual = {"route": ROUTE, "pool": POOL, "reason": None, "queued": 0.0}
    return SimpleNamespace(attempts=attempts, **usual | values)


class Metrics:
    """The metrics of one worker; `numbers` are the values by kind and labels."""

    def __init__(self) -> None:
        self.series = Series.private()
        self.metrics = RequestMetrics(Region(self.series, 0, GAUGES.__contains__))

    def over(
        self, record: Any, status: int = 200, *, method: str = "GET", sent: int = 0, **environ: Any
    ) -> None:
        """Begin a request and end it, after 20 ms."""
        if record.route is not None:
            self.metrics.begun(record.route)
        self.metrics.observe({"REQUEST_METHOD": method} | environ, record, status, sent, 0.02)

    def numbers(self, kind: Kind) -> dict[tuple[str, ...], list[int]]:
        """Return what was counted."""
        self.metrics.tick(0.0)
        reader = SeriesReader(self.series)
        return {each.labels: reader.values(each) for each in reader.entries() if each.kind == kind}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def client(received: int = 0, *, taken: bool = False) -> dict[str, Any]:
    return {"lbg.client": SimpleNamespace(request=SimpleNamespace(received=received), taken=taken)}


def test_a_request_counts_in_the_bucket_of_its_time(metrics: Metrics) -> None:
    metrics.over(record(), 201, sent=30, **client(received=5))
    metrics.over(record(), 201)
    values = metrics.numbers(Kind.REQUESTS)["shop", "api", "GET", "201"]
    assert len(values) == REQUEST_VALUES
    assert values[BOUNDS.index(0.025)] == 2
    assert sum(values[: len(BOUNDS) + 1]) == 2
    assert values[RequestValue.SUM] == 40 * MS
    assert values[RequestValue.RECEIVED] == 5
    assert values[RequestValue.SENT] == 30


def test_a_time_on_a_bound_counts_below_it(metrics: Metrics) -> None:
    for took in (0.01, 0.010001, 10.0, 11.0):
        metrics.metrics.begun(ROUTE)
        metrics.metrics.observe({"REQUEST_METHOD": "GET"}, record(), 200, 0, took)
    values = metrics.numbers(Kind.REQUESTS)["shop", "api", "GET", "200"]
    counted = [index for index, value in enumerate(values[: len(BOUNDS) + 1]) if value]
    assert counted == [BOUNDS.index(0.01), BOUNDS.index(0.025), BOUNDS.index(10.0), len(BOUNDS)]


def test_methods_that_nobody_knows_are_one(metrics: Metrics) -> None:
    for method in ("BREW", "get", "DELETE", "x" * 5000):
        metrics.over(record(), method=method)
    assert [labels[2] for labels in metrics.numbers(Kind.REQUESTS)] == ["other", "DELETE"]


def test_statuses_that_are_none_are_one(metrics: Metrics) -> None:
    for status in (600, 999, 42):
        metrics.over(record(), status)
    assert [labels[3] for labels in metrics.numbers(Kind.REQUESTS)] == ["other"]


def test_a_request_without_a_route_has_empty_labels(metrics: Metrics) -> None:
    reason = LocalReply("no_route", "There is none.").reason
    metrics.over(record(route=None, pool=None, reason=reason), 404)
    assert list(metrics.numbers(Kind.REQUESTS)) == [("", "", "GET", "404")]
    assert metrics.numbers(Kind.LOCAL) == {("no_route", "404"): [1]}
    assert metrics.numbers(Kind.IN_FLIGHT) == {}


def test_requests_in_flight_are_those_begun_and_not_over(metrics: Metrics) -> None:
    for _ in range(3):
        metrics.metrics.begun(ROUTE)
    metrics.metrics.observe({"REQUEST_METHOD": "GET"}, record(), 200, 0, 0.1)
    assert metrics.numbers(Kind.IN_FLIGHT) == {("shop",): [2]}


def test_requests_in_flight_are_never_below_none(metrics: Metrics) -> None:
    metrics.metrics.begun(ROUTE)
    for _ in range(2):
        metrics.metrics.observe({"REQUEST_METHOD": "GET"}, record(), 200, 0, 0.1)
    assert metrics.numbers(Kind.IN_FLIGHT) == {("shop",): [0]}


def test_a_client_that_left_before_its_answer_counts_as_499(metrics: Metrics) -> None:
    metrics.over(record(), 0, **client())
    assert list(metrics.numbers(Kind.REQUESTS)) == [("shop", "api", "GET", "499")]
    assert metrics.numbers(Kind.LOCAL) == {("client_gone", "499"): [1]}


def test_a_fault_that_the_server_answers_counts_with_its_reason(metrics: Metrics) -> None:
    fault = RequestError("internal", "The application failed.")
    metrics.over(record(), 0, **client(), **{"lbg.fault": fault})
    assert list(metrics.numbers(Kind.REQUESTS)) == [("shop", "api", "GET", "500")]
    assert metrics.numbers(Kind.LOCAL) == {("internal", "500"): [1]}


def test_a_request_that_was_refused_before_it_was_routed_counts(metrics: Metrics) -> None:
    metrics.metrics.refused({}, RequestError("bad_request", "What?"))
    metrics.metrics.refused({"REQUEST_METHOD": "GET"}, RequestError("bad_request", "What?", status=505))
    assert list(metrics.numbers(Kind.REQUESTS)) == [("", "", "other", "400"), ("", "", "GET", "505")]
    assert metrics.numbers(Kind.LOCAL) == {("bad_request", "400"): [1], ("bad_request", "505"): [1]}


def test_a_tunnel_counts_and_its_length_is_no_time_of_a_request(metrics: Metrics) -> None:
    metrics.over(record(), 0, **client(taken=True))
    metrics.over(record(), 101)
    assert metrics.numbers(Kind.TUNNELED) == {("shop", "api", "GET", "101"): [2]}
    assert metrics.numbers(Kind.REQUESTS) == {}
    assert metrics.numbers(Kind.IN_FLIGHT) == {("shop",): [0]}


def test_an_attempt_on_a_kept_connection_has_no_time_to_connect(metrics: Metrics) -> None:
    metrics.over(record(attempt()))
    values = metrics.numbers(Kind.UPSTREAM)["api", "a:1"]
    assert len(values) == UPSTREAM_VALUES
    assert sum(values[: UpstreamValue.TTFB]) == 0
    ttfb = values[UpstreamValue.TTFB :][:UPSTREAM_HISTOGRAM]
    duration = values[UpstreamValue.DURATION :][:UPSTREAM_HISTOGRAM]
    assert (ttfb[UPSTREAM_BOUNDS.index(0.0025)], sum(ttfb[:-1]), ttfb[-1]) == (1, 1, 2 * MS)
    assert (duration[UPSTREAM_BOUNDS.index(0.005)], sum(duration[:-1]), duration[-1]) == (1, 1, 4 * MS)
    assert metrics.numbers(Kind.UPSTREAM_CONNECTIONS) == {("reused",): [1]}


def test_an_attempt_on_a_new_connection_has(metrics: Metrics) -> None:
    metrics.over(record(attempt(reused=False, connect=0.5)))
    connect = metrics.numbers(Kind.UPSTREAM)["api", "a:1"][: UpstreamValue.TTFB]
    assert (sum(connect[:-1]), connect[-1]) == (1, 500 * MS)
    assert metrics.numbers(Kind.UPSTREAM_CONNECTIONS) == {("reused",): [0], ("opened",): [1]}


def test_an_attempt_without_a_connection_failed_to_open_one(metrics: Metrics) -> None:
    refused = UpstreamError("connect_refused", "connect refused", sent=Sent.NOTHING)
    metrics.over(record(attempt(reused=False, status=0, ttfb=0.0, error=refused)), 502)
    values = metrics.numbers(Kind.UPSTREAM)["api", "a:1"]
    assert sum(values[: UpstreamValue.DURATION]) == 0
    assert metrics.numbers(Kind.UPSTREAM_CONNECTIONS)["failed",] == [1]
    assert metrics.numbers(Kind.UPSTREAM_ERRORS) == {("api", "a:1", "connect_refused"): [1]}
    assert metrics.numbers(Kind.RETRIES) == {}


def test_attempts_after_the_first_are_retries(metrics: Metrics) -> None:
    metrics.over(record(attempt(error=RESET), attempt(OTHER, error=RESET), attempt(OTHER)))
    assert metrics.numbers(Kind.RETRIES) == {("api", "failed"): [1], ("api", "answered"): [1]}
    assert metrics.numbers(Kind.UPSTREAM_ERRORS) == {
        ("api", "a:1", "upstream_reset"): [1],
        ("api", "b:2", "upstream_reset"): [1],
    }


def test_only_requests_that_waited_are_in_the_waiting_times(metrics: Metrics) -> None:
    metrics.over(record())
    assert metrics.numbers(Kind.QUEUE_WAIT) == {}
    metrics.over(record(queued=0.3))
    (values,) = metrics.numbers(Kind.QUEUE_WAIT).values()
    assert (values[BOUNDS.index(0.5)], sum(values[:-1]), values[-1]) == (1, 1, 300 * MS)


def test_routes_of_the_same_name_are_one(metrics: Metrics) -> None:
    metrics.over(record(attempt()))
    metrics.over(record(attempt(Named("a:1")), route=Named("shop")))
    (values,) = metrics.numbers(Kind.REQUESTS).values()
    assert sum(values[: len(BOUNDS) + 1]) == 2
    (upstream,) = metrics.numbers(Kind.UPSTREAM).values()
    assert sum(upstream[UpstreamValue.DURATION :][: len(UPSTREAM_BOUNDS) + 1]) == 2


def test_what_takes_long_is_told_as_exactly_of_an_endpoint_as_of_a_route() -> None:
    assert UPSTREAM_BOUNDS == BOUNDS


def test_there_is_room_for_all_endpoints_though_their_names_are_long() -> None:
    metrics = Metrics()
    for number in range(ENDPOINT_SLOTS):
        far = Named(f"{number:039d}:8000")
        metrics.over(record(attempt(far, reused=False, connect=0.1), pool=Named("p" * 30)))
    assert metrics.series.lost() == 0
    assert len(metrics.numbers(Kind.UPSTREAM)) == ENDPOINT_SLOTS


def test_a_full_region_serves_requests_and_counts_what_it_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    monkeypatch.setattr("lbg.state.series.REGION", 0)
    for _ in range(2):
        metrics.over(record(attempt(reused=False, connect=1.0), attempt(), queued=1.0), 200, sent=10**12)
    assert metrics.numbers(Kind.REQUESTS) == {}
    lost = ["the request", "two attempts", "a connection", "a retry", "a wait"]
    assert metrics.series.lost() == 2 * (len(lost) + 1)
