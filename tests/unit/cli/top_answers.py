"""What the admin API says for `lbg top`."""

import json

from tests.unit.cli.admin_listener import status_with

NOW = 1_750_068_005.0  # 10:00:05 UTC
NUMBERS = {
    "requests_per_second": 412.04,
    "error_rate": 0.002,
    "p50_ms": 1.25,
    "p95_ms": 12.4,
    "p99_ms": 103.0,
    "in_flight": 7,
    "history": {"requests_per_second": [None, 0.0, 5.0], "errors_per_second": [], "p95_ms": []},
}
UNKNOWN = {
    **dict.fromkeys(NUMBERS),
    "in_flight": 0,
    "history": {"requests_per_second": [], "errors_per_second": [], "p95_ms": []},
}
EVENT = {
    "id": 1,
    "time": "2025-06-16T10:00:00.500Z",
    "kind": "down",
    "pool": "api",
    "endpoint": "http://a:1",
    "text": "connect refused",
    "after_seconds": 0.0,
}


def stats_with(total=NUMBERS, pool=NUMBERS, endpoint=NUMBERS):
    """Return the stats document of the one endpoint."""
    return {
        "now": NOW,
        "interval": 2.0,
        "window": 10.0,
        "times": [NOW - 4, NOW - 2, NOW],
        "total": total,
        "pools": {"api": pool},
        "endpoints": {"api/a:1": endpoint},
    }


def status_of(number, state="up"):
    """Return the status document of a pool with so many endpoints."""
    status = status_with()
    (endpoint,) = status["pools"]["api"]["endpoints"]
    text = json.dumps(endpoint)
    status["pools"]["api"]["endpoints"] = [
        {**json.loads(text), "name": f"a:{index}", "state": state} for index in range(number)
    ]
    return status
