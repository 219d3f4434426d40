"""The way of a request in steps, from the request line to the answer."""

from __future__ import annotations

from typing import Any

from lbg.telemetry.trace_words import span

Document = dict[str, Any]


def steps(document: Document) -> list[Document]:
    """Return `{"text": …}` for each step, in the order in which they came."""
    return [{"text": text} for text in _texts(document) if text]


def _texts(document: Document) -> list[str]:
    return [
        _asked(document),
        f"route {document['route']}" if document["route"] is not None else "no route was found for it",
        f"filters: {', '.join(document['filters'])}" if document["filters"] else "",
        _pool(document),
        f"waited {span(document['queue_ms'])} for an endpoint with room" if document["queue_ms"] else "",
        *(_attempt(number, one) for number, one in enumerate(document["attempts"], 1)),
        f"not tried again: {document['gave_up']}" if document["attempts"] and document["gave_up"] else "",
        _answer(document),
    ]


def _asked(document: Document) -> str:
    if not document["method"]:
        return "a request whose head could not be read"
    return f"{document['method']} {document['path']}" + (
        f" for {document['host']}" if document["host"] else ""
    )


def _pool(document: Document) -> str:
    if document["pool"] is None:
        return ""
    there = document["candidates"]
    usable = sum(one["usable"] for one in there)
    which = "left to try" if document["attempts"] else "usable"
    counted = f", {usable} of {len(there)} endpoints {which}" if there else ""
    open_ = "; sent although none is healthy (when_all_down)" if document["failed_open"] else ""
    return f"pool {document['pool']}{counted}{open_}"


def _attempt(number: int, one: Document) -> str:
    how = ", on a kept connection" if one["reused"] else ""
    if one["connect_ms"]:
        how = f", connected in {span(one['connect_ms'])}"
    head = f", response head after {span(one['ttfb_ms'])}" if one["ttfb_ms"] is not None else ""
    met = one["text"] or one["error"] if one["error"] is not None else f"status {one['status']}"
    return f"try {number}: {one['endpoint']}{how}{head}, {met}, {span(one['ms'])} in all"


def _answer(document: Document) -> str:
    status, reason, took = document["status"], document["reason"], span(document["took_ms"])
    if document["cut"]:
        return f"answered {status}, cut after {document['sent']} bytes and {took}: {reason}"
    lead = "no answer, logged as" if reason == "client_gone" else "answered"
    after = f" after {took}" if document["took_ms"] else ""
    return f"{lead} {status}{f' {reason}' if reason is not None else ''}{after}"
