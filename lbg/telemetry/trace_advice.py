"""What to do about a failed or slow request: one sentence for each reason."""

from __future__ import annotations

from typing import Any, Final

from lbg.telemetry.trace_words import keys_of, text_of, where

Document = dict[str, Any]

ADVICE: Final = {
    "no_route": "Ask `lbg route METHOD URL` which routes come close; add a route, or correct host and path.",
    "bad_request": "Correct the client; `lbg route METHOD URL` tells what is wrong with a path.",
    "headers_too_large": "Find out what fills the head: cookies, mostly; or raise {key}.",
    "uri_too_long": "Let the client send its data in a body; or raise {key}.",
    "body_too_large": "Let the client send less; or raise {key}.",
    "client_header_timeout": "A scanner or a bad network, mostly; for slow clients of yours raise {key}.",
    "client_body_timeout": "Look at the client's network; if it pauses on purpose, raise {key}.",
    "client_gone": "If it is frequent, compare how long the endpoint takes with how long clients wait.",
    "denied": "If this should pass, change the lists of the filter; behind another proxy that one must be in "
    "server.trusted_proxies.",
    "unauthorized": "Check name and password; `lbg check` tells whether the list of users can be read.",
    "rate_limited": "Let the client heed Retry-After, or see whether all clients come by one proxy that is "
    "not in server.trusted_proxies; or raise {key}.",
    "banned": "`lbg bans` lists who is banned, and for how long; `lbg unban KEY` lifts it.",
    "no_endpoints": "Add endpoints, or find out why those in the list could not be taken.",
    "no_healthy": "`lbg status` tells since when the endpoints are down, and what their checks met.",
    "all_draining": "`lbg ready {endpoint}` takes that endpoint back into service.",
    "queue_full": "Add endpoints or raise their max_requests; a longer queue only makes clients wait longer.",
    "queue_timeout": "Add endpoints, raise their max_requests, or find out why requests take so long there.",
    "dns_failure": "Check the name in the configuration, and ask the resolver of this host: "
    "`getent hosts {host}`.",
    "connect_refused": "Nothing listens there: look whether the backend runs, on that address and port.",
    "connect_timeout": "The host is unreachable, drops packets or has a full backlog: look at network, "
    "firewall and load.",
    "tls_error": "Check certificate, name and validity with `openssl s_client -connect HOST:PORT`.",
    "upstream_reset": "Look into the backend's log: it died, was restarted or closes on purpose.",
    "upstream_reset_reused": "Let the backend keep idle connections for longer than the pool does, which is "
    "connections.idle_timeout.",
    "response_timeout": "Find out what the backend does for so long; if that is its work, raise {key}.",
    "read_timeout": "Find out why the backend stopped; if its streams pause on purpose, raise {key}.",
    "upstream_cut_body": "Look into the backend's log: it died or gave up in the middle of its response.",
    "bad_response": "See with `curl -v` straight at the backend what it sends: perhaps that port speaks TLS "
    "or another protocol.",
    "loop": "Correct the pool: one of its endpoints leads back here, perhaps through another proxy.",
    "filter_error": "The log of this moment has the error and its place in the filter.",
    "shutdown": "If requests may take so long, give the supervisor as much patience; and raise {key}.",
    "internal": "The log of this moment has the traceback; please report it.",
}
"""By reason code. What follows the last semicolon is left out where a `{key}` in it is not known."""

_NOT_REFUSED: Final = (
    "No connection could be made from this host: see what the error says of its network, its file "
    "descriptors or its ports."
)
_RESCUED: Final = "went down while the request waited"
_FAILED: Final = "Look into the backend's log at this time; the id was sent to it as X-Request-Id."
_SLOW: Final = "Look at the attempts and the times below; `lbg status` shows the load of the endpoints."
_CONFIGURED: Final = "Change the route if it should not answer so."


def advice(document: Document) -> str:
    """Return what to do, "" where nothing is wrong."""
    reason = document["reason"]
    if reason is not None:
        return _of_reason(reason, document)
    if document["status"] >= 500:
        return _FAILED if document["attempts"] else _CONFIGURED
    return _SLOW if document["kind"] == "slow" else ""


def _of_reason(reason: str, document: Document) -> str:
    text = ADVICE.get(reason, "")
    if reason == "connect_refused":
        met = text_of(document)
        if met.startswith("connect failed"):
            return _NOT_REFUSED
        if "backlog" in met:
            return ADVICE["connect_timeout"]
    if reason == "response_timeout" and (down := _went_down(document)):
        return f"{down} went down meanwhile: see `lbg status`."
    if reason == "no_healthy" and (held := _held_back(document)):
        what = "it" if len(held) == 1 else "one"
        return f"{text.removesuffix('.')}; `lbg ready {held[0]}` brings {what} back."
    key = keys_of(document)
    if "{key}" in text and not key:
        text = f"{text.rpartition(';')[0]}."
    return text.format(key=key, endpoint=_held(document), host=where(document).rpartition(":")[0] or "NAME")


def _went_down(document: Document) -> str:
    """Return how many endpoints went down under the request, "" for none: its time went there as well."""
    count = len({one["endpoint"] for one in document["attempts"] if one["text"] == _RESCUED})
    return f"{count} other endpoint{'' if count == 1 else 's'}" if count else ""


def _held_back(document: Document) -> list[str]:
    """Return the endpoints that an operator keeps away from requests, as `lbg ready` wants them."""
    return [
        f"{document['pool']}/{one['endpoint']}"
        for one in document["candidates"]
        if one["why"].startswith(("draining", "in maintenance"))
    ]


def _held(document: Document) -> str:
    """Return the first endpoint that is held back, or none that there is."""
    return next(iter(_held_back(document)), "POOL/ENDPOINT")
