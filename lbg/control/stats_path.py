"""`/api/v1/stats`: rates and latencies of the last minutes."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from flask import Flask, Response, jsonify, request

from lbg.config.problems import shown
from lbg.control.problem import Refusal

if TYPE_CHECKING:
    from lbg.control.stats import Stats

_SECONDS: Final = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?", re.ASCII)


def add_stats(app: Flask, stats: Stats) -> None:
    """Register the path."""

    @app.get("/api/v1/stats")
    def show_stats() -> Response:
        return jsonify(stats.document(_since()))


def _since() -> float | None:
    text = request.args.get("since")
    if text is None:
        return None
    if not _SECONDS.fullmatch(text):
        detail = f"since: expected UNIX seconds such as 1732000000.5, got {shown(text)}."
        raise Refusal(HTTPStatus.BAD_REQUEST, detail)
    return float(text)
