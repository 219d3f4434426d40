"""What the admin API says of limits and bans, and how it lifts bans."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic_ns, time
from typing import TYPE_CHECKING, Any, Final

from flask import Flask, Response, jsonify, request
from gevent import sleep
from werkzeug.routing import BaseConverter

from lbg.config.problems import shown
from lbg.control.problem import Refusal
from lbg.proxy.keys import client_network
from lbg.state.bucket_layout import Kind

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from lbg.routing.limits_in_force import LimitsInForce
    from lbg.state.ban_list import Ban, Bans
    from lbg.state.buckets import Buckets
    from lbg.state.limit_table import Limit

Document = dict[str, Any]

_SECOND: Final = 1_000_000_000  # ns
_LISTED: Final = 1000  # bans, when nobody says how many
_MOST: Final = 5000  # bans: more would keep the checks of health waiting
_LIMITS_A_STEP: Final = 16
_PAUSE: Final = 0.001  # seconds: zero would let waiting greenlets run, but not see to sockets and timers


class _Key(BaseConverter):
    """The rest of a path, slashes included: `2001:db8::/64`, `/v1/reports`."""

    regex = ".+"
    part_isolating = False


def add_bans(app: Flask, buckets: Buckets, limits: LimitsInForce) -> None:
    """Register the paths. Only what `limits` has is told."""
    app.url_map.converters["limit_key"] = _Key

    @app.get("/api/v1/bans")
    def show_bans() -> Response:
        bans = patiently(buckets.bans(_asked_for(limits), _count()))
        latest = [ban_document(ban) for ban in bans.latest]
        return jsonify(total=sum(bans.counts.values()), bans=latest)

    @app.get("/api/v1/limits")
    def show_limits() -> Response:
        banned = patiently(buckets.bans(limits.banning, 0)).counts
        return jsonify(_limit_documents(buckets.limits(limits.all), banned))

    @app.delete("/api/v1/bans/<limit_key:key>")
    def lift(key: str) -> Response:
        names = _asked_for(limits)
        lifted = buckets.lift(key, names) or buckets.lift(client_network(key).decode(), names)
        if not lifted:
            limit = request.args.get("limit")
            by = "" if limit is None else f" by the limit {shown(limit)}"
            raise Refusal(
                HTTPStatus.NOT_FOUND,
                f"{shown(key)} is not banned{by}. GET /api/v1/bans lists who is.",
            )
        return jsonify([ban_document(ban) for ban in lifted])


def _asked_for(limits: LimitsInForce) -> frozenset[str]:
    limit = request.args.get("limit")
    return limits.banning if limit is None else limits.banning & {limit}


def _count() -> int:
    text = request.args.get("count", str(_LISTED))
    # By its length first: int() refuses very long numbers with an error of its own.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and int(text) <= _MOST):
        detail = f"count: expected a whole number of at most {_MOST}, got {shown(text)}."
        raise Refusal(HTTPStatus.BAD_REQUEST, detail)
    return int(text)


def patiently(steps: Generator[None, None, Bans]) -> Bans:
    """Return what comes of `steps`; others have their turn between them."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Bans = end.value
            return found
        sleep(_PAUSE)


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
        "reason": f"{ban.rejections} rejection{'' if ban.rejections == 1 else 's'} within a minute",
    }


def _limit_documents(limits: Iterable[Limit], banned: Mapping[str, int]) -> list[Document]:
    """Return what is told of each limit: what all workers counted, and who is banned now."""
    documents = []
    for number, limit in enumerate(limits):
        if number % _LIMITS_A_STEP == _LIMITS_A_STEP - 1:
            sleep(_PAUSE)
        document: Document = {"limit": limit.name, "kind": limit.kind.name.lower()}
        document |= {count.name.lower(): counted for count, counted in limit.counts.items()}
        if limit.kind is Kind.RATE:
            document["banned_now"] = banned.get(limit.name, 0)
        documents.append(document)
    return documents


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
