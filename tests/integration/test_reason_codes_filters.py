"""What filters do so that lbg answers itself or cuts, and what is told of each such answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.backend import Backend
from tests.support.client import RawResponse
from tests.support.reason_codes import Case, Stage, asking, check, staged

_MODULE = """
class Raising:
    def __init__(self, app):
        pass

    def __call__(self, environ, start_response):
        raise RuntimeError("out of order")


class Robbing:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        del environ["wsgi.url_scheme"]
        return self.app(environ, start_response)


def cutting(app):
    def answer(environ, start_response):
        start_response("200 OK", [("Content-Length", "10")])
        yield b"some"
        raise RuntimeError("out of order")
    return answer
"""
_HASH = "pbkdf2:sha256:1000$saltsalt$" + "0" * 64
_LIMIT = {"use": "rate_limit", "rate": "1/h", "burst": 0, "key": "header:X-Key"}
FILTERS: dict[str, dict[str, Any]] = {
    "denied": {"use": "access", "deny": ["127.0.0.0/8"]},
    "unauthorized": {"use": "basic_auth", "users": {"ann": _HASH}},
    "rate_limited": _LIMIT,
    "banned": {**_LIMIT, "name": "strict", "ban_after": 1, "ban": 60.0},
    "body_limit": {"use": "body_limit", "limit": 10},
    "filter_error": {"use": "reasons_module:Raising"},
    "internal": {"use": "reasons_module:Robbing"},
    "cut_by_filter": {"use": "reasons_module:cutting"},
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run lbg with a route for each filter."""
    directory = tmp_path_factory.mktemp("reasons")
    (directory / "reasons_module.py").write_text(_MODULE)
    with Backend() as backend:
        config = {
            "pools": {"main": {"endpoints": [backend.url]}},
            "routes": [
                {"name": name, "path": f"/{name}", "pool": "main", "filters": [one]}
                for name, one in FILTERS.items()
            ],
        }
        with staged(config, directory) as running:
            yield running


def _second(target: str) -> Callable[[Stage, str], RawResponse]:
    """Return what asks again when only one request was allowed."""

    def cause(stage: Stage, accept: str) -> RawResponse:
        key = ("X-Key", accept)
        asking(target, key)(stage, accept)
        return asking(target, key)(stage, accept)

    return cause


def _cut(stage: Stage, _: str) -> None:
    response = asking("/cut_by_filter")(stage, "text/plain")
    assert (response.status, response.body, response.complete) == (200, b"some", False)


CASES = (
    Case(
        "body_too_large",
        413,
        "http_request_error",
        asking("/body_limit", method="POST", body=b"b" * 20),
        "413: the request body is larger than 10 bytes",
        "raise routes[4].filters[0].limit.",
        "routes[4].filters[0].limit = 10",
    ),
    Case(
        "denied",
        403,
        "http_request_denied",
        asking("/denied"),
        "403: the filter access of route denied refused the client: This client is not allowed here",
        "change the lists of the filter",
        'routes[0].filters[0].use = "access"',
    ),
    Case(
        "unauthorized",
        401,
        "http_request_denied",
        asking("/unauthorized"),
        "401: the filter basic_auth of route unauthorized got no valid name and password: "
        "This needs a name and a password",
        "Check name and password",
        'routes[1].filters[0].use = "basic_auth"',
    ),
    Case(
        "rate_limited",
        429,
        "http_request_denied",
        _second("/rate_limited"),
        "429: the filter rate_limit of route rate_limited limits the client: "
        "Too many requests; the next one is welcome in * s",
        "raise routes[2].filters[0].rate.",
        'routes[2].filters[0].rate = "1/h"',
    ),
    Case(
        "banned",
        429,
        "http_request_denied",
        _second("/banned"),
        "429: the filter rate_limit (strict) of route banned has banned the client: "
        "This client is banned for another * s",
        "`lbg unban KEY`",
        "routes[3].filters[0].ban_after = 1",
    ),
    Case(
        "filter_error",
        500,
        "proxy_internal_error",
        asking("/filter_error"),
        "500: the filter reasons_module:Raising of route filter_error raised RuntimeError: out of order "
        "(*reasons_module.py:*)",
        "its place in the filter",
        'routes[5].filters[0].use = "reasons_module:Raising"',
    ),
    Case(
        "filter_error",
        200,
        "",
        _cut,
        "200, cut after 4 bytes: the filter reasons_module:cutting of route cut_by_filter "
        "raised RuntimeError: out of order (*reasons_module.py:*)",
        "its place in the filter",
        'routes[7].filters[0].use = "reasons_module:cutting"',
    ),
    Case(
        "internal",
        500,
        "proxy_internal_error",
        asking("/internal"),
        "500: a fault inside lbg ended the request: KeyError: 'wsgi.url_scheme'",
        "please report it",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_reason_is_told_everywhere_in_the_same_way(stage: Stage, case: Case) -> None:
    check(stage, case)
