"""What clients do so that lbg answers itself, and what is told of each such answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydantic import ValidationError

from lbg.config.schema import Config
from lbg.errors import REASONS
from tests.integration.test_reason_codes_filters import CASES as FILTERS
from tests.integration.test_reason_codes_upstream import CASES as UPSTREAM
from tests.support.backend import Backend
from tests.support.client import RawClient, RawResponse
from tests.support.handlers import stall_before_head, stream
from tests.support.metrics import scrape
from tests.support.reason_codes import Case, Stage, asking, check, staged
from tests.support.waiting import eventually

SERVER = {"max_header_bytes": 4096, "max_body_bytes": 100, "header_timeout": 0.3, "body_timeout": 0.3}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Run lbg with narrow limits, and routes for one host only."""
    with Backend() as ok, Backend(stall_before_head()) as silent, Backend(stream(1 << 30)) as endless:
        urls = {"ok": ok.url, "client_gone": silent.url, "endless": endless.url}
        config = {
            "server": SERVER,
            "pools": {name: {"endpoints": [url]} for name, url in urls.items()},
            "routes": [{"name": name, "host": "a", "path": f"/{name}", "pool": name} for name in urls],
        }
        names = {name: url.removeprefix("http://") for name, url in urls.items()}
        with staged(config, tmp_path_factory.mktemp("reasons"), names) as running:
            yield running


def _say(data: bytes) -> Callable[[Stage, str], RawResponse]:
    """Return what says this, with an Accept in the place of `%b`, and waits for the answer."""

    def cause(stage: Stage, accept: str) -> RawResponse:
        with RawClient(stage.process.address) as client:
            client.send(data.replace(b"%b", accept.encode()))
            return client.read_response()

    return cause


def _leave(stage: Stage, _: str) -> None:
    with RawClient(stage.process.address) as client:
        client.send(b"GET /client_gone HTTP/1.1\r\nHost: a\r\n\r\n")
        eventually(lambda: scrape(stage.process).total("lbg_upstream_in_flight"), what="the request")


def _leave_later(stage: Stage, _: str) -> None:
    with RawClient(stage.process.address) as client:
        client.send(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.socket.recv(10) == b"HTTP/1.1 2"
        client.reset()


_BAD = "400: the request breaks HTTP or leaves its route"
_ANOTHER = "the request asks for what lbg does not do"
CASES = (
    Case(
        "no_route",
        404,
        "destination_not_found",
        asking("/x/y?secret=1", host="other.example"),
        '404: no route leads from host "other.example" and path "/x/y" to a pool',
        "`lbg route METHOD URL`",
    ),
    Case(
        "bad_request",
        400,
        "http_request_error",
        _say(b"GET / HTTP/1.1\r\nAccept: %b\r\n\r\n"),
        f"{_BAD}: The request has no Host",
        "Correct the client",
    ),
    Case(
        "bad_request",
        400,
        "http_request_error",
        asking("/ok/..%2f..%2fx"),
        f"{_BAD}: The path of the request leaves the root",
        "`lbg route METHOD URL`",
    ),
    Case(
        "bad_request",
        400,
        "http_request_error",
        _say(b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        f"{_BAD}: The request is malformed: *",
        "Correct the client",
        accepts=False,
    ),
    Case(
        "bad_request",
        405,
        "http_request_error",
        asking("/x", method="TRACE"),
        f"405: {_ANOTHER}: TRACE is not allowed here",
        "Correct the client",
    ),
    Case(
        "bad_request",
        501,
        "http_request_error",
        _say(
            b"POST / HTTP/1.1\r\nHost: a\r\nAccept: %b\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
        ),
        f"501: {_ANOTHER}: Only the chunked transfer coding is understood",
        "Correct the client",
    ),
    Case(
        "bad_request",
        505,
        "http_request_error",
        _say(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n"),
        f"505: {_ANOTHER}: Only HTTP/1.0 and HTTP/1.1 are spoken here",
        "Correct the client",
        accepts=False,
    ),
    Case(
        "headers_too_large",
        431,
        "http_request_error",
        asking("/", ("Cookie", "c" * 5000)),
        "431: the request head is larger than 4096 bytes",
        "raise server.max_header_bytes.",
        "server.max_header_bytes = 4096",
        accepts=False,
    ),
    Case(
        "headers_too_large",
        431,
        "http_request_error",
        asking("/", *[("A", "b")] * 300),
        "431: the request has more than * header fields",
        "Find out what fills the head",
        accepts=False,
    ),
    Case(
        "uri_too_long",
        414,
        "http_request_error",
        asking("/" + "u" * 5000),
        "414: the request target is longer than 4096 bytes",
        "raise server.max_header_bytes.",
        "server.max_header_bytes = 4096",
        accepts=False,
    ),
    Case(
        "body_too_large",
        413,
        "http_request_error",
        asking("/ok", method="POST", body=b"b" * 200),
        "413: the request body is larger than 100 bytes",
        "raise server.max_body_bytes.",
        "server.max_body_bytes = 100",
    ),
    Case(
        "client_header_timeout",
        408,
        "http_request_error",
        _say(b"GET / HTTP/1.1\r\nHost: a\r\n"),
        "408: the client did not send its request head within 0.3 s",
        "raise server.header_timeout.",
        "server.header_timeout = 0.3",
        accepts=False,
    ),
    Case(
        "client_body_timeout",
        408,
        "http_request_error",
        _say(b"POST /ok HTTP/1.1\r\nHost: a\r\nAccept: %b\r\nContent-Length: 9\r\n\r\n12"),
        "408: the client sent nothing more of its body within 0.3 s",
        "raise server.body_timeout.",
        "server.body_timeout = 0.3",
    ),
    Case(
        "client_gone",
        499,
        "",
        _leave,
        "499: the client left after *s, while {endpoint} had not answered yet",
        "how long clients wait",
    ),
    Case(
        "client_gone",
        200,
        "",
        _leave_later,
        "200, cut after * bytes: the client left *s after its request, in the middle of the response",
        "how long clients wait",
    ),
    Case(
        "loop",
        508,
        "proxy_loop_detected",
        asking("/ok", ("Via", "1.1 lbg")),
        '508: the request came back to this proxy: its Via field already has the name "lbg"',
        "leads back here",
        'server.via = "lbg"',
    ),
)
UNREACHABLE = {
    # Endpoints are plain TCP so far: https in a pool is refused when the configuration is read.
    "tls_error",
    # A pool has one endpoint at least, and the last one cannot be removed.
    "no_endpoints",
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_reason_is_told_everywhere_in_the_same_way(stage: Stage, case: Case) -> None:
    check(stage, case)


def test_every_reason_is_made_to_happen() -> None:
    at_a_stop = {"shutdown"}
    assert {case.reason for case in (*CASES, *FILTERS, *UPSTREAM)} | at_a_stop | UNREACHABLE == set(REASONS)


@pytest.mark.parametrize("endpoints", [["https://127.0.0.1:443"], []])
def test_what_no_request_can_meet_is_refused_in_the_configuration(endpoints: list[str]) -> None:
    # Once this passes, tls_error or no_endpoints can happen and needs a case.
    with pytest.raises(ValidationError):
        Config.model_validate({"pools": {"main": {"endpoints": endpoints}}, "routes": [{"pool": "main"}]})
