"""What to do about a failed or slow request: one sentence for each reason."""

from __future__ import annotations

from typing import Any, Final

Document = dict[str, Any]

ADVICE: Final = {
    "no_route": "Ask `lbg route METHOD URL` which routes come close; add a route, or correct host and path.",
    "bad_request": "Correct the client; `lbg route METHOD URL` tells what is wrong with a path.",
    "headers_too_large": "Find out what fills the head (cookies, mostly), or raise server.max_header_bytes.",
    "uri_too_long": "Send the data in a body, or raise server.max_header_bytes.",
    "body_too_large": "Send less, or raise the limit.",
    "client_header_timeout": "A scanner, mostly; for slow clients of yours raise server.header_timeout.",
    "client_body_timeout": "Look at the client's network; raise server.body_timeout if it pauses on purpose.",
    "client_gone": "If it is frequent, compare how long the endpoint takes with how long clients wait.",
    "denied": "If the client should pass, change allow, deny or default of the filter.",
    "unauthorized": "Check name and password; `lbg check` tells whether the list of users can be read.",
    "rate_limited": "Let the client heed Retry-After, or raise the rate; `lbg bans` shows who is banned.",
    "banned": "`lbg unban KEY` lifts it; `lbg bans` lists who is banned, and for how long.",
    "no_endpoints": "Add endpoints, or find out why those in the list could not be taken.",
    "no_healthy": "`lbg status` tells since when the endpoints are down, and what their checks met.",
    "all_draining": "`lbg ready POOL/ENDPOINT` takes an endpoint back into service.",
    "queue_full": "Add endpoints or raise their max_requests; a longer queue only makes clients wait longer.",
    "queue_timeout": "Add endpoints, raise their max_requests, or find out why requests take so long there.",
    "dns_failure": "Check the name, and the resolver of this host (`getent hosts NAME`).",
    "connect_refused": "Nothing listens there: look whether the backend runs, on that address and port.",
    "connect_timeout": "The host is unreachable or overloaded: look at network, firewall and load.",
    "tls_error": "Check certificate, name and validity with `openssl s_client -connect HOST:PORT`.",
    "upstream_reset": "Look into the backend's log: it died, was restarted or closes on purpose.",
    "upstream_reset_reused": "Let the backend keep connections for longer than connections.idle_timeout.",
    "response_timeout": "Find out what the backend does for so long; raise the timeout if that is its work.",
    "read_timeout": "Find out why the backend stopped; for streams that pause raise timeouts.idle.",
    "upstream_cut_body": "Look into the backend's log: it died or gave up in the middle of its response.",
    "bad_response": "Correct the backend; `curl -v` straight at it shows what it sends.",
    "loop": "Correct the pool: one of its endpoints leads back here, perhaps through another proxy.",
    "filter_error": "The log of this moment has the error and its place in the filter.",
    "shutdown": "Raise server.shutdown_grace (and the supervisor's patience) if requests may take so long.",
    "internal": "The log of this moment has the traceback; please report it.",
}
"""By reason code."""

_FAILED: Final = "Look into the backend's log at this time; the id was sent to it as X-Request-Id."
_SLOW: Final = "Look at the attempts and the times below; `lbg status` shows the load of the endpoints."
_CONFIGURED: Final = "Change the route if it should not answer so."


def advice(document: Document) -> str:
    """Return what to do, "" where nothing is wrong."""
    reason = document["reason"]
    if reason is not None:
        return ADVICE.get(reason, "")
    if document["status"] >= 500:
        return _FAILED if document["attempts"] else _CONFIGURED
    return _SLOW if document["kind"] == "slow" else ""
