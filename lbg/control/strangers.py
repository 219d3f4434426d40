"""Who may use the admin listener: who has the token, or, where there is none, who came by its own name."""

from __future__ import annotations

import hmac
from ipaddress import ip_address
from typing import TYPE_CHECKING

from flask import Response, request

from lbg.config.problems import shown
from lbg.control.dashboard import is_dashboard
from lbg.control.problem import problem
from lbg.http.target import host_name

if TYPE_CHECKING:
    from lbg.config.schema import AdminConfig


def refuse_strangers(admin: AdminConfig) -> Response | None:
    """Return the answer to a request that is not let in, None for others; health is for everybody.

    The page of the dashboard comes without the token, for which it asks: it holds nothing of this lbg.
    """
    if request.path.startswith("/health/"):
        return None
    if not admin.token:
        return _refuse_other_sites(admin)
    if is_dashboard(request.path):
        return None
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), admin.token.encode()):
        return None
    response = problem(401, "Unauthorized", "Send the admin token as Authorization: Bearer TOKEN.")
    response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _refuse_other_sites(admin: AdminConfig) -> Response | None:
    """Refuse what a page of another site has a browser send here.

    Such a page can make its own name lead to our address (DNS rebinding), but not an address or
    `localhost`; and what it sends to those bears its Origin.
    """
    host = request.headers.get("Host", "")
    origin = request.headers.get("Origin")
    if admin.bind.family != "unix" and not _is_ours(host_name(host), admin):
        detail = f"Host {shown(host)} is not of this listener; use its address, or set admin.token."
    elif origin is not None and origin.partition("://")[2] != host:
        detail = "Pages of other sites may not use this listener."
    else:
        return None
    return problem(403, "Forbidden", detail)


def _is_ours(host: str, admin: AdminConfig) -> bool:
    if host in {"localhost", admin.bind.host}:
        return True
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
