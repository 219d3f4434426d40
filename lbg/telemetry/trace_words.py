"""Parts of the sentences about a trace: spans of time, and what the endpoints that were tried did."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def span(milliseconds: float) -> str:
    """Return `3.2 ms`, `120 ms`, `2.35 s` or `61 s`."""
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f} ms"
    seconds = milliseconds / 1000
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s" if seconds < 60 else f"{seconds:.0f} s"


def last_try(document: Document) -> Document:
    """Return the last try, an empty one when nothing was tried."""
    attempts: list[Document] = document["attempts"]
    nobody = {"endpoint": "the endpoint", "status": None, "error": None, "text": "", "ttfb_ms": None, "ms": 0}
    return attempts[-1] if attempts else {**nobody, "connect_ms": 0, "reused": False}


def text_of(document: Document) -> str:
    """Return what went wrong at the last try, in words."""
    return str(last_try(document)["text"] or document["detail"]).rstrip(".")


def all_tries(attempts: list[Document]) -> str:
    """Return what several tries met: `3 tries failed: connect refused (10.0.0.1:80, 10.0.0.2:80), …`."""
    met: dict[str, list[str]] = {}
    for one in attempts:
        endpoints = met.setdefault(one["text"] or one["error"] or f"status {one['status']}", [])
        if one["endpoint"] not in endpoints:
            endpoints.append(one["endpoint"])
    told = ", ".join(f"{text} ({', '.join(endpoints)})" for text, endpoints in met.items())
    tries = "1 try" if len(attempts) == 1 else f"{len(attempts)} tries"
    return f"{tries} failed: {told}"


def no_further(document: Document) -> str:
    """Return why there was no further try, "" where that was not asked."""
    return f"; not tried again: {document['gave_up']}" if document["gave_up"] else ""


def value_of(document: Document) -> str:
    """Return the value of the setting that decided, "" when none did."""
    setting = document["setting"]
    return "" if setting is None else setting.partition(" or ")[0].rpartition(" = ")[2].strip('"')


def has_several_settings(document: Document) -> bool:
    """Return whether several settings may have decided, and nobody knows which one did."""
    return " or routes[" in (document["setting"] or "")


def keys_of(document: Document) -> str:
    """Return the keys that decided, or may have: `pools.api.timeouts.connect`; "" when none did."""
    settings = (document["setting"] or "").split(" or routes[")
    return " or routes[".join(setting.partition(" = ")[0] for setting in settings)


def where(document: Document) -> str:
    """Return the endpoint that the request was at, or the pool."""
    if document["attempts"]:
        return str(last_try(document)["endpoint"])
    if document["endpoint"] is not None:
        return str(document["endpoint"])
    return f"pool {document['pool']}" if document["pool"] is not None else "no endpoint"
