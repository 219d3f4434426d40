"""Waiting ends with the state or says what it saw."""

import pytest

from tests.support.waiting import eventually


def test_the_first_true_value_is_returned() -> None:
    values = iter([0, None, "there"])
    assert eventually(lambda: next(values)) == "there"


def test_an_assertion_means_not_yet() -> None:
    values = iter([1, 2, 3])

    def check() -> bool:
        assert next(values) == 3
        return True

    assert eventually(check)


def test_a_failure_names_the_state_and_the_last_sight() -> None:
    with pytest.raises(AssertionError, match=r"waited 0\.01 s for a miracle; last seen: \[\]"):
        eventually(list, timeout=0.01, what="a miracle")
