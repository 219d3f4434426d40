"""What the cells say of one endpoint."""

import time
from collections.abc import Iterator

import pytest

from lbg.config.pools import HealthConfig
from lbg.state.cells import Cells
from lbg.state.condition import Condition, patience, read_condition
from lbg.state.layout import Admin, Cause, Ejection, Health, HealthField, health_row

SLOT = 7
SECOND = 1_000_000_000
NOW = 1_000 * SECOND
PATIENCE = 9 * SECOND


def condition(text: str = "", *, active: bool = True, now: int = NOW, **fields: int) -> Condition:
    """Return the condition of an endpoint whose row has these fields; `active` is whether it is checked."""
    cells = Cells.private()
    for name, number in fields.items():
        cells.view[health_row(SLOT) + HealthField[name.upper()]] = number
    cells.set_text(SLOT, text)
    return read_condition(cells, SLOT, now, PATIENCE, checked=active)


def ago(seconds: float) -> int:
    return NOW - int(seconds * SECOND)


UP = {"health": Health.UP, "since": ago(60), "checked": ago(2)}
DOWN = {"health": Health.DOWN, "since": ago(5), "checked": ago(1)}
OUT = {
    "ejection": Ejection.EJECTED,
    "ejected_since": ago(4),
    "ejected_until": NOW + 6 * SECOND,
    "ejected_for": Cause.SERVER_ERRORS,
}


DRAINS = {"admin": Admin.DRAIN, "admin_since": ago(7)}
MAINTAINED = {"admin": Admin.MAINT, "admin_since": ago(8)}


def test_an_endpoint_whose_checks_pass_is_up() -> None:
    assert condition("status 200 in 3 ms", **UP) == Condition(
        state="up",
        since=940.0,
        lasted=60.0,
        usable=True,
        cause="",
        text="status 200 in 3 ms",
        checked_age=2.0,
        ejected_until=None,
        slow_start=False,
    )


def test_an_endpoint_whose_checks_fail_is_down_for_the_last_checks_reason() -> None:
    found = condition("connect refused", **DOWN)
    assert (found.state, found.usable, found.since, found.reason) == ("down", False, 995.0, "connect refused")


def test_before_the_first_check_it_is_unknown_and_usable() -> None:
    found = condition()
    assert (found.state, found.usable, found.since, found.checked_age) == ("unknown", True, None, None)
    assert found.reason == "not checked yet"


def test_what_no_check_has_said_is_never_shown_as_up() -> None:
    found = condition(**UP | {"checked": 0})
    assert (found.state, found.since) == ("unknown", None)


def test_without_active_checks_it_is_unchecked_and_usable() -> None:
    found = condition(active=False)
    assert (found.state, found.usable, found.reason) == ("unchecked", True, "no active checks")


def test_without_active_checks_it_can_be_ejected_all_the_same() -> None:
    assert condition(active=False, **OUT).state == "ejected"


def test_an_ejected_endpoint_tells_the_cause_and_its_times() -> None:
    found = condition("status 200", **UP | OUT)
    assert (found.state, found.usable, found.reason) == ("ejected", False, "server errors")
    assert (found.since, found.lasted, found.ejected_until) == (996.0, 4.0, 1006.0)


def test_on_trial_it_is_not_usable_yet_and_its_ejection_has_no_end() -> None:
    found = condition(**UP | OUT | {"ejection": Ejection.TRIAL})
    assert (found.state, found.usable, found.since, found.ejected_until) == ("trial", False, 996.0, None)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (Cause.NONE, ""),
        (Cause.CONNECT_FAILURES, "connect failures"),
        (Cause.SERVER_ERRORS, "server errors"),
        (Cause.SILENCE, "checks time out and nothing is answered"),
        (Cause.TRIAL, "its trial request failed"),
    ],
)
def test_each_cause_of_an_ejection_has_words(cause: Cause, words: str) -> None:
    assert condition(**OUT | {"ejected_for": cause}).cause == words


def test_the_cause_of_an_ejection_that_is_over_is_not_told() -> None:
    assert condition(**UP | OUT | {"ejection": Ejection.NONE}).cause == ""


@pytest.mark.parametrize(("age", "state"), [(9.0, "up"), (9.001, "stale"), (500.0, "stale")])
def test_an_old_result_is_stale_and_never_shown_as_up(age: float, state: str) -> None:
    assert condition(**UP | {"checked": ago(age)}).state == state


