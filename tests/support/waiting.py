"""Waiting for a state instead of sleeping for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(check: Callable[[], T], timeout: float = 5.0, what: str = "the expected state") -> T:
    """Call `check` until it returns something true and return that.

    An AssertionError in `check` counts as "not yet", so it may hold assertions of its own.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        seen: object
        try:
            result = check()
        except AssertionError as error:
            seen = error
        else:
            if result:
                return result
            seen = result
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {seen!r}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
