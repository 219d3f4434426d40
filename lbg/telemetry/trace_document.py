"""A request that is over as a document: plain data, from which sentences are made when somebody reads it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from lbg.errors import LbgError, LocalReply
from lbg.hooks.place import told
from lbg.state.trace_layout import LONGEST
from lbg.telemetry.received import as_received
from lbg.telemetry.trace_context import parent_of
from lbg.telemetry.trace_setting import filters_of, has_key, retry_setting, setting_of

if TYPE_CHECKING:
    from lbg.config.schema import Config
    from lbg.telemetry.record import Attempt, Candidate, Record

Document = dict[str, Any]

# Characters that a value may have, attempts and candidates that are told, in steps until it is short enough.
_STEPS: Final = ((512, 16, 20), (160, 5, 8), (80, 2, 3), (40, 1, 0))
_READ: Final = 1024  # characters of what a client said
_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a request, and when: `status` is what its client got, `sent` bytes of the body.

    `kind` is why it is kept: failed, refused, slow or sampled. `took` is seconds, `began` UNIX seconds.
    """

    kind: str
    status: int
    sent: int
    took: float
    began: float


def trace_document(environ: dict[str, Any], record: Record, config: Config, ended: Ended) -> Document:
    """Return what is known of a request; the environ may lack any key of it."""
    status, sent, took = ended.status, ended.sent, ended.took
    candidates = record.candidates
    if ended.kind == "sampled" and record.pool is not None:
        candidates = record.pool.candidates()
    reason = record.reason.code if record.reason is not None else None
    pool = record.pool.name if record.pool is not None else None
    detail = _detail(environ, record)
    came = as_received(environ)
    setting = setting_of(reason, config, record.route, pool, took) if has_key(reason, detail) else None
    return {
        "id": record.request_id,
        "at": ended.began,
        "kind": ended.kind,
        "method": came.get("REQUEST_METHOD", "")[:_READ],
        "host": came.get("HTTP_HOST", "")[:_READ],
        "path": came.get("RAW_URI", "").partition("?")[0][:_READ],
        "status": status,
        "reason": reason,
        "detail": detail,
        "cut": _is_cut(environ, record, ended),
        "route": record.route.name if record.route is not None else None,
        "pool": pool,
        "endpoint": record.endpoint.name if record.endpoint is not None else None,
        "took_ms": _ms(took),
        "queue_ms": _ms(record.queued),
        "sent": sent,
        "filters": filters_of(record.route, reason or "", record.gave_up),
        "attempts": [_attempt(one) for one in record.attempts],
        "gave_up": record.gave_up,
        "failed_open": record.failed_open,
        "setting": setting or retry_setting(record.gave_up, config, pool),
        "trace_id": _trace_id(environ, record),
        "candidates": [_candidate(one) for one in candidates],
    }


def _detail(environ: dict[str, Any], record: Record) -> str:
    """Return what the client was told, or the exception where that says no more than that there was one."""
    cause = environ.get("lbg.fault") or environ.get("lbg.cut")
    if cause is None:
        return record.detail
    if isinstance(cause, LocalReply) and cause.reason.code == "internal" and cause.__cause__ is not None:
        return told(cause.__cause__)
    if isinstance(cause, LbgError):
        return str(getattr(cause, "detail", "") or cause)
    return told(cause)


def _is_cut(environ: dict[str, Any], record: Record, ended: Ended) -> bool:
    """Return whether the client had a part of its answer, the head at least."""
    reason = record.reason
    return "lbg.cut" in environ and (ended.sent > 0 or reason is None or ended.status != reason.status)


def _trace_id(environ: dict[str, Any], record: Record) -> str | None:
    """Return the trace that the request belongs to, by its own word where lbg takes no part."""
    known = record.trace_context or parent_of(as_received(environ).get("HTTP_TRACEPARENT"))
    return known.trace_id if known is not None else None


def _attempt(one: Attempt) -> Document:
    return {
        "endpoint": one.endpoint.name,
        "status": one.status or None,
        "error": one.error.reason.code if one.error is not None else None,
        "text": one.error.detail if one.error is not None else "",
        "connect_ms": _ms(one.connect),
        "ttfb_ms": _ms(one.ttfb) if one.ttfb else None,
        "ms": _ms(one.took),
        "reused": one.reused,
    }


def _candidate(one: Candidate) -> Document:
    return {"endpoint": one.endpoint, "usable": one.usable, "why": one.why}


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def encoded(document: Document) -> bytes:
    """Return the document as ASCII of at most `LONGEST` bytes: long texts are cut, lists shortened."""
    data = _encode(document).encode("ascii")
    for longest, attempts, candidates in _STEPS:
        if len(data) <= LONGEST:
            break
        data = _encode(_shortened(document, longest, attempts, candidates)).encode("ascii")
    return data


def _shortened(document: Document, longest: int, attempts: int, candidates: int) -> Document:
    shorter = {name: _cut(value, longest) for name, value in document.items()}
    shorter["id"] = document["id"]  # or nobody could find it
    shorter["attempts"] = shorter["attempts"][-attempts:]
    shorter["candidates"] = shorter["candidates"][:candidates]
    shorter["filters"] = shorter["filters"][: max(3, candidates)]
    return shorter


def _cut(value: Any, longest: int) -> Any:
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}…"
    if isinstance(value, list):
        return [_cut(one, longest) for one in value]
    if isinstance(value, dict):
        return {name: _cut(one, longest) for name, one in value.items()}
    return value
