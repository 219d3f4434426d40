"""What `/metrics` of a running lbg says, and an lbg that has had traffic of every kind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families as parse

from tests.support.backend import Backend
from tests.support.client import RawClient, fetch
from tests.support.handlers import answer, close_before_answer, slow
from tests.support.lbg import LbgProcess
from tests.support.load import Load
from tests.support.waiting import eventually
from tests.support.websocket_backend import websocket

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

_UPGRADE = (
    b"GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_MODULE = """
class Odd:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        raise RuntimeError("out of order")
"""


@dataclass
class Scrape:
    """One answer of `/metrics`."""

    samples: Samples
    counters: frozenset[str]

    def total(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that have these labels."""
        return sum(
            value
            for (known, its), value in self.samples.items()
            if known == name and labels.items() <= set(its)
        )

    def labels(self) -> dict[str, set[str]]:
        """Return the names of the labels of each sample there is."""
        found: dict[str, set[str]] = {}
        for name, labels in self.samples:
            found.setdefault(name, set()).update(label for label, _ in labels)
        return found


def scrape(process: LbgProcess) -> Scrape:
    """Return the metrics; AssertionError, so that one can wait, while there are none."""
    try:
        response = fetch(process.admin_address, "/metrics")
    except OSError as error:
        raise AssertionError(repr(error)) from error
    assert response.status == 200, response
    samples: Samples = {}
    counters = set()
    for family in parse(response.body.decode()):
        for sample in family.samples:
            key = sample.name, tuple(sorted(sample.labels.items()))
            assert key not in samples
            samples[key] = sample.value
            if family.type == "counter" or (family.type == "histogram" and not sample.name.endswith("_sum")):
                counters.add(sample.name)
    return Scrape(samples, frozenset(counters))


def scrape_with(process: LbgProcess, name: str, **labels: str) -> Scrape:
    """Return the metrics; AssertionError while this one is zero."""
    found = scrape(process)
    assert found.total(name, **labels) > 0, name
    return found


@contextmanager
def busy(directory: Path) -> Iterator[LbgProcess]:
    """Run lbg after traffic of every kind."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "odd.py").write_text(_MODULE)
    with (
        Backend() as backend,
        Backend(close_before_answer()) as broken,
        LbgProcess(
            _busy_config(backend.url, broken.url),
            directory,
            workers=1,
            env={"PYTHONPATH": str(directory)},
            allow_traceback=True,
        ) as process,
    ):
        backend.handler = slow(0.05)
        with Load(process.address, concurrency=4, total=8) as load:
            load.finish()
        backend.handler = answer()
        for path in ("/broken", "/limited", "/limited", "/limited", "/odd", "/mirrored"):
            fetch(process.address, path)
        fetch(process.address, "/", method="POST", body=b"12345")
        backend.handler = websocket(lambda _socket: None)
        with RawClient(process.address) as client:
            client.send(_UPGRADE)
            client.read_response()
        eventually(
            lambda: scrape_with(process, "lbg_requests_total", code="101"), 10.0, "the end of the tunnel"
        )
        eventually(lambda: scrape_with(process, "lbg_mirror_requests_total"), 10.0, "the copy")
        yield process


def _busy_config(good: str, broken: str) -> dict[str, Any]:
    limit = {"use": "rate_limit", "name": "tight", "rate": "1/h", "burst": 0, "ban_after": 1, "ban": 60.0}
    return {
        "pools": {
            "main": {"endpoints": [{"url": good, "max_requests": 1}]},
            "broken": {"endpoints": [broken], "outlier": {"connect_failures": 1, "max_ejected": 1.0}},
        },
        "routes": [
            {"pool": "main"},
            {"path": "/broken", "pool": "broken"},
            {"path": "/limited", "pool": "main", "filters": [limit]},
            {"path": "/odd", "pool": "main", "filters": [{"use": "odd:Odd"}]},
            {"path": "/mirrored", "pool": "main", "filters": [{"use": "mirror", "pool": "broken"}]},
        ],
    }
