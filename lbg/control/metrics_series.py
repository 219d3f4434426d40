"""The series of all workers as metrics: entries with equal labels are added up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lbg.control.metrics_text import Family, bound_names, single
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
    from collections.abc import Container, Iterator, Mapping, Sequence

    from lbg.state.series import Series

Sums = dict[tuple[str, ...], list[int]]

_BUCKETS: Final = len(BOUNDS) + 1
_EVENTS: Final = ("reused", "failed")
_TIMES: Final = bound_names(BOUNDS)
_UPSTREAM_TIMES: Final = bound_names(UPSTREAM_BOUNDS)
_CONNECT_TIMES: Final = bound_names(CONNECT_BOUNDS)


class SeriesMetrics:
    """What is in the series, summed over the workers."""

    def __init__(self, series: Series) -> None:
        self._reader = SeriesReader(series)

    def collect(self, live: Container[int], denied: Mapping[str, int]) -> Iterator[Family]:
        """Yield the metrics; `live` are the workers whose gauges count, `denied` the retries by pool."""
        sums, lags = self._sums(live)
        yield from _requests(sums[Kind.REQUESTS], sums[Kind.TUNNELED])
        yield _values(
            Family("gauge", "lbg_requests_in_flight", "Requests that are not over.", labels=["route"]),
            sums[Kind.IN_FLIGHT],
        )
        yield _values(
            Family(
                "counter",
                "lbg_local_responses_total",
                "Answers that lbg made itself, and clients that left before theirs.",
                labels=["reason", "code"],
            ),
            sums[Kind.LOCAL],
        )
        yield from _upstream(sums)
        yield _retries(sums[Kind.RETRIES], denied)
        waits = Family(
            "histogram",
            "lbg_queue_wait_seconds",
            "How long requests waited for an endpoint.",
            labels=["pool"],
        )
        for labels, values in sums[Kind.QUEUE_WAIT].items():
            _add_histogram(waits, labels, values, _TIMES)
        yield waits
        yield from _code_and_copies(sums)
        yield from self._workers(sums, lags)
        yield from _starts_and_losses(sums)

    def _sums(self, live: Container[int]) -> tuple[dict[Kind, Sums], dict[str, int]]:
        """Return the values of all workers by kind and labels, and the lag of each live one."""
        sums: dict[Kind, Sums] = {kind: {} for kind in Kind}
        lags = {}
        kinds = list(Kind)
        for entry in self._reader.entries():
            if entry.kind >= len(kinds):
                continue  # a later version counted it in this state directory
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

    def _workers(self, sums: Mapping[Kind, Sums], lags: Mapping[str, int]) -> Iterator[Family]:
        yield _values(
            Family(
                "gauge",
                "lbg_connections",
                "Connections of clients, with a request or idle.",
                labels=["state"],
            ),
            {("active",): [0], ("idle",): [0]} | sums[Kind.CONNECTIONS],
        )
        yield single(
            "gauge",
            "lbg_tunnels_active",
            "Connections that became a tunnel, as by WebSocket.",
            _sum(sums[Kind.TUNNELS]),
        )
        lag = Family(
            "gauge",
            "lbg_worker_loop_lag_seconds",
            "How late the event loop of a worker came, the worst of the last 10 to 20 seconds.",
            labels=["worker"],
        )
        for worker, value in lags.items():
            lag.add([worker], value / SECOND)
        yield lag
        yield single(
            "counter",
            "lbg_metrics_lost_total",
            "Values that are in no metric because a worker had no room.",
            self._reader.series.lost(),
        )


def _code_and_copies(sums: Mapping[Kind, Sums]) -> Iterator[Family]:
    yield _values(
        Family(
            "counter",
            "lbg_hook_faults_total",
            "Calls of the code of the user that failed, were slow, or blocked their worker.",
            labels=["use", "hook", "kind"],
        ),
        sums[Kind.HOOK_FAULTS],
    )
    yield _values(
        Family(
            "counter",
            "lbg_mirror_requests_total",
            "Requests that mirror was to copy, by what became of the copy.",
            labels=["route", "pool", "outcome"],
        ),
        sums[Kind.MIRRORED],
    )


def _starts_and_losses(sums: Mapping[Kind, Sums]) -> Iterator[Family]:
    yield _values(
        Family(
            "counter",
            "lbg_worker_starts_total",
            "Workers that started, by the number that a dead one left free and by what they do.",
            labels=["worker", "role"],
        ),
        sums[Kind.STARTS],
    )
    yield single(
        "counter",
        "lbg_access_log_lost_total",
        "Lines of the access log that could not be written.",
        _sum(sums[Kind.LOG_LOST]),
    )
    yield single(
        "counter",
        "lbg_trace_spans_lost_total",
        "Spans that no collector of OpenTelemetry got.",
        _sum(sums[Kind.SPANS_LOST]),
    )


def _requests(timed: Sums, tunneled: Sums) -> Iterator[Family]:
    total = Family(
        "counter",
        "lbg_requests_total",
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
        total.add(labels, count)
    yield total
    duration = Family(
        "histogram",
        "lbg_request_duration_seconds",
        "From the request head to the end of the response; tunnels are not in it.",
        labels=["route", "pool"],
    )
    for labels, values in durations.items():
        _add_histogram(duration, labels, values, _TIMES)
    yield duration
    for name, text, numbers in (
        ("lbg_request_bytes_total", "Bytes of request bodies.", received),
        ("lbg_response_bytes_total", "Bytes of response bodies.", sent),
    ):
        by_route = Family("counter", name, text, labels=["route"])
        for route, number in numbers.items():
            by_route.add([route], number)
        yield by_route


def _upstream(sums: Mapping[Kind, Sums]) -> Iterator[Family]:
    names = ["pool", "endpoint"]
    connect = Family("histogram", "lbg_upstream_connect_seconds", "How long connecting took.", labels=names)
    ttfb = Family(
        "histogram",
        "lbg_upstream_ttfb_seconds",
        "From the start of an attempt to the response head.",
        labels=names,
    )
    duration = Family(
        "histogram", "lbg_upstream_duration_seconds", "From the start of an attempt to its end.", labels=names
    )
    opened = 0
    for labels, values in sums[Kind.UPSTREAM].items():
        connects = values[:CONNECT_HISTOGRAM]
        opened += sum(connects[:-1])
        _add_histogram(connect, labels, connects, _CONNECT_TIMES)
        _add_histogram(ttfb, labels, values[UpstreamValue.TTFB :][:UPSTREAM_HISTOGRAM], _UPSTREAM_TIMES)
        _add_histogram(
            duration, labels, values[UpstreamValue.DURATION :][:UPSTREAM_HISTOGRAM], _UPSTREAM_TIMES
        )
    yield from (connect, ttfb, duration)
    errors = Family(
        "counter",
        "lbg_upstream_errors_total",
        "Attempts that failed, and responses cut short.",
        labels=[*names, "reason"],
    )
    yield _values(errors, sums[Kind.UPSTREAM_ERRORS])
    connections = Family(
        "counter",
        "lbg_upstream_connections_total",
        "Connections for attempts: opened, reused, or failed to open.",
        labels=["event"],
    )
    connections.add(["opened"], opened)
    for event in _EVENTS:
        connections.add([event], sums[Kind.UPSTREAM_CONNECTIONS].get((event,), [0])[0])
    yield connections


def _retries(sums: Sums, denied: Mapping[str, int]) -> Family:
    retries = Family(
        "counter",
        "lbg_retries_total",
        "Attempts after the first: answered or failed; denied are those that the budget did not allow.",
        labels=["pool", "outcome"],
    )
    for pool, count in denied.items():
        for outcome in ("answered", "failed"):
            retries.add([pool, outcome], sums.pop((pool, outcome), [0])[0])
        retries.add([pool, "denied"], count)
    return _values(retries, sums)  # of pools that are gone


def _values(family: Family, sums: Sums) -> Family:
    for labels, values in sums.items():
        family.add(labels, values[0])
    return family


def _sum(sums: Sums) -> int:
    return sum(values[0] for values in sums.values())


def _added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [mine + its for mine, its in zip(one, other, strict=True)]


def _add_histogram(
    family: Family, labels: Sequence[str], values: Sequence[int], bounds: Sequence[str]
) -> None:
    """Add what lies in cells: a count per bucket, then the sum in ns."""
    family.add_histogram(labels, bounds, values[:-1], values[-1] / SECOND)
