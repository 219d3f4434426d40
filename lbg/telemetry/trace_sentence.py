"""The sentence about a trace: why a request failed or took so long, for each reason there is.

A sentence says what happened, who did it and what it was waited for; `lbg.telemetry.trace_advice` says what
to do about it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lbg.telemetry.trace_words import (
    all_tries,
    has_several_settings,
    last_try,
    no_further,
    span,
    text_of,
    value_of,
    where,
)

if TYPE_CHECKING:
    from collections.abc import Callable

Document = dict[str, Any]


def sentence(document: Document) -> str:
    """Return the sentence, such as "503: all 3 endpoints of pool api are down: …"."""
    reason = document["reason"]
    if reason is None:
        return _served(document)
    if document["gave_up"].startswith("forward_auth"):
        return f"{document['status']}: {document['gave_up']}"
    tell = SENTENCES.get(reason)
    if tell is None:  # from a later version
        return f"{document['status']} {reason}: {document['detail']}"
    if document["cut"]:
        return f"{document['status']}, cut after {document['sent']} bytes: {tell(document)}"
    return f"{document['status']}: {tell(document)}"


def _told(otherwise: str) -> Callable[[Document], str]:
    """Return what says what the client was told, or `otherwise` where that is not known."""

    def tell(document: Document) -> str:
        told: str = document["detail"].rstrip(".")
        return told[0].lower() + told[1:] if told else otherwise

    return tell


def _bad_request(document: Document) -> str:
    broken = "the request breaks HTTP or leaves its route"
    lead = broken if document["status"] == 400 else "the request asks for what lbg does not do"
    return f"{lead}: {document['detail'].rstrip('.')}"


def _no_route(document: Document) -> str:
    return f'no route leads from host "{document["host"]}" and path "{document["path"]}" to a pool'


def _timed(what: str) -> Callable[[Document], str]:
    def tell(document: Document) -> str:
        limit = value_of(document)
        return f"{what} within {limit} s" if limit else f"{what} in time"

    return tell


def _client_gone(document: Document) -> str:
    after = span(document["took_ms"])
    if document["cut"]:
        return f"the client left {after} after its request, in the middle of the response"
    if document["endpoint"] is not None:
        return f"the client left after {after}, while {document['endpoint']} had not answered yet"
    if document["queue_ms"]:
        return f"the client left after {after}, while it waited for an endpoint with room"
    return f"the client left after {after}, before it had an answer"


def _filter(does: str) -> Callable[[Document], str]:
    def tell(document: Document) -> str:
        known = document["filters"] and not has_several_settings(document)
        name = f"the filter {document['filters'][-1]}" if known else "a filter"
        return f"{name}{_of_route(document)} {does}: {document['detail'].rstrip('.')}"

    return tell


def _of_route(document: Document) -> str:
    return f" of route {document['route']}" if document["route"] is not None else ""


def _filter_error(document: Document) -> str:
    told = document["gave_up"] or document["detail"].rstrip(".")
    use = "" if has_several_settings(document) else value_of(document)
    name = f"the filter {use}" if use else "a filter"
    for lead in ("A filter of this route ", "a filter ", f'filter "{use}" '):
        if told.startswith(lead):
            return f"{name}{_of_route(document)} {told.removeprefix(lead)}"
    return f"{name}{_of_route(document)} failed: {told}"


def _no_healthy(document: Document) -> str:
    return document["gave_up"] or f"no endpoint of pool {document['pool']} is healthy"


def _no_endpoints(document: Document) -> str:
    skipped = "; ".join(
        f"{one['endpoint']}: {one['why']}" for one in document["candidates"] if not one["usable"]
    )
    return f"no endpoint of pool {document['pool']} could take the request{f': {skipped}' if skipped else ''}"


def _queue_full(document: Document) -> str:
    limit = value_of(document)
    waiting = "its queue is full"
    if limit == "0":
        waiting = "it has no queue"
    elif limit:
        waiting = "1 request waits already" if limit == "1" else f"{limit} requests wait already"
    return f"every endpoint of pool {document['pool']} is at its max_requests, and {waiting}"


def _queue_timeout(document: Document) -> str:
    waited = span(document["queue_ms"])
    return f"every endpoint of pool {document['pool']} stayed at its max_requests for the {waited} it waited"


def _failed(verb: str) -> Callable[[Document], str]:
    """Return what tells of the last try, the tries before it, and why there was no further one."""

    def tell(document: Document) -> str:
        if len(document["attempts"]) > 1:
            return all_tries(document["attempts"]) + no_further(document)
        place = where(document)
        text = text_of(document).removeprefix(f"{place.rpartition(':')[0]}: ")
        text = text.removeprefix("invalid response: ")
        return f"{verb.format(place)}: {text}{no_further(document)}"

    return tell


def _response_timeout(document: Document) -> str:
    waited = span(last_try(document)["ms"] or document["took_ms"])
    before = document["attempts"][:-1]
    earlier = f"; before, {all_tries(before)}" if before else ""
    total = (
        f", when the {value_of(document)} s for the whole request were over" if _by_total(document) else ""
    )
    lead = f"{where(document)} had the request for {waited} and sent no response{total}"
    return lead + earlier + no_further(document)


def _read_timeout(document: Document) -> str:
    limit = value_of(document) or "too many"
    if _by_total(document):
        return f"{where(document)} had not sent all of its response after {limit} s for the whole request"
    return f"{where(document)} sent nothing for {limit} s in the middle of its response"


def _by_total(document: Document) -> bool:
    """Return whether the time for the whole request decided."""
    return ".timeouts.total = " in (document["setting"] or "")


def _loop(document: Document) -> str:
    name = value_of(document) or "lbg"
    return f'the request came back to this proxy: its Via field already has the name "{name}"'


def _shutdown(document: Document) -> str:
    limit = value_of(document)
    grace = f" ({limit} s, or 2 s after Ctrl+C)" if limit else ""
    waited = (
        f"; {document['endpoint']} had not answered" if document["endpoint"] and not document["cut"] else ""
    )
    return f"lbg stopped or was reloaded, and its grace period{grace} ended before the request did{waited}"


def _internal(document: Document) -> str:
    return f"a fault inside lbg ended the request: {document['detail'].rstrip('.')}"


SENTENCES: Final[dict[str, Callable[[Document], str]]] = {
    "no_route": _no_route,
    "bad_request": _bad_request,
    "headers_too_large": _told("the head of the request is too large"),
    "uri_too_long": _told("the target of the request is too long"),
    "body_too_large": _told("the body of the request is too large"),
    "client_header_timeout": _timed("the client did not send its request head"),
    "client_body_timeout": _timed("the client sent nothing more of its body"),
    "client_gone": _client_gone,
    "denied": _filter("refused the client"),
    "unauthorized": _filter("got no valid name and password"),
    "rate_limited": _filter("limits the client"),
    "banned": _filter("has banned the client"),
    "no_endpoints": _no_endpoints,
    "no_healthy": _no_healthy,
    "all_draining": _no_healthy,
    "queue_full": _queue_full,
    "queue_timeout": _queue_timeout,
    "dns_failure": _failed("the name of {} could not be resolved"),
    "connect_refused": _failed("no connection to {}"),
    "connect_timeout": _failed("no connection to {}"),
    "tls_error": _failed("no TLS connection to {}"),
    "upstream_reset": _failed("{} gave no answer"),
    "upstream_reset_reused": _failed("{} gave no answer on a kept connection"),
    "response_timeout": _response_timeout,
    "read_timeout": _read_timeout,
    "upstream_cut_body": _failed("{} ended its response too early"),
    "bad_response": _failed("{} sent no valid response"),
    "loop": _loop,
    "filter_error": _filter_error,
    "shutdown": _shutdown,
    "internal": _internal,
}
"""By reason code."""


def _served(document: Document) -> str:
    """Return the sentence about a request that got the whole answer of an endpoint, or a configured one."""
    status, route = document["status"], document["route"]
    if not document["attempts"]:
        answered = f"the route {route} answers so itself" if route is not None else "it was answered here"
        return f"{status}: {answered}, after {span(document['took_ms'])}"
    by = document["endpoint"] or last_try(document)["endpoint"]
    before = document["attempts"][:-1]
    earlier = f"; before, {all_tries(before)}" if before else ""
    if status >= 500:
        lead = f"{status}: {by} answered so itself, after {span(document['took_ms'])}"
        return lead + earlier + no_further(document)
    lead = f"{status} from {by} after {span(document['took_ms'])}"
    return f"{lead}: {slowest(document)}" if document["kind"] == "slow" else lead + earlier


def slowest(document: Document) -> str:
    """Return what took the most of the time of a request that was served."""
    last = last_try(document)
    head = last["ttfb_ms"] or 0.0
    before = sum(one["ms"] for one in document["attempts"][:-1])
    whole = document["took_ms"]
    parts = {
        "in the queue, for an endpoint with room": document["queue_ms"],
        "on tries that failed before": before,
        f"to connect to {last['endpoint']}": last["connect_ms"],
        f"until {last['endpoint']} sent its response head": max(0.0, head - last["connect_ms"]),
        f"for the body of the response, {document['sent']} bytes": max(0.0, last["ms"] - head),
    }
    parts["in lbg, its filters, or for the body of the request"] = max(0.0, whole - sum(parts.values()))
    what, most = max(parts.items(), key=lambda part: part[1])
    return f"{span(most)} of it {what}"
