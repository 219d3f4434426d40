"""How long a connection may rest: the margin, and what closes teach."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbg.upstream.keep_alive import KeepAlive, usable_for

NEVER = math.inf


def told(*closes: tuple[float, float]) -> KeepAlive:
    """Return what was told of closes: when, and after how much rest."""
    learned = KeepAlive()
    for now, rested in closes:
        learned.closed(now, rested)
    return learned


@pytest.mark.parametrize(("limit", "usable"), [(60.0, 59.0), (5.0, 4.0), (2.0, 1.6), (1.0, 0.8), (0.5, 0.4)])
def test_the_margin_is_a_second_or_a_fifth(limit: float, usable: float) -> None:
    assert usable_for(limit) == pytest.approx(usable)


def test_nothing_is_known_at_first() -> None:
    assert KeepAlive().usable_for == NEVER


def test_one_close_teaches_nothing() -> None:
    learned = KeepAlive()
    assert not learned.closed(100.0, 5.0)
    assert learned.usable_for == NEVER


@pytest.mark.parametrize(
    ("one", "other", "usable"),
    [(5.0, 5.0, 4.0), (5.0, 5.9, 4.0), (6.0, 5.0, 4.0), (1.0, 1.25, 0.8), (75.0, 61.0, 60.0)],
)
def test_two_closes_after_about_the_same_rest_teach_the_shorter(
    one: float, other: float, usable: float
) -> None:
    learned = told((100.0, one))
    assert learned.closed(107.0, other)
    assert learned.usable_for == pytest.approx(usable)


@pytest.mark.parametrize(("one", "other"), [(5.0, 6.1), (5.0, 3.9), (1.0, 1.4), (60.0, 75.0)])
def test_two_closes_after_different_rests_teach_nothing(one: float, other: float) -> None:
    assert told((100.0, one), (107.0, other)).usable_for == NEVER


def test_the_later_of_two_different_closes_can_still_be_confirmed() -> None:
    assert told((100.0, 20.0), (107.0, 5.0), (113.0, 5.0)).usable_for == 4.0


def test_a_rest_of_less_than_a_second_teaches_nothing() -> None:
    assert told((100.0, 0.9), (107.0, 0.9), (114.0, 0.9)).usable_for == NEVER


def test_closes_at_one_time_are_one_event() -> None:
    closes = [(100.0 + at / 100, 5.0) for at in range(40)]
    assert told(*closes).usable_for == NEVER
    assert told(*closes, (107.0, 5.0)).usable_for == 4.0


def test_closes_that_go_on_after_the_same_rest_teach() -> None:
    assert told(*[(100.0 + at / 10, 5.0) for at in range(6)]).usable_for == 4.0


def test_closes_too_far_apart_teach_nothing() -> None:
    assert told((100.0, 5.0), (701.0, 5.0)).usable_for == NEVER


def test_a_restart_teaches_nothing() -> None:
    assert told((100.0, 3.0), (100.0, 10.0), (100.1, 10.0), (100.4, 40.0), (100.7, 40.0)).usable_for == NEVER


@pytest.mark.parametrize("seconds", [1.0, 60.0])
def test_restarts_that_look_alike_teach_nothing(seconds: float) -> None:
    rests = (3.0, 10.0, 10.1, 40.0)
    assert (
        told(*[(100.0 + restart * seconds, rest) for restart in range(5) for rest in rests]).usable_for
        == NEVER
    )


def test_a_restart_that_begins_like_an_earlier_close_teaches_nothing() -> None:
    learned = told((100.0, 10.0))
    assert learned.closed(160.0, 10.0)
    learned.closed(160.1, 3.0)
    assert learned.usable_for == NEVER


def test_after_a_restart_closes_teach_again() -> None:
    restart = [(100.0, 3.0), (100.0, 10.0), (100.0, 40.0)]
    assert told(*restart, (106.0, 5.0)).usable_for == NEVER
    assert told(*restart, (106.0, 5.0), (113.0, 5.0)).usable_for == 4.0


def test_a_shorter_limit_is_learned_over_a_longer_one() -> None:
    assert told((100.0, 10.0), (110.0, 10.0), (120.0, 3.0), (130.0, 3.0)).usable_for == pytest.approx(2.4)


def test_it_is_forgotten_after_ten_minutes() -> None:
    learned = told((100.0, 5.0), (107.0, 5.0))
    learned.forget(706.9)
    assert learned.usable_for == 4.0
    learned.forget(707.0)
    assert learned.usable_for == NEVER


def test_it_is_learned_anew_once_forgotten() -> None:
    learned = told((100.0, 5.0), (107.0, 5.0))
    learned.forget(707.0)
    assert not learned.closed(720.0, 9.0)
    assert learned.closed(730.0, 9.0)
    assert learned.usable_for == 8.0


@given(st.floats(1.5, 600), st.lists(st.tuples(st.floats(0.6, 60), st.floats(0, 0.05)), min_size=2))
def test_an_endpoint_with_a_limit_is_never_given_longer_than_that(
    limit: float, closes: list[tuple[float, float]]
) -> None:
    learned, now = KeepAlive(), 100.0
    for apart, late in closes:
        now += apart
        learned.closed(now, limit * (1 + late))
    assert usable_for(limit) - 1e-9 <= learned.usable_for <= limit * 1.05 - min(1.0, limit * 0.2)


@given(st.lists(st.tuples(st.floats(0, 0.4), st.floats(0, 600)), min_size=1))
def test_whatever_one_restart_closes_teaches_nothing_unless_all_rested_alike(
    closes: list[tuple[float, float]],
) -> None:
    learned, now = KeepAlive(), 100.0
    learned.closed(now, 300.0)
    learned.closed(now, 3.0)
    for apart, rested in closes:
        if rested >= 1.0:
            now += apart
        learned.closed(now, rested)
    assert learned.usable_for == NEVER


def test_the_repr_tells_what_is_known() -> None:
    assert repr(told((100.0, 5.0), (107.0, 5.0))) == "<KeepAlive usable for 4.0 s>"
