"""What the admin API tells of single requests: those that failed, were refused or slow, or are a sample."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, jsonify, request
from gevent import sleep

from lbg.config.problems import shown
from lbg.control.problem import Refusal
from lbg.state.trace_layout import SLOTS, Ring
from lbg.telemetry.trace_reader import KINDS, TraceReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbg.config.schema import Config
    from lbg.state.trace_memory import TraceMemory

Document = dict[str, Any]

_LISTED: Final = 50  # when nobody says how many
_MOST: Final = 500
_DIGITS: Final = 3  # of a limit or a status
_PAUSE: Final = 0.001  # seconds: zero would let waiting greenlets run, but not see to sockets and timers


def add_traces(app: Flask, memory: TraceMemory, config: Config) -> None:
    """Register the paths."""
    reader = TraceReader(memory, lambda: sleep(_PAUSE))

    @app.get("/api/v1/traces")
    def show_traces() -> Response:
        return jsonify(traces=reader.latest(_limit(), _wanted()))

    @app.get("/api/v1/traces/<path:request_id>")
    def show_trace(request_id: str) -> Response:
        document = reader.find(request_id)
        if document is None:
            raise Refusal(HTTPStatus.NOT_FOUND, _not_kept(request_id, reader, config))
        return jsonify(document)


def _wanted() -> Callable[[Document], bool]:
    """Return what tells whether a trace is asked for."""
    given = request.args
    asked: Document = {name: given[name] for name in ("pool", "route", "kind") if name in given}
    if "kind" in asked and asked["kind"] not in KINDS:
        raise _bad("kind", " or ".join(KINDS), asked["kind"])
    if "status" in given:
        asked["status"] = _number("status", given["status"], 100, 599)
    return lambda document: all(document[name] == value for name, value in asked.items())


def _limit() -> int:
    return _number("limit", request.args.get("limit", str(_LISTED)), 1, _MOST)


def _number(name: str, text: str, least: int, most: int) -> int:
    # By its length first: int() refuses very long numbers with an error of its own.
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS and least <= int(text) <= most):
        raise _bad(name, f"a whole number from {least} to {most}", text)
    return int(text)


def _bad(name: str, expected: str, text: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, f"{name}: expected {expected}, got {shown(text)}.")


def _not_kept(request_id: str, reader: TraceReader, config: Config) -> str:
    rings = f"{SLOTS[Ring.FAILED]} failed, {SLOTS[Ring.REFUSED]} refused, {SLOTS[Ring.SERVED]} slow"
    slow = f" (over {config.tracing.slow:g} s)" if config.tracing.slow else ""
    since = reader.oldest()
    there = f"the oldest one came at {_iso(since)}" if since is not None else "there is none yet"
    left_out = reader.left_out()
    flood = f" {left_out} that failed like many others were left out." if left_out else ""
    return (
        f"There is no trace of {shown(request_id[:64])}. Each worker keeps its last {rings}{slow} or sampled "
        f"requests; {there}.{flood} The access log has all."
    )


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
