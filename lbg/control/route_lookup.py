"""What the admin API tells about routes: what would become of a request."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from flask import Flask, Response, jsonify, request

from lbg.control.problem import problem
from lbg.proxy.inquiry import BadInquiry

if TYPE_CHECKING:
    from lbg.proxy.explain import Explainer


def add_route_lookup(app: Flask, explainer: Explainer) -> None:
    """Register the path."""

    @app.get("/api/v1/route")
    def show_route() -> Response:
        given = request.args
        if "url" not in given:
            raise BadInquiry("url is missing, expected a URL or a path")
        method, client = given.get("method", "GET"), given.get("client", "")
        return jsonify(explainer.explain(method, given["url"], given.getlist("header"), client))

    @app.errorhandler(BadInquiry)
    def refuse(error: BadInquiry) -> Response:
        status = HTTPStatus.BAD_REQUEST
        return problem(status, status.phrase, f"{str(error)[0].upper()}{str(error)[1:]}.")
