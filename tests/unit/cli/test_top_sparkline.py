import pytest

from lbg.cli.top_sparkline import sparkline


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7], "▂▃▄▅▆▇█"),
        ([0, 70, 10, 11], "▁█▂▃"),
        ([5], "█"),
        ([0, 0], "▁▁"),
        ([None, 1, None], " █ "),
        ([0.001, 1000], "▂█"),
        ([], ""),
    ],
)
def test_the_greatest_is_the_highest_and_only_zero_the_lowest(values, expected):
    assert sparkline(values, len(values)) == expected


def test_only_the_last_values_are_shown_and_few_stand_at_the_right():
    assert sparkline([9, 0, 1], 2) == "▁█"
    assert sparkline([1], 4) == "   █"