def test_a_stale_endpoint_is_so_since_patience_ended_and_stays_usable() -> None:
    found = condition("status 200", **UP | {"checked": ago(20)})
    assert (found.since, found.lasted, found.usable) == (989.0, 11.0, True)
    assert found.reason == "not checked for 20 s; the last time: status 200"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        (UP | {"checked": ago(99)} | OUT, "ejected"),
        (DOWN | OUT, "down"),
        (DOWN | OUT | {"ejection": Ejection.TRIAL}, "down"),
        (DOWN | {"checked": ago(99)}, "down"),
        (OUT, "ejected"),
    ],
)
def test_down_comes_before_ejected_and_ejected_before_stale(fields: dict[str, int], state: str) -> None:
    assert condition(**fields).state == state


@pytest.mark.parametrize(
    ("fields", "state", "since"), [(DRAINS, "draining", 993.0), (MAINTAINED, "maint", 992.0)]
)
@pytest.mark.parametrize("beside", [{}, UP, DOWN, UP | OUT, UP | {"checked": ago(99)}])
def test_what_an_operator_says_comes_first(
    fields: dict[str, int], state: str, since: float, beside: dict[str, int]
) -> None:
    found = condition("status 200", **beside | fields)
    assert (found.state, found.usable, found.since, found.held) == (state, False, since, True)
    assert (found.cause, found.ejected_until, found.reason) == ("", None, "set by an operator")
    assert found.text == "status 200"


@pytest.mark.parametrize("fields", [{}, UP, DOWN, UP | OUT, UP | {"admin_since": ago(1)}])
def test_what_no_operator_has_spoken_of_is_not_held(fields: dict[str, int]) -> None:
    assert not condition(**fields).held


@pytest.mark.parametrize(("began", "under_way"), [(ago(9), True), (ago(10), False), (0, False)])
def test_slow_start_is_under_way_for_its_time(began: int, under_way: bool) -> None:
    cells = Cells.private()
    cells.view[health_row(SLOT) + HealthField.RAMP] = began
    assert read_condition(cells, SLOT, NOW, PATIENCE, slow_start=10.0).slow_start is under_way
    assert not read_condition(cells, SLOT, NOW, PATIENCE).slow_start


def test_a_check_that_ended_just_after_the_look_at_the_clock_is_of_age_zero() -> None:
    found = condition(**UP | {"checked": NOW + 5, "since": NOW + 5})
    assert (found.state, found.checked_age, found.lasted) == ("up", 0.0, 0.0)


def test_patience_is_three_intervals() -> None:
    assert patience(HealthConfig(interval=1.5)) == int(4.5 * SECOND)


@pytest.fixture
def epoch(monkeypatch: pytest.MonkeyPatch) -> Iterator[float]:
    """Return the epoch that makes NOW noon of a day, in a zone one hour east."""
    monkeypatch.setenv("TZ", "XYZ-1")
    time.tzset()
    yield 1_750_071_600.0 - NOW / SECOND
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (UP, "a:80 up since 11:59:00: refused"),
        (DOWN, "a:80 down since 11:59:55: refused"),
        (UP | OUT, "a:80 ejected since 11:59:56 until 12:00:06: server errors"),
        (
            UP | OUT | {"ejection": Ejection.TRIAL},
            "a:80 on trial after an ejection since 11:59:56: server errors",
        ),
        (
            UP | {"checked": ago(10)},
            "a:80 stale since 11:59:59: not checked for 10 s; the last time: refused",
        ),
        ({}, "a:80 unknown: not checked yet"),
        (UP | DRAINS, "a:80 draining since 11:59:53"),
        (DOWN | MAINTAINED, "a:80 in maintenance since 11:59:52"),
    ],
)
def test_the_sentence_says_what_since_when_and_why(
    fields: dict[str, int], sentence: str, epoch: float
) -> None:
    assert condition("refused", **fields).sentence("a:80", epoch) == sentence


def test_the_sentence_without_a_text_ends_after_the_time(epoch: float) -> None:
    assert condition(**DOWN).sentence("a:80", epoch) == "a:80 down since 11:59:55"


def test_the_sentence_names_the_day_when_it_was_another_one(epoch: float) -> None:
    later = condition(now=NOW + 2 * 86_400 * SECOND, **DOWN)
    assert later.sentence("a:80", epoch) == "a:80 down since 2025-06-16 11:59:55"
