"""Passive detection: what ejects, for how long, how one comes back, and the limits."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lbg.config.pools import OutlierConfig
from lbg.health.outlier import Outlier
from lbg.state.layout import Cause, Ejection, Kind

CONNECT = Kind.CONNECT_FAILURE
ERROR = Kind.SERVER_ERROR


def outlier(names: str = "abcd", **config: Any) -> Outlier:
    return Outlier(OutlierConfig(**config), list(names))


def fail(
    watched: Outlier, name: str, kind: Kind, times: int, now: float = 100.0, usable: str = "abcd"
) -> list[Any]:
    return [watched.failed(name, kind, now, usable) for _ in range(times)]


def ejected(watched: Outlier, names: str = "abcd") -> str:
    return "".join(name for name in names if watched.state(name).ejection is Ejection.EJECTED)


def eject(watched: Outlier, name: str, now: float = 100.0, usable: str = "abcd") -> None:
    assert fail(watched, name, CONNECT, 3, now, usable)[-1] is Cause.CONNECT_FAILURES


def test_connect_failures_in_a_row_eject() -> None:
    watched = outlier()
    assert fail(watched, "a", CONNECT, 3) == [None, None, Cause.CONNECT_FAILURES]
    state = watched.state("a")
    assert (state.ejection, state.cause, state.since, state.until) == (
        Ejection.EJECTED,
        Cause.CONNECT_FAILURES,
        100.0,
        110.0,
    )


def test_server_errors_in_a_row_eject_while_another_endpoint_answers() -> None:
    watched = outlier()
    watched.succeeded("b")
    assert fail(watched, "a", ERROR, 5) == [None] * 4 + [Cause.SERVER_ERRORS]


def test_a_success_ends_both_runs() -> None:
    watched = outlier()
    watched.succeeded("b")
    fail(watched, "a", CONNECT, 2)
    fail(watched, "a", ERROR, 4)
    watched.succeeded("a")
    assert fail(watched, "a", CONNECT, 2) + fail(watched, "a", ERROR, 4) == [None] * 6


@pytest.mark.parametrize(
    ("first", "then", "cause"),
    [(ERROR, CONNECT, Cause.SERVER_ERRORS), (CONNECT, ERROR, Cause.CONNECT_FAILURES)],
)
def test_one_kind_of_failure_does_not_end_a_run_of_the_other(first: Kind, then: Kind, cause: Cause) -> None:
    watched = outlier()
    watched.succeeded("b")
    needed = {CONNECT: 3, ERROR: 5}
    fail(watched, "a", first, needed[first] - 1)
    fail(watched, "a", then, needed[then] - 1)
    assert ejected(watched) == ""
    assert fail(watched, "a", first, 1) == [cause]


def test_server_errors_shared_by_all_others_eject_nobody() -> None:
    watched = outlier("abc")
    for name in "abc" * 20:
        assert watched.failed(name, ERROR, 100.0, "abc") is None


def test_server_errors_are_not_shared_once_another_endpoint_answers_again() -> None:
    watched = outlier("abc")
    for name in "abc" * 20:
        watched.failed(name, ERROR, 100.0, "abc")
    watched.succeeded("b")
    assert watched.failed("a", ERROR, 100.0, "abc") is Cause.SERVER_ERRORS


def test_an_endpoint_that_was_not_asked_yet_is_no_proof_that_others_answer() -> None:
    watched = outlier("abc")
    fail(watched, "b", ERROR, 1)
    assert fail(watched, "a", ERROR, 9, usable="abc") == [None] * 9


@pytest.mark.parametrize("by_check", [True, False])
def test_whoever_came_back_shares_no_errors_from_before(by_check: bool) -> None:
    watched = outlier("ab")
    eject(watched, "b", usable="ab")
    watched.tick(110.0)
    if by_check:
        watched.check_passed("b")
    else:
        watched.trial("b", passed=True, now=110.0)
    assert fail(watched, "a", ERROR, 5, usable="ab")[-1] is Cause.SERVER_ERRORS


def test_an_endpoint_that_is_down_neither_shares_errors_nor_proves_anything() -> None:
    watched = outlier("abc")
    watched.succeeded("c")
    fail(watched, "b", ERROR, 1)
    assert fail(watched, "a", ERROR, 9, usable="ab") == [None] * 9
    assert fail(watched, "a", ERROR, 1, usable="abc") == [Cause.SERVER_ERRORS]


def test_connect_failures_eject_although_others_have_them_too() -> None:
    watched = outlier("ab")
    fail(watched, "b", CONNECT, 2, usable="ab")
    assert fail(watched, "a", CONNECT, 3, usable="ab")[-1] is Cause.CONNECT_FAILURES


@pytest.mark.parametrize(("off", "kind"), [("connect_failures", CONNECT), ("server_errors", ERROR)])
def test_a_cause_at_0_is_off(off: str, kind: Kind) -> None:
    watched = outlier(**{off: 0})
    watched.succeeded("b")
    assert fail(watched, "a", kind, 50) == [None] * 50


def test_what_is_no_failure_in_service_is_refused() -> None:
    with pytest.raises(ValueError, match="TRIAL_PASSED"):
        outlier().failed("a", Kind.TRIAL_PASSED, 100.0, "abcd")


def test_failures_of_requests_sent_before_the_ejection_change_nothing() -> None:
    watched = outlier()
    eject(watched, "a")
    assert fail(watched, "a", CONNECT, 9, now=105.0) == [None] * 9
    assert watched.state("a").until == 110.0


def test_after_the_ejection_comes_the_trial() -> None:
    watched = outlier()
    eject(watched, "a")
    assert watched.tick(109.9) == []
    assert watched.tick(110.0) == ["a"]
    assert watched.state("a").ejection is Ejection.TRIAL
    assert watched.tick(111.0) == []


def test_a_passed_trial_brings_back_into_service() -> None:
    watched = outlier()
    eject(watched, "a")
    watched.tick(110.0)
    assert watched.trial("a", passed=True, now=111.0) is None
    state = watched.state("a")
    assert (state.ejection, state.until, state.cause, state.since) == (Ejection.NONE, 0.0, Cause.NONE, 0.0)


def test_a_failed_trial_ejects_for_longer() -> None:
    watched = outlier()
    eject(watched, "a")
    watched.tick(110.0)
    assert watched.trial("a", passed=False, now=111.0) is Cause.TRIAL
    state = watched.state("a")
    assert (state.ejection, state.until, state.cause, state.since) == (
        Ejection.EJECTED,
        131.0,
        Cause.TRIAL,
        111.0,
    )


def test_a_failed_trial_of_the_last_usable_endpoint_brings_it_back() -> None:
    watched = outlier("ab")
    eject(watched, "a", usable="ab")
    watched.tick(110.0)
    assert watched.trial("a", passed=False, now=111.0, usable="") is None
    assert watched.state("a").ejection is Ejection.NONE


@pytest.mark.parametrize("passed", [True, False])
def test_a_trial_that_is_not_under_way_changes_nothing(passed: bool) -> None:
    watched = outlier()
    assert watched.trial("a", passed, 100.0) is None
    eject(watched, "b")
    assert watched.trial("b", passed, 100.0) is None
    assert ejected(watched) == "b"


@pytest.mark.parametrize("until", [105.0, 115.0])
def test_a_passed_check_brings_back_from_ejection_and_trial(until: float) -> None:
    watched = outlier()
    eject(watched, "a")
    watched.tick(until)
    assert watched.check_passed("a")
    assert watched.state("a").ejection is Ejection.NONE


def test_a_passed_check_of_an_endpoint_in_service_changes_nothing() -> None:
    watched = outlier()
    fail(watched, "a", CONNECT, 2)
    assert not watched.check_passed("a")
    assert fail(watched, "a", CONNECT, 1) == [Cause.CONNECT_FAILURES]


@pytest.mark.parametrize("by_check", [True, False])
def test_whoever_comes_back_starts_without_failures(by_check: bool) -> None:
    watched = outlier()
    eject(watched, "a")
    watched.tick(110.0)
    if by_check:
        watched.check_passed("a")
    else:
        watched.trial("a", passed=True, now=110.0)
    assert fail(watched, "a", CONNECT, 3, now=111.0) == [None, None, Cause.CONNECT_FAILURES]


def test_each_ejection_is_longer_up_to_the_cap() -> None:
    watched = outlier(eject=10.0, max_eject=45.0)
    eject(watched, "a", now=0.0)
    now, lengths = 0.0, []
    for _ in range(7):
        lengths.append(watched.state("a").until - now)
        now = watched.state("a").until
        watched.tick(now)
        watched.trial("a", passed=False, now=now)
    assert lengths == [10.0, 20.0, 30.0, 40.0, 45.0, 45.0, 45.0]


def test_at_the_cap_further_ejections_do_not_take_longer_to_forgive() -> None:
    watched = outlier(eject=10.0, max_eject=45.0)
    eject(watched, "a", now=0.0)
    for now in range(50, 1000, 50):
        watched.tick(float(now))
        watched.trial("a", passed=False, now=float(now))
    assert watched.state("a").ejections == 4


def test_a_cap_below_the_shortest_ejection_holds() -> None:
    watched = outlier(eject=10.0, max_eject=5.0)
    eject(watched, "a")
    assert watched.state("a").until == 105.0


@pytest.mark.parametrize(
    ("served", "length"), [(0.0, 40.0), (9.9, 40.0), (10.0, 30.0), (25.0, 20.0), (99.0, 10.0)]
)
@pytest.mark.parametrize("ticking", [True, False])
def test_time_in_service_shortens_the_next_ejection(served: float, length: float, ticking: bool) -> None:
    watched = outlier()
    watched.restore("a", Ejection.TRIAL, 90.0, 3)
    watched.trial("a", passed=True, now=100.0)
    if ticking:
        for tenth in range(int(served * 10) + 1):
            watched.tick(100.0 + tenth / 10)
    eject(watched, "a", now=100.0 + served)
    assert watched.state("a").until == pytest.approx(100.0 + served + length)


def test_after_a_passed_check_time_in_service_counts_from_the_next_tick() -> None:
    watched = outlier()
    watched.restore("a", Ejection.EJECTED, 200.0, 3)
    watched.check_passed("a")
    watched.tick(100.0)
    assert watched.state("a").ejections == 3
    watched.tick(110.0)
    assert watched.state("a").ejections == 2


def test_time_ejected_shortens_nothing() -> None:
    watched = outlier()
    watched.restore("a", Ejection.EJECTED, 200.0, 3)
    for now in range(100, 400):
        watched.tick(float(now))
    assert watched.state("a").ejections == 3


@pytest.mark.parametrize(
    ("count", "share", "most"),
    [
        (2, 0.5, 1),
        (4, 0.5, 2),
        (5, 0.5, 2),
        (10, 0.3, 3),
        (100, 0.29, 29),
        (3, 0.0, 1),
        (4, 1.0, 3),
        (10, 0.05, 1),
    ],
)
def test_no_more_than_the_share_is_out_and_one_always_may_be(count: int, share: float, most: int) -> None:
    names = list(range(count))
    watched = Outlier(OutlierConfig(max_ejected=share), names)
    for name in names * 5:
        watched.failed(name, CONNECT, 100.0, names)
    assert sum(watched.state(name).ejection is Ejection.EJECTED for name in names) == most


def test_one_on_trial_counts_as_out() -> None:
    watched = outlier("ab")
    eject(watched, "a", usable="ab")
    watched.tick(110.0)
    assert fail(watched, "b", CONNECT, 9, usable="ab") == [None] * 9


def test_the_last_usable_endpoint_is_not_ejected() -> None:
    watched = outlier()
    assert fail(watched, "a", CONNECT, 9, usable="a") == [None] * 9
    assert fail(watched, "a", CONNECT, 1, usable="ab") == [Cause.CONNECT_FAILURES]


def test_the_only_endpoint_is_not_ejected() -> None:
    assert fail(outlier("a"), "a", CONNECT, 9, usable="a") == [None] * 9


def test_a_place_that_becomes_free_lets_the_next_failure_eject() -> None:
    watched = outlier("ab")
    eject(watched, "a", usable="ab")
    fail(watched, "b", CONNECT, 5, usable="b")
    watched.check_passed("a")
    assert fail(watched, "b", CONNECT, 1, usable="ab") == [Cause.CONNECT_FAILURES]


def test_silence_ejects_at_once() -> None:
    watched = outlier()
    assert watched.silent("a", 100.0, "abcd")
    assert (watched.state("a").cause, watched.state("a").until) == (Cause.SILENCE, 110.0)
    assert not watched.silent("a", 100.0, "abcd")


def test_silence_does_not_eject_the_last_usable_endpoint() -> None:
    assert not outlier().silent("a", 100.0, "a")


def test_silence_ejects_nobody_when_all_causes_are_off() -> None:
    assert not outlier(connect_failures=0, server_errors=0).silent("a", 100.0, "abcd")
    assert outlier(connect_failures=0).silent("a", 100.0, "abcd")


def test_a_restored_ejection_goes_on() -> None:
    watched = outlier()
    watched.restore("a", Ejection.EJECTED, 120.0, 2, Cause.SILENCE, 90.0)
    state = watched.state("a")
    assert (state.cause, state.since) == (Cause.SILENCE, 90.0)
    assert watched.tick(119.0) == []
    assert watched.tick(120.0) == ["a"]
    watched.trial("a", passed=False, now=120.0)
    assert watched.state("a").until == 150.0


def test_what_is_restored_twice_is_out_once() -> None:
    watched = outlier("abcd")
    for _ in range(2):
        watched.restore("a", Ejection.EJECTED, 120.0, 2)
    watched.check_passed("a")
    for name in "ab":
        watched.restore(name, Ejection.EJECTED, 120.0, 2)
    assert ejected(watched, "abcd") == "ab"


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_what_is_restored_beyond_the_limits_is_in_service(share: float) -> None:
    watched = outlier("ab", max_ejected=share)
    for name in "ab":
        watched.restore(name, Ejection.EJECTED, 120.0, 2)
    assert ejected(watched, "ab") == "a"
    assert watched.state("b").ejections == 2


def test_nothing_stays_ejected_where_detection_was_switched_off() -> None:
    watched = outlier(connect_failures=0, server_errors=0)
    watched.restore("a", Ejection.EJECTED, 120.0, 2)
    watched.restore("b", Ejection.TRIAL, 120.0, 2)
    assert [watched.state(name).ejection for name in "ab"] == [Ejection.NONE] * 2
    assert watched.state("a").ejections == 2
    assert repr(watched) == "<Outlier 0 of 4 out, 2 at most>"


@pytest.mark.parametrize("cause", ["connect_failures", "server_errors"])
def test_one_cause_is_enough_for_an_ejection_to_go_on(cause: str) -> None:
    watched = outlier(**{"connect_failures": 0, "server_errors": 0, cause: 1})
    watched.restore("a", Ejection.EJECTED, 120.0, 2)
    assert ejected(watched, "ab") == "a"


def test_a_name_it_was_not_given_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        outlier("ab").succeeded("c")


def test_the_repr_tells_how_many_are_out() -> None:
    watched = outlier()
    eject(watched, "a")
    assert repr(watched) == "<Outlier 1 of 4 out, 2 at most>"


class Traffic(RuleBasedStateMachine):
    """Anything may happen in any order; the limits hold all the while."""

    now = 100.0

    @initialize(count=st.integers(1, 6), share=st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    def begin(self, count: int, share: float) -> None:
        self.config = OutlierConfig(max_ejected=share, eject=10.0, max_eject=35.0)
        self.names = list(range(count))
        self.down: set[int] = set()
        self.watched = Outlier(self.config, self.names)

    def out(self) -> set[int]:
        return {name for name in self.names if self.watched.state(name).ejection is not Ejection.NONE}

    def usable(self) -> set[int]:
        return set(self.names) - self.down - self.out()

    def name(self, number: int) -> int:
        return self.names[number % len(self.names)]

    @rule(number=st.integers(0, 5), kind=st.sampled_from([CONNECT, ERROR]), times=st.integers(1, 6))
    def fail(self, number: int, kind: Kind, times: int) -> None:
        name = self.name(number)
        for _ in range(times):
            before, ejections = self.usable(), self.watched.state(name).ejections
            if self.watched.failed(name, kind, self.now, before) is not None:
                assert before - {name}
                self.check_length(name, ejections)

    def check_length(self, name: int, ejections: int) -> None:
        length = self.watched.state(name).until - self.now
        assert 9.999 <= length <= min(10.0 * (ejections + 1), 35.0) + 0.001

    @rule(number=st.integers(0, 5))
    def succeed(self, number: int) -> None:
        before = self.out()
        self.watched.succeeded(self.name(number))
        assert self.out() == before

    @rule(number=st.integers(0, 5))
    def be_silent(self, number: int) -> None:
        name, before = self.name(number), self.usable()
        if self.watched.silent(name, self.now, before):
            assert before - {name}

    @rule(number=st.integers(0, 5), passed=st.booleans())
    def end_trial(self, number: int, passed: bool) -> None:
        name, usable = self.name(number), self.usable()
        on_trial = self.watched.state(name).ejection is Ejection.TRIAL
        before = self.out()
        again = self.watched.trial(name, passed, self.now, usable)
        assert (again is not None) == (on_trial and not passed and bool(usable))
        assert self.out() == (before - {name} if on_trial and again is None else before)

    @rule(number=st.integers(0, 5))
    def check_passes(self, number: int) -> None:
        name, before = self.name(number), self.out()
        assert self.watched.check_passed(name) == (name in before)
        assert self.out() == before - {name}

    @rule(number=st.integers(0, 5))
    def go_down_or_up(self, number: int) -> None:
        self.down ^= {self.name(number)}

    @rule(seconds=st.floats(0.0, 40.0))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = {
            name
            for name in self.names
            if self.watched.state(name).ejection is Ejection.EJECTED
            and self.watched.state(name).until <= self.now
        }
        before = self.out()
        assert set(self.watched.tick(self.now)) == due
        assert self.out() == before

    @invariant()
    def limits_hold(self) -> None:
        count = len(self.names)
        assert len(self.out()) <= max(1, int(count * self.config.max_ejected + 1e-9))
        assert len(self.out()) < count

    @invariant()
    def factors_stay_in_range(self) -> None:
        assert all(0 <= self.watched.state(name).ejections <= 3 for name in self.names)


Traffic.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestTraffic = Traffic.TestCase


@given(st.lists(st.sampled_from("abcd"), max_size=100))
def test_responses_below_500_eject_nobody(names: list[str]) -> None:
    watched = outlier()
    for name in names:
        watched.succeeded(name)
    assert ejected(watched) == ""
