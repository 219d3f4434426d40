"""What is counted in the series, and how its values lie."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

SECOND: Final = 1_000_000_000  # ns

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets, in seconds; one more bucket has what is above."""
UPSTREAM_BOUNDS: Final = BOUNDS  # so that what an endpoint took can be compared with what its route took
CONNECT_BOUNDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5)
"""There are as many as endpoints: fewer buckets."""


class Kind(IntEnum):
    """Entries by what they count; their labels stand behind."""

    REQUESTS = 0  # route, pool, method, code: a histogram, then RequestValue
    TUNNELED = 1  # route, pool, method, code: requests that became a tunnel
    IN_FLIGHT = 2  # route
    LOCAL = 3  # reason, code
    UPSTREAM = 4  # pool, endpoint: three histograms, see UpstreamValue
    UPSTREAM_ERRORS = 5  # pool, endpoint, reason
    UPSTREAM_CONNECTIONS = 6  # event
    RETRIES = 7  # pool, outcome
    QUEUE_WAIT = 8  # pool: a histogram
    CONNECTIONS = 9  # state
    TUNNELS = 10  # none
    LOOP_LAG = 11  # none: ns
    HOOK_FAULTS = 12  # use, hook, kind
    MIRRORED = 13  # route, pool, outcome
    LOG_LOST = 14  # none
    STARTS = 15  # worker, role
    SPANS_LOST = 16  # none


GAUGES: Final = frozenset({Kind.IN_FLIGHT, Kind.CONNECTIONS, Kind.TUNNELS, Kind.LOOP_LAG})
"""They say how things are now: those of a dead worker are in no sum."""

HISTOGRAM: Final = len(BOUNDS) + 2  # a cell per bucket, not cumulative, then the sum in ns
UPSTREAM_HISTOGRAM: Final = len(UPSTREAM_BOUNDS) + 2
CONNECT_HISTOGRAM: Final = len(CONNECT_BOUNDS) + 2


class RequestValue(IntEnum):
    """Where the values of a request lie behind its buckets."""

    SUM = len(BOUNDS) + 1
    RECEIVED = SUM + 1  # bytes of bodies
    SENT = RECEIVED + 1


class UpstreamValue(IntEnum):
    """Where the histograms of an endpoint begin, and where their sums are."""

    CONNECT = 0
    CONNECT_SUM = CONNECT_HISTOGRAM - 1
    TTFB = CONNECT_HISTOGRAM
    TTFB_SUM = TTFB + UPSTREAM_HISTOGRAM - 1
    DURATION = TTFB + UPSTREAM_HISTOGRAM
    DURATION_SUM = DURATION + UPSTREAM_HISTOGRAM - 1


REQUEST_VALUES: Final = len(BOUNDS) + 1 + 3
UPSTREAM_VALUES: Final = CONNECT_HISTOGRAM + 2 * UPSTREAM_HISTOGRAM
