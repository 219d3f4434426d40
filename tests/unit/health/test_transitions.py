"""A change of state: the row, the epoch, one line of the log and one event."""

import logging
from typing import Any

import pytest

from lbg.health import transitions as module
from lbg.health.events import EventLog
from lbg.health.transitions import Transitions, span
from lbg.health.watched import Watched
from lbg.state.cells import Cells
from lbg.state.layout import EJECTED_BY, Admin, Cause, Ejection, Field, Header, Health, HealthField, Kind
from tests.unit.health.watching import Clock, ScriptedProbe, count, watched_endpoint

SECOND = 1_000_000_000  # ns
URL = "http://127.0.0.1:8000"


class Told:
    """An endpoint of a pool of two, what happens to it and what is told of it."""

    def __init__(self, clock: Clock, log: pytest.LogCaptureFixture, **config: Any) -> None:
        self.clock = clock
        self.cells = Cells.private()
        self.events = EventLog()
        self.changes = Transitions(self.cells, self.events)
        self.watched: Watched = watched_endpoint(self.cells, ScriptedProbe(), count=2, **config)
        self.row = self.watched.row
        self.outlier = self.watched.pool.passive.outlier
        self._log = log

    def eject(self, cause: Cause = Cause.CONNECT_FAILURES) -> None:
        """Eject the endpoint as its outlier detection would."""
        config = {Cause.CONNECT_FAILURES: Kind.CONNECT_FAILURE, Cause.SERVER_ERRORS: Kind.SERVER_ERROR}
        self.outlier.succeeded(1)
        if cause in config:
            while self.outlier.failed(0, config[cause], self.clock.now, {0, 1}) is None:
                pass
        else:
            assert self.outlier.silent(0, self.clock.now, {0, 1})
        self.changes.eject(self.watched, cause)

    @property
    def line(self) -> tuple[str, str]:
        """The level and the text of the one line in the log."""
        [record] = self._log.records
        return record.levelname, record.getMessage()

    @property
    def event(self) -> tuple[str, str, str, str, float]:
        """The newest event."""
        event = self.events.since(0)[-1]
        return event.kind, event.pool, event.endpoint, event.text, event.after

    @property
    def epoch(self) -> int:
        """How many changes the workers were told of."""
        return self.cells.view[Header.EPOCH]

    def forget_log(self) -> None:
        """Begin with an empty log."""
        self._log.clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Give the clock."""
    clock = Clock()
    monkeypatch.setattr(module, "monotonic_ns", clock.monotonic_ns)
    return clock


@pytest.fixture
def told(clock: Clock, caplog: pytest.LogCaptureFixture) -> Told:
    """Give an endpoint nobody knows yet."""
    caplog.set_level(logging.DEBUG, "lbg.health")
    return Told(clock, caplog)


def test_up_for_the_first_time(told: Told) -> None:
    told.changes.to_health(told.watched, Health.UP, "status 200 in 2 ms")
    assert (told.row.health, told.row[HealthField.SINCE]) == (Health.UP, 1000 * SECOND)
    assert told.line == ("INFO", f"UP api {URL}: status 200 in 2 ms")
    assert told.event == ("up", "api", URL, "status 200 in 2 ms", 0.0)
    assert told.epoch == 1


def test_down_tells_how_long_it_was_up(told: Told) -> None:
    told.changes.to_health(told.watched, Health.UP, "status 200")
    told.forget_log()
    told.clock.now += 192
    told.changes.to_health(told.watched, Health.DOWN, "connect refused")
    assert (told.row.health, told.row[HealthField.SINCE]) == (Health.DOWN, 1192 * SECOND)
    assert told.line == ("WARNING", f"DOWN api {URL}: connect refused, was up for 3 min 12 s")
    assert told.event == ("down", "api", URL, "connect refused", 192.0)
    assert told.epoch == 2


def test_up_again_tells_how_long_it_was_down(told: Told) -> None:
    told.changes.to_health(told.watched, Health.DOWN, "connect refused")
    told.forget_log()
    told.clock.now += 4.2
    told.changes.to_health(told.watched, Health.UP, "status 200")
    assert told.line == ("INFO", f"UP api {URL}: status 200, was down for 4.2 s")
    assert told.event == ("up", "api", URL, "status 200", 4.2)


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (Cause.CONNECT_FAILURES, "3 requests in a row failed to connect"),
        (Cause.SERVER_ERRORS, "5 requests in a row ended in a server error"),
        (Cause.SILENCE, "a check timed out and no request was answered meanwhile"),
    ],
)
def test_an_ejection_tells_why_and_for_how_long(told: Told, cause: Cause, text: str) -> None:
    told.eject(cause)
    row = told.row
    assert row.ejection is Ejection.EJECTED
    assert row[HealthField.EJECTED_UNTIL] == 1010 * SECOND
    assert row[HealthField.EJECTED_SINCE] == row[HealthField.FAILED] == 1000 * SECOND
    assert (row[HealthField.EJECTIONS], row[HealthField.EJECTED_TOTAL]) == (1, 1)
    assert row[HealthField.EJECTED_FOR] == cause
    assert {each: row[field] for each, field in EJECTED_BY.items()} == {
        each: each is cause for each in EJECTED_BY
    }
    assert told.line == ("WARNING", f"EJECTED api {URL}: {text}, for 10 s")
    assert told.event == ("ejected", "api", URL, text, 0.0)
    assert told.epoch == 1


def test_the_second_ejection_is_longer_and_counted(told: Told) -> None:
    told.eject()
    told.outlier.check_passed(0)
    told.forget_log()
    told.eject()
    assert told.line[1].endswith("for 20 s")
    assert (told.row[HealthField.EJECTIONS], told.row[HealthField.EJECTED_TOTAL]) == (2, 2)


def test_a_failed_trial_is_an_ejection_with_its_own_words(told: Told) -> None:
    told.eject()
    told.outlier.tick(1010.0)
    told.clock.now = 1011.0
    cause = told.outlier.trial(0, False, 1011.0, {0, 1})
    assert cause is Cause.TRIAL
    told.forget_log()
    told.changes.eject(told.watched, cause)
    assert told.line[1] == f"EJECTED api {URL}: the trial request failed, for 20 s"


def test_a_trial_begins(told: Told) -> None:
    told.changes.begin_trial(told.watched)
    text = "the ejection is over, one request tries it"
    assert told.row.ejection is Ejection.TRIAL
    assert told.line == ("INFO", f"TRIAL api {URL}: {text}")
    assert told.event == ("trial", "api", URL, text, 0.0)
    assert told.epoch == 1


def test_a_return_tells_how_long_it_was_out(told: Told) -> None:
    told.eject()
    told.forget_log()
    told.clock.now += 12
    told.outlier.check_passed(0)
    told.changes.restore(told.watched, "a check passed")
    assert told.row.ejection is Ejection.NONE
    assert told.row[HealthField.EJECTIONS] == 1
    assert told.line == ("INFO", f"UP api {URL}: a check passed, was out for 12 s")
    assert told.event == ("restored", "api", URL, "a check passed", 12.0)
    assert told.epoch == 2


@pytest.mark.parametrize("change", ["restore", "begin_trial"])
def test_an_ejection_that_ends_while_the_endpoint_is_down_is_not_told(told: Told, change: str) -> None:
    told.changes.to_health(told.watched, Health.DOWN, "connect refused")
    told.eject()
    told.forget_log()
    events, epoch = told.events.last_id, told.epoch
    if change == "restore":
        told.changes.restore(told.watched, "a check passed")
    else:
        told.changes.begin_trial(told.watched)
    assert told.row.ejection is (Ejection.NONE if change == "restore" else Ejection.TRIAL)
    assert told.events.last_id == events
    assert told.epoch == epoch + 1
    with pytest.raises(ValueError, match="not enough values"):
        _ = told.line


@pytest.mark.parametrize("change", ["restore", "begin_trial"])
@pytest.mark.parametrize("admin", [Admin.DRAIN, Admin.MAINT])
def test_an_ejection_that_ends_while_the_endpoint_is_held_is_not_told(
    told: Told, change: str, admin: Admin
) -> None:
    told.eject()
    told.changes.to_admin(told.watched, admin)
    told.forget_log()
    events, epoch = told.events.last_id, told.epoch
    if change == "restore":
        told.changes.restore(told.watched, "a check passed")
    else:
        told.changes.begin_trial(told.watched)
    assert told.row.ejection is (Ejection.NONE if change == "restore" else Ejection.TRIAL)
    assert (told.events.last_id, told.epoch) == (events, epoch + 1)


@pytest.mark.parametrize(
    ("admin", "sticky", "kind", "text"),
    [
        (Admin.DRAIN, False, "draining", "no new requests, 2 in flight"),
        (Admin.DRAIN, True, "draining", "no new clients, 2 in flight"),
        (Admin.MAINT, True, "maint", "no requests, 2 in flight"),
    ],
)
def test_what_an_operator_wants_tells_what_is_in_flight(
    clock: Clock, caplog: pytest.LogCaptureFixture, admin: Admin, sticky: bool, kind: str, text: str
) -> None:
    caplog.set_level(logging.DEBUG, "lbg.health")
    told = Told(clock, caplog, sticky={"secret": "0123456789abcdef"} if sticky else None)
    count(told.cells, Field.IN_FLIGHT, more=2)
    told.changes.to_admin(told.watched, admin)
    assert (told.row.admin, told.row[HealthField.ADMIN_SINCE]) == (admin, 1000 * SECOND)
    assert told.line == ("INFO", f"{kind.upper()} api {URL}: {text}")
    assert told.event == (kind, "api", URL, text, 0.0)
    assert told.epoch == 1


@pytest.mark.parametrize(
    ("admin", "text"), [(Admin.DRAIN, "draining is over"), (Admin.MAINT, "maintenance is over")]
)
def test_ready_tells_what_is_over_and_for_how_long_it_was_so(told: Told, admin: Admin, text: str) -> None:
    told.changes.to_admin(told.watched, admin)
    told.forget_log()
    told.clock.now += 192
    told.changes.to_admin(told.watched, Admin.READY)
    assert (told.row.admin, told.row[HealthField.ADMIN_SINCE]) == (Admin.READY, 1192 * SECOND)
    assert told.line == ("INFO", f"READY api {URL}: {text}, was out for 3 min 12 s")
    assert told.event == ("ready", "api", URL, text, 192.0)


def test_a_weight_tells_the_one_before(told: Told) -> None:
    told.changes.to_weight(told.watched, 5)
    assert (told.row[HealthField.WEIGHT], told.epoch) == (5, 1)
    assert told.line == ("INFO", f"WEIGHT api {URL}: 5, was 1")
    assert told.event == ("weight", "api", URL, "5, was 1", 0.0)


def test_the_configured_weight_is_not_kept(told: Told) -> None:
    told.changes.to_weight(told.watched, 5)
    told.forget_log()
    told.changes.to_weight(told.watched, 1)
    assert told.row[HealthField.WEIGHT] == 0
    assert told.line[1] == f"WEIGHT api {URL}: 1, as configured, was 5"


@pytest.mark.parametrize("back", ["up", "restored", "ready"])
def test_slow_start_begins_when_it_comes_back(
    clock: Clock, caplog: pytest.LogCaptureFixture, back: str
) -> None:
    told = Told(clock, caplog, slow_start=30)
    if back == "ready":
        told.changes.to_admin(told.watched, Admin.MAINT)
        told.clock.now += 5
        told.changes.to_admin(told.watched, Admin.READY)
    elif back == "up":
        told.changes.to_health(told.watched, Health.DOWN, "x")
        told.clock.now += 5
        told.changes.to_health(told.watched, Health.UP, "x")
    else:
        told.eject()
        told.clock.now += 5
        told.changes.restore(told.watched, "x")
    assert told.row[HealthField.RAMP] == 1005 * SECOND


def test_there_is_no_slow_start_where_none_is_configured(told: Told) -> None:
    told.changes.to_health(told.watched, Health.DOWN, "x")
    told.changes.to_health(told.watched, Health.UP, "x")
    assert told.row[HealthField.RAMP] == 0


def test_there_is_no_slow_start_at_the_first_check(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    told = Told(clock, caplog, slow_start=30)
    told.changes.to_health(told.watched, Health.UP, "x")
    assert told.row[HealthField.RAMP] == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (0.04, "0.0 s"),
        (4.0, "4.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (10.0, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (60.0, "1 min"),
        (192.0, "3 min 12 s"),
        (3599.6, "1 h"),
        (7500.0, "2 h 5 min"),
        (7200.0, "2 h"),
        (86400.0, "1 d"),
        (273600.0, "3 d 4 h"),
        (90061.0, "1 d 1 h"),
    ],
)
def test_a_span_of_time_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
