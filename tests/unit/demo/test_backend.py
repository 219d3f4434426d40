import pytest

from lbg.demo.backend import seconds_wanted


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", 2.0),
        ("seconds=0.5", 0.5),
        ("a=b&seconds=3", 3.0),
        ("seconds=", 2.0),
        ("seconds=-1", 0.0),
        ("seconds=1e9", 30.0),
        ("seconds=inf", 30.0),
    ],
)
def test_the_delay_is_the_one_asked_for_within_bounds(query, seconds):
    assert seconds_wanted(query) == seconds


@pytest.mark.parametrize("query", ["seconds=soon", "seconds=nan"])
def test_a_delay_that_is_no_number_is_refused(query):
    with pytest.raises(ValueError):
        seconds_wanted(query)
