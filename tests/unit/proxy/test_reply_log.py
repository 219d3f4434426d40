"""What the general log says of answers that lbg makes itself, and how often."""

import logging
from ipaddress import ip_network

import pytest

from lbg.errors import LocalReply
from lbg.http.forwarded import Forwarding
from lbg.proxy.client import Clients
from lbg.proxy.record import Record
from lbg.proxy.reply_log import ReplyLog
from tests.unit.proxy.proxies import base

SECOND = 1_000_000_000
CLIENTS = Clients(Forwarding((ip_network("10.0.0.0/8"),), "lbg", rfc7239=False))


class Told:
    """A log with a clock that stands still unless `now` is changed."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG, "lbg.proxy")
        self._caplog = caplog
        self.now = SECOND
        self._log = ReplyLog(lambda: self.now)

    def tell(self, reason: str, times: int = 1, status: int | None = None, **environ: object) -> None:
        """Tell of so many replies."""
        for _ in range(times):
            cause = LocalReply(reason, "Detail.", status=status)
            self._log.tell(cause, base() | {"RAW_URI": "/a?b=secret"} | environ, Record("id1"), CLIENTS)

    @property
    def lines(self) -> list[logging.LogRecord]:
        """All lines so far."""
        return self._caplog.records

    @property
    def warnings(self) -> list[str]:
        """The messages of all warnings so far."""
        return [line.getMessage() for line in self.lines if line.levelno == logging.WARNING]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    return Told(caplog)


def test_a_failure_is_a_warning_with_all_that_is_needed_to_find_it(told: Told) -> None:
    told.tell("no_healthy")
    (line,) = told.lines
    assert told.warnings == ["503 no_healthy: 9.9.9.9: GET /a: Detail."]
    assert (line.__dict__["request_id"], line.__dict__["reason"]) == ("id1", "no_healthy")


@pytest.mark.parametrize(("reason", "status"), [("loop", 508), ("bad_request", 501), ("no_route", 404)])
def test_what_clients_cause_is_no_warning(told: Told, reason: str, status: int) -> None:
    told.tell(reason, times=100, status=status)
    assert [line.levelno for line in told.lines] == [logging.DEBUG] * 100


def test_the_query_is_not_told(told: Told) -> None:
    told.tell("no_healthy")
    assert "secret" not in told.lines[0].getMessage()


def test_the_path_is_told_as_it_came(told: Told) -> None:
    told.tell("no_healthy", **{"lbg.received": base() | {"RAW_URI": "/came"}})
    assert ": GET /came: " in told.lines[0].getMessage()


def test_of_a_flood_some_lines_are_written_and_the_next_counts_the_others(told: Told) -> None:
    told.tell("no_healthy", times=1000)
    assert len(told.warnings) == 10
    told.now += SECOND
    told.tell("no_healthy", times=8)
    assert len(told.warnings) == 15
    assert told.warnings[10].endswith(": Detail. (and 990 more like it before)")
    assert told.lines[10].__dict__["left_out"] == 990
    assert "more like it" not in told.warnings[11]


def test_a_flood_leaves_room_for_another_reason(told: Told) -> None:
    told.tell("no_healthy", times=1000)
    told.tell("queue_full")
    assert told.warnings[-1].startswith("503 queue_full: ")
