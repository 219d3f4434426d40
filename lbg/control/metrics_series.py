"""The series of all workers as metrics: entries with equal labels are added up."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from lbg.state.series import SeriesReader
from lbg.telemetry.metrics_kinds import (
    BOUNDS,
    CONNECT_BOUNDS,
    CONNECT_HISTOGRAM,
    GAUGES,
    SECOND,
    UPSTREAM_BOUNDS,
    UPSTREAM_HISTOGRAM,
    Kind,
    RequestValue,
    UpstreamValue,
)

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from prometheus_client.metrics_core import Metric

    from lbg.state.series import Series

Sums = dict[tuple[str, ...], list[int]]

_BUCKETS: Final = len(BOUNDS) + 1
_EVENTS: Final = ("reused", "failed")


class SeriesMetrics:
    """What is in the series, summed over the workers."""

    def __init__(self, series: Series) -> None:
        self._reader = SeriesReader(series)

    def collect(self, live: Container[int], denied: Mapping[str, int]) -> Iterator[Metric]:
        """Yield the metrics; `live` are the workers whose gauges count, `denied` the retries by pool."""
        sums, lags = self._sums(live)
        yield from _requests(sums[Kind.REQUESTS], sums[Kind.TUNNELED])
        yield _values(
            GaugeMetricFamily("lbg_requests_in_flight", "Requests that are not over.", labels=["route"]),
            sums[Kind.IN_FLIGHT],
        )
        yield _values(
            CounterMetricFamily(
                "lbg_local_responses",
                "Answers that lbg made itself, and clients that left before theirs.",
                labels=["reason", "code"],
            ),
            sums[Kind.LOCAL],
        )
        yield from _upstream(sums)
        yield _retries(sums[Kind.RETRIES], denied)
        waits = HistogramMetricFamily(
            "lbg_queue_wait_seconds", "How long requests waited for an endpoint.", labels=["pool"]
        )
        for labels, values in sums[Kind.QUEUE_WAIT].items():
            _add_histogram(waits, labels, values, BOUNDS)
        yield waits
        yield from self._workers(sums, lags)

    def _sums(self, live: Container[int]) -> tuple[dict[Kind, Sums], dict[str, int]]:
        """Return the values of all workers by kind and labels, and the lag of each live one."""
        sums: dict[Kind, Sums] = {kind: {} for kind in Kind}
        lags = {}
        kinds = list(Kind)
        for entry in self._reader.entries():
            kind = kinds[entry.kind]
            if kind in GAUGES and entry.worker not in live:
                continue
            values = self._reader.values(entry)
            if kind is Kind.LOOP_LAG:
                lags[str(entry.worker)] = values[0]
                continue
            known = sums[kind].get(entry.labels)
            sums[kind][entry.labels] = values if known is None else _added(known, values)
        return sums, lags

    def _workers(self, sums: Mapping[Kind, Sums], lags: Mapping[str, int]) -> Iterator[Metric]:
        yield _values(
            GaugeMetricFamily(
                "lbg_connections", "Connections of clients, with a request or idle.", labels=["state"]
            ),
            {("active",): [0], ("idle",): [0]} | sums[Kind.CONNECTIONS],
        )
        tunnels = sum(values[0] for values in sums[Kind.TUNNELS].values())
        yield GaugeMetricFamily(
            "lbg_tunnels_active", "Connections that became a tunnel, as by WebSocket.", tunnels
        )
        lag = GaugeMetricFamily(
            "lbg_worker_loop_lag_seconds",
            "How late the event loop of a worker came, the worst of the last 10 to 20 seconds.",
            labels=["worker"],
        )
        for worker, value in lags.items():
            lag.add_metric([worker], value / SECOND)
        yield lag
        yield CounterMetricFamily(
            "lbg_metrics_lost",
            "Values that are in no metric because a worker had no room.",
            self._reader.series.lost(),
        )


def _requests(timed: Sums, tunneled: Sums) -> Iterator[Metric]:
    total = CounterMetricFamily(
        "lbg_requests",
        "Requests that are over; the code is 499 when the client left before its answer.",
        labels=["route", "pool", "method", "code"],
    )
    durations: Sums = {}
    received: dict[str, int] = {}
    sent: dict[str, int] = {}
    counts = {labels: values[0] for labels, values in tunneled.items()}
    for labels, values in timed.items():
        route, pool, _, _ = labels
        counts[labels] = counts.get(labels, 0) + sum(values[:_BUCKETS])
        histogram = values[: RequestValue.SUM + 1]
        known = durations.get((route, pool))
        durations[route, pool] = histogram if known is None else _added(known, histogram)
        received[route] = received.get(route, 0) + values[RequestValue.RECEIVED]
        sent[route] = sent.get(route, 0) + values[RequestValue.SENT]
    for labels, count in counts.items():
        total.add_metric(labels, count)
    yield total
    duration = HistogramMetricFamily(
        "lbg_request_duration_seconds",
        "From the request head to the end of the response; tunnels are not in it.",
        labels=["route", "pool"],
    )
    for labels, values in durations.items():
        _add_histogram(duration, labels, values, BOUNDS)
    yield duration
    for name, text, numbers in (
        ("lbg_request_bytes", "Bytes of request bodies.", received),
        ("lbg_response_bytes", "Bytes of response bodies.", sent),
    ):
        by_route = CounterMetricFamily(name, text, labels=["route"])
        for route, number in numbers.items():
            by_route.add_metric([route], number)
        yield by_route


def _upstream(sums: Mapping[Kind, Sums]) -> Iterator[Metric]:
    names = ["pool", "endpoint"]
    connect = HistogramMetricFamily("lbg_upstream_connect_seconds", "How long connecting took.", labels=names)
    ttfb = HistogramMetricFamily(
        "lbg_upstream_ttfb_seconds", "From the start of an attempt to the response head.", labels=names
    )
    duration = HistogramMetricFamily(
        "lbg_upstream_duration_seconds", "From the start of an attempt to its end.", labels=names
    )
    opened = 0
    for labels, values in sums[Kind.UPSTREAM].items():
        connects = values[:CONNECT_HISTOGRAM]
        opened += sum(connects[:-1])
        _add_histogram(connect, labels, connects, CONNECT_BOUNDS)
        _add_histogram(ttfb, labels, values[UpstreamValue.TTFB :][:UPSTREAM_HISTOGRAM], UPSTREAM_BOUNDS)
        _add_histogram(
            duration, labels, values[UpstreamValue.DURATION :][:UPSTREAM_HISTOGRAM], UPSTREAM_BOUNDS
        )
    yield from (connect, ttfb, duration)
    errors = CounterMetricFamily(
        "lbg_upstream_errors", "Attempts that failed, and responses cut short.", labels=[*names, "reason"]
    )
    yield _values(errors, sums[Kind.UPSTREAM_ERRORS])
    connections = CounterMetricFamily(
        "lbg_upstream_connections",
        "Connections for attempts: opened, reused, or failed to open.",
        labels=["event"],
    )
    connections.add_metric(["opened"], opened)
    for event in _EVENTS:
        connections.add_metric([event], sums[Kind.UPSTREAM_CONNECTIONS].get((event,), [0])[0])
    yield connections


def _retries(sums: Sums, denied: Mapping[str, int]) -> Metric:
    retries = CounterMetricFamily(
        "lbg_retries",
        "Attempts after the first: answered or failed; denied are those that the budget did not allow.",
        labels=["pool", "outcome"],
    )
    for pool, count in denied.items():
        for outcome in ("answered", "failed"):
            retries.add_metric([pool, outcome], sums.pop((pool, outcome), [0])[0])
        retries.add_metric([pool, "denied"], count)
    return _values(retries, sums)  # of pools that are gone


def _values(family: CounterMetricFamily | GaugeMetricFamily, sums: Sums) -> Metric:
    for labels, values in sums.items():
        family.add_metric(labels, values[0])
    return family


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [mine + its for mine, its in zip(one, other, strict=True)]


def _add_histogram(
    family: HistogramMetricFamily, labels: Sequence[str], values: Sequence[int], bounds: Iterable[float]
) -> None:
    """Add what lies in cells: a count per bucket, then the sum in ns."""
    names = [*map(str, bounds), "+Inf"]
    buckets = list(zip(names, accumulate(values[:-1]), strict=True))
    family.add_metric(labels, buckets, values[-1] / SECOND)
