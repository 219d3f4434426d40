"""What the admin API says of limits and bans, and how it lifts bans."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic_ns, time
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, jsonify, request
from werkzeug.routing import BaseConverter

from lbg.config.problems import shown
from lbg.control.problem import Refusal
from lbg.proxy.keys import client_network
from lbg.state.bucket_layout import Kind

if TYPE_CHECKING:
    from lbg.state.ban_list import Ban
    from lbg.state.buckets import Buckets

Document = dict[str, Any]

_SECOND = 1_000_000_000  # ns


class _Key(BaseConverter):
    """The rest of a path, slashes included: `2001:db8::/64`, `/v1/reports`."""

    regex = ".+"
    part_isolating = False


def add_bans(app: Flask, buckets: Buckets) -> None:
    """Register the paths."""
    app.url_map.converters["limit_key"] = _Key

    @app.get("/api/v1/bans")
    def show_bans() -> Response:
        return jsonify([ban_document(ban) for ban in buckets.bans(request.args.get("limit"))])

    @app.get("/api/v1/limits")
    def show_limits() -> Response:
        return jsonify(limit_documents(buckets))

    @app.route("/api/v1/bans/<limit_key:key>", methods=["DELETE"], merge_slashes=False)
    def lift(key: str) -> Response:
        limit = request.args.get("limit")
        lifted = buckets.lift(key, limit) or buckets.lift(client_network(key).decode(), limit)
        if not lifted:
            by = "" if limit is None else f" by the limit {shown(limit)}"
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"{shown(key)} is not banned{by}. GET /api/v1/bans lists who is.",
            )
        return jsonify([ban_document(ban) for ban in lifted])


def ban_document(ban: Ban) -> Document:
    """Return what is told of a ban. Times are UTC."""
    now = monotonic_ns()
    epoch = time() - now / _SECOND
    return {
        "limit": ban.limit,
        "key": ban.key,
        "since": _iso(epoch + ban.since / _SECOND),
        "until": _iso(epoch + ban.until / _SECOND),
        "seconds_left": max(0, round((ban.until - now) / _SECOND, 1)),
        "times": ban.times,
        "reason": f"{ban.rejections} rejections within a minute",
    }


def limit_documents(buckets: Buckets) -> list[Document]:
    """Return what is told of every limit, by its name: what all workers counted, and who is banned now."""
    banned = [ban.limit for ban in buckets.bans()]
    documents = []
    for limit in sorted(buckets.limits(), key=lambda limit: (limit.name, limit.kind)):
        document: Document = {"limit": limit.name, "kind": limit.kind.name.lower()}
        document |= {count.name.lower(): number for count, number in limit.counts.items()}
        if limit.kind is Kind.RATE:
            document["banned_now"] = banned.count(limit.name)
        documents.append(document)
    return documents


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
