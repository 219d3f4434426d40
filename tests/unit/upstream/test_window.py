"""A window over running totals: what it spans and how much they grew in it."""

from hypothesis import given
from hypothesis import strategies as st

from lbg.upstream.window import Window

STEPS = st.lists(st.tuples(st.floats(0.1, 3.0), st.integers(0, 100)), min_size=1, max_size=60)


def test_before_the_first_sample_nothing_has_grown() -> None:
    assert Window().over(5.0, 7, 9) == ((0, 0), 0.0)


def test_growth_counts_from_the_first_sample_while_there_are_few() -> None:
    window = Window(10.0)
    window.sample(0.0, 100, 5)
    window.sample(1.0, 110, 5)
    assert window.over(1.5, 112, 6) == ((12, 1), 1.5)


def test_growth_before_the_window_does_not_count() -> None:
    window = Window(10.0)
    for second in range(31):
        window.sample(float(second), second * 7)
    assert window.over(30.0, 30 * 7) == ((70,), 10.0)
    assert window.over(30.5, 30 * 7 + 3) == ((73,), 10.5)


def test_a_gap_in_the_samples_is_spanned() -> None:
    window = Window(10.0)
    window.sample(0.0, 0)
    assert window.over(60.0, 90) == ((90,), 60.0)
    window.sample(60.0, 90)
    assert window.over(61.0, 91) == ((91,), 61.0)
    window.sample(70.0, 95)
    assert window.over(70.0, 95) == ((5,), 10.0)


@given(STEPS)
def test_the_window_is_never_shorter_than_told_nor_longer_by_more_than_a_sample(
    steps: list[tuple[float, int]],
) -> None:
    window, now, total = Window(10.0), 0.0, 0
    seen = [(now, total)]
    window.sample(now, total)
    for step, growth in steps:
        now, total = now + step, total + growth
        (grown,), spanned = window.over(now, total)
        began = max((at for at, _ in seen if at <= now - 10.0), default=0.0)
        assert (grown, spanned) == (total - dict(seen)[began], now - began)
        window.sample(now, total)
        seen.append((now, total))


def test_it_keeps_no_more_samples_than_it_needs() -> None:
    window = Window(10.0)
    for second in range(1000):
        window.sample(float(second), second)
    assert repr(window) == "<Window of 10.0 s, 11 samples>"
