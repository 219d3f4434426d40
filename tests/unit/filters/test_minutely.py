"""Counting what the log tells once a minute."""

from lbg.filters.minutely import Minutely

SECOND = 1_000_000_000


def test_the_first_is_told_at_once_and_the_rest_once_a_minute() -> None:
    minutely = Minutely()
    told = [minutely.count(1000 * SECOND + second * SECOND) for second in range(130)]
    assert {second: number for second, number in enumerate(told) if number} == {0: 1, 60: 60, 120: 60}
