"""Errors of the admin API as problem documents, RFC 9457."""

from __future__ import annotations

from http import HTTPStatus

from flask import Response, jsonify


def problem(code: int, title: str, detail: str) -> Response:
    """Return the answer with this status."""
    response = jsonify(type="about:blank", title=title, status=code, detail=detail)
    response.status_code = code
    response.mimetype = "application/problem+json"
    return response


class Refusal(Exception):
    """A request that is answered with a problem document; `detail` is one sentence."""

    def __init__(self, status: HTTPStatus, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail

    @property
    def response(self) -> Response:
        """The answer."""
        response = problem(self.status, self.status.phrase, self.detail)
        if self.status is HTTPStatus.SERVICE_UNAVAILABLE:
            response.headers["Retry-After"] = "1"
        return response
