"""Which requests the access log tells of, and what it says of lines that were lost."""

import json
import logging
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gevent
import pytest

from lbg.config.schema import Config, LogConfig
from lbg.errors import REASONS, ClientGone, LocalReply, RequestError, Sent, StreamTimeout, UpstreamError
from lbg.telemetry import access_log as module
from lbg.telemetry.access_log import AccessLog
from lbg.telemetry.access_log_json import JsonLine
from lbg.telemetry.log_target import LogTarget
from lbg.telemetry.log_writer import LogWriter
from tests.unit.telemetry.entries import Request, Thing, environ_of


class Lines(LogWriter):
    """Keeps the lines."""

    def __init__(self) -> None:
        super().__init__(LogTarget("/place"))
        self.documents: list[dict[str, Any]] = []

    def put(self, line: str) -> None:
        self.documents.append(json.loads(line))

    def lose(self, count: int) -> None:
        self._refused += count
        self.trouble = "/place: No space left on device"


def logs_of(shares: dict[str, bool | float | None] | None = None, **config: Any) -> tuple[AccessLog, Lines]:
    lines = Lines()
    address = lambda environ: f"peer {environ['REMOTE_ADDR']}"  # noqa: E731
    return AccessLog(LogConfig(**config), shares or {}, address, lines, JsonLine()), lines


