"""Whether requests are traced, and by what of the configuration."""

from types import SimpleNamespace
from typing import Any

import pytest

from lbg.config.schema import TracingConfig
from lbg.telemetry import otlp
from lbg.telemetry.otlp import Tracing, obstacle
from lbg.telemetry.spans import Span

URL = "http://127.0.0.1:4318"
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"HTTP_TRACEPARENT": f"00-{TRACE}-b7ad6b7169203331-01"}


class Visitors:
    """Peers of 10.0.0.1 are trusted."""

    def address(self, environ: dict[str, Any]) -> str:
        return "192.0.2.1"

    def secure(self, environ: dict[str, Any]) -> bool:
        return False

    def peer(self, environ: dict[str, Any]) -> Any:
        return SimpleNamespace(trusted=environ["REMOTE_ADDR"] == "10.0.0.1")


def tracing(**keys: Any) -> Tracing:
    made = Tracing.of(TracingConfig(otlp=URL, **keys), Visitors())
    assert made is not None
    return made


def without(*missing: str) -> Any:
    return lambda name: name not in missing


def test_without_a_collector_there_is_no_tracing() -> None:
    assert Tracing.of(TracingConfig(), Visitors()) is None
    assert obstacle(TracingConfig()) == ""


def test_with_the_packages_nothing_is_in_the_way() -> None:
    assert obstacle(TracingConfig(otlp=URL)) == ""


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (("opentelemetry-sdk",), "opentelemetry-sdk is not installed"),
        (
            ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
            "opentelemetry-sdk and opentelemetry-exporter-otlp-proto-http are not installed",
        ),
    ],
)
def test_without_its_packages_there_is_no_tracing_and_what_to_do_is_told(
    missing: tuple[str, ...], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(otlp, "_installed", without(*missing))
    config = TracingConfig(otlp=URL)
    assert Tracing.of(config, Visitors()) is None
    assert obstacle(config) == (
        f"tracing.otlp is set, but no traces are exported: {told}; pip install 'lbg[otel]'"
    )


def test_a_package_that_is_not_there_is_not_installed() -> None:
    assert not otlp._installed("lbg-no-such-package")


def test_every_client_may_continue_a_trace_by_default() -> None:
    assert tracing().begin({"REMOTE_ADDR": "192.0.2.1", **PARENT}).trace_id == TRACE


def test_only_trusted_peers_may_if_so_configured() -> None:
    begin = tracing(otlp_parent="trusted").begin
    assert begin({"REMOTE_ADDR": "10.0.0.1", **PARENT}).trace_id == TRACE
    assert begin({"REMOTE_ADDR": "192.0.2.1", **PARENT}).trace_id != TRACE


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_share_decides_over_new_traces(share: float) -> None:
    assert tracing(otlp_sample=share).begin({}).sampled is bool(share)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_only_what_is_recorded_goes_into_the_queue(share: float) -> None:
    made = tracing(otlp_sample=share)
    put: list[Span] = []
    made._queue.put = put.extend  # type: ignore[method-assign]
    record = SimpleNamespace(
        request_id="id1",
        client="",
        began=1.0,
        queued=0.0,
        reason=None,
        route=None,
        pool=None,
        attempts=(),
        trace_context=made.begin({}),
    )
    made.observe({"REQUEST_METHOD": "GET"}, record, 200, 5, 0.020)  # type: ignore[arg-type]
    assert [span.name for span in put] == (["GET"] if share else [])
