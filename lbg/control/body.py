"""The JSON bodies that the admin API takes."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any, Final

from flask import request

from lbg.control.problem import Refusal
from lbg.errors import ClientGone, RequestError

LONGEST: Final = 1024  # bytes of a body


def json_object(expected: str = "Expected a JSON object.") -> dict[str, Any]:
    """Return the object in the body of the request. Raises Refusal, which says what was `expected`."""
    # No page of another site can have a browser send this type without asking us first (CORS).
    if request.mimetype != "application/json":
        raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Send a body of the type application/json.")
    request.max_content_length = LONGEST
    try:
        document = json.loads(_whole_body())
    except (ValueError, RecursionError):
        raise Refusal(HTTPStatus.BAD_REQUEST, "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise Refusal(HTTPStatus.BAD_REQUEST, expected)
    return document


def _whole_body() -> bytes:
    """Return the body. Raises Refusal when it did not come: that is nothing for the log."""
    try:
        return request.get_data()
    except RequestError as fault:
        raise Refusal(HTTPStatus(fault.status), fault.detail) from None
    except ClientGone:
        raise Refusal(HTTPStatus.BAD_REQUEST, "The body did not come whole.") from None