def told(
    status: int = 200, record: Request | None = None, environ: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what is logged of one request."""
    log, lines = logs_of()
    log.log(environ or environ_of(), record or Request(), status, 5, 0.02)
    log.tick(0.0)
    (document,) = lines.documents
    return document


def logged(count: int, status: int, shares: dict[str, bool | float | None], **config: Any) -> int:
    """Return how many of `count` requests for the route "shop" are logged."""
    log, lines = logs_of(shares, **config)
    for _ in range(count):
        log.log(environ_of(), Request(), status, 5, 0.02)
    log.tick(0.0)
    return len(lines.documents)


@pytest.fixture(autouse=True)
def _chance(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(range(10**9))
    monkeypatch.setattr(module, "random", lambda: next(drawn) % 100 / 100)


def test_the_example_of_the_documentation_can_be_used() -> None:
    page = (Path(__file__).parents[3] / "docs" / "logging.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    pools = {"api": {"endpoints": ["http://a"]}}
    config = Config.model_validate(tomllib.loads(example) | {"pools": pools})
    assert [route.access_log for route in config.routes] == [False, True]
    assert config.log.access_sample == 0.1


def test_every_request_is_logged_with_its_client() -> None:
    assert logged(100, 200, {}) == 100
    assert told()["client_ip"] == "192.0.2.1"


def test_lines_are_made_for_some_requests_at_once_and_what_changes_is_noted_before() -> None:
    log, lines = logs_of()
    environ = environ_of(received=5)
    log.log(environ, Request(), 200, 5, 0.02)
    environ["lbg.client"].request.received = 0  # the next request of the connection
    assert lines.documents == []
    for _ in range(50):
        log.log(environ_of(), Request(), 200, 5, 0.02)
    assert 20 < len(lines.documents) < 50
    assert lines.documents[0]["bytes_in"] == 5
    log.close()
    assert len(lines.documents) == 51


def test_a_client_that_nobody_asked_for_is_found() -> None:
    assert told(record=Request(client=""))["client_ip"] == "peer 127.0.0.1"


def test_a_share_of_the_requests_is_logged() -> None:
    assert logged(1000, 200, {}, access_sample=0.1) == 100
    assert logged(1000, 200, {}, access_sample=0.0) == 0


def test_some_statuses_are_logged_whatever_the_share() -> None:
    assert logged(100, 400, {}, access_sample=0.0) == 100
    assert logged(100, 599, {}, access_sample=0.0) == 100
    assert logged(100, 404, {}, access_sample=0.0, access_always="500-599,403") == 0
    assert logged(100, 403, {}, access_sample=0.0, access_always="500-599,403") == 100
    assert logged(100, 500, {}, access_sample=0.0, access_always="") == 0


@pytest.mark.parametrize(
    ("status", "reason", "always", "count"),
    [
        (200, "upstream_cut_body", "400-599", 100),
        (200, "client_gone", "400-599", 100),
        (200, "upstream_cut_body", "500-599", 100),
        (404, "no_route", "500-599", 0),
        (200, "upstream_cut_body", "", 0),
    ],
)
def test_a_response_that_was_cut_is_logged_whatever_the_share(
    status: int, reason: str, always: str, count: int
) -> None:
    log, lines = logs_of(access_sample=0.0, access_always=always)
    for _ in range(100):
        log.log(environ_of(), Request(reason=REASONS[reason]), status, 5, 0.02)
    log.tick(0.0)
    assert len(lines.documents) == count


def test_a_route_may_have_a_share_of_its_own() -> None:
    assert logged(100, 200, {"shop": 0.5}, access_sample=0.0) == 50
    assert logged(100, 200, {"shop": True}, access_sample=0.0) == 100
    assert logged(100, 200, {"shop": None, "other": True}, access_sample=0.0) == 0
    assert logged(100, 500, {"shop": 0.0}) == 100


def test_a_route_that_is_not_logged_is_not_logged_for_its_failures_either() -> None:
    assert logged(100, 200, {"shop": False}) == 0
    assert logged(100, 503, {"shop": False}) == 0


def test_an_answer_of_our_own_has_its_reason() -> None:
    document = told(503, Request(reason=REASONS["no_healthy"]))
    assert (document["status"], document["reason"]) == (503, "no_healthy")


def test_what_the_server_answered_in_place_of_the_application_is_what_the_client_got() -> None:
    fault = RequestError("body_too_large", "The request body is larger than 5 bytes.")
    document = told(0, environ=environ_of(**{"lbg.fault": fault}))
    assert (document["status"], document["reason"]) == (413, "body_too_large")
    assert document["bytes_out"] > 50


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (ClientGone("left"), 499, "client_gone"),
        (StreamTimeout("slow"), 499, "client_gone"),
        (BrokenPipeError(), 499, "client_gone"),
        (UpstreamError("upstream_cut_body", "cut", sent=Sent.ANSWERED), 502, "upstream_cut_body"),
        (LocalReply("queue_full", "full"), 503, "queue_full"),
        (gevent.GreenletExit(), 503, "shutdown"),
        (ZeroDivisionError(), 500, "internal"),
    ],
)
def test_a_cut_answer_has_the_reason_and_the_status_that_was_sent_if_any(
    error: BaseException, status: int, reason: str
) -> None:
    environ = environ_of(**{"lbg.cut": error})
    assert [
        (one["status"], one["reason"]) for one in (told(0, environ=environ), told(206, environ=environ))
    ] == [
        (status, reason),
        (206, reason),
    ]


def test_a_connection_that_was_taken_over_is_a_switch_of_protocols() -> None:
    client = SimpleNamespace(request=SimpleNamespace(received=0), taken=True)
    document = told(0, environ=environ_of(**{"lbg.client": client}))
    assert (document["status"], document["reason"]) == (101, None)


def test_a_request_that_got_nothing_for_reasons_unknown_is_an_internal_error() -> None:
    document = told(0)
    assert (document["status"], document["reason"]) == (500, "internal")


def test_a_request_that_was_refused_before_it_was_understood_is_logged() -> None:
    log, lines = logs_of()
    record = Request("", "", route=None, pool=None, endpoint=None, attempts=())
    environ = {"REMOTE_ADDR": "127.0.0.1"}
    log.refused(RequestError("bad_request", "The request has no Host."), environ, record)
    (document,) = lines.documents  # at once: other servers have no tick
    assert (document["status"], document["reason"], document["peer_ip"]) == (400, "bad_request", "127.0.0.1")
    assert environ == {"REMOTE_ADDR": "127.0.0.1"}


@pytest.fixture
def stderr_takes_a_line(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    takes = [True]
    monkeypatch.setattr(module, "_stderr_takes_a_line", lambda: takes[0])
    return takes


def warnings_of(log: AccessLog, caplog: pytest.LogCaptureFixture, *times: float) -> list[str]:
    """Return what is said at ticks at these times."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "lbg.access"):
        for now in times:
            log.tick(now)
            gevent.sleep(0)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.usefixtures("stderr_takes_a_line")
def test_lost_lines_are_told_at_once_and_then_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    log, lines = logs_of()
    assert warnings_of(log, caplog, 1000.0) == []
    lines.lose(1)
    why = "of the access log: /place: No space left on device"
    assert warnings_of(log, caplog, 1000.1, 1000.2) == [f"lost 1 line {why}"]
    lines.lose(4)
    assert warnings_of(log, caplog, 1000.3, 1060.0) == []
    assert warnings_of(log, caplog, 1060.2) == [f"lost 4 lines {why}"]
    assert warnings_of(log, caplog, 2000.0) == []
    assert log.lost == 5


def test_lost_lines_are_told_later_where_the_line_that_says_so_would_be_stuck_as_well(
    caplog: pytest.LogCaptureFixture, stderr_takes_a_line: list[bool]
) -> None:
    log, lines = logs_of()
    lines.lose(3)
    stderr_takes_a_line[0] = False
    assert warnings_of(log, caplog, 1000.0, 1100.0) == []
    stderr_takes_a_line[0] = True
    assert len(warnings_of(log, caplog, 1100.1)) == 1


def test_without_an_access_log_there_is_none(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert AccessLog.of(LogConfig(access=False), {}, str) is None
    monkeypatch.setattr("sys.__stdout__", None)
    assert AccessLog.of(LogConfig(), {}, str) is None
    assert "stdout is closed" in caplog.text
    assert AccessLog.of(LogConfig(access_file="/var/log/access.log"), {}, str) is not None


@pytest.mark.parametrize(
    ("format_", "terminal", "json_lines"),
    [("auto", False, True), ("auto", True, False), ("json", True, True), ("console", False, False)],
)
def test_the_format_is_for_the_place(
    monkeypatch: pytest.MonkeyPatch, format_: str, terminal: bool, json_lines: bool
) -> None:
    monkeypatch.setattr(LogTarget, "terminal", terminal)
    log = AccessLog.of(LogConfig(format=format_), {}, str)
    assert log is not None
    assert isinstance(log._line, JsonLine) is json_lines


def test_a_request_without_a_route_has_the_share_of_all() -> None:
    log, lines = logs_of({"quiet": False})
    log.log(environ_of(), Request(route=Thing("quiet")), 200, 0, 0.0)
    log.log(environ_of(), Request(route=None), 200, 0, 0.0)
    log.tick(0.0)
    assert [document["route"] for document in lines.documents] == [None]
