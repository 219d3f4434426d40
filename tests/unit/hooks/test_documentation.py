"""What docs/python.md says of the times of hooks."""

from inspect import signature
from pathlib import Path

from lbg.balancing.custom import SLOW
from lbg.hooks.guard import Guard
from lbg.hooks.watchdog import Watchdog

PAGE = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")


def test_the_times_are_those_in_force() -> None:
    guard, watchdog = Guard("hook"), signature(Watchdog).parameters
    assert f"More than {guard.slow_after * 1000:g} ms of its own counts as slow" in PAGE
    assert f"A policy has {SLOW * 1000:g} ms" in PAGE
    assert f"A wait of its own of more than {guard.timeout:g} s is ended" in PAGE
    assert f"Blocking for {watchdog['warn'].default:g} s is logged" in PAGE
    assert f"After {watchdog['limit'].default:g} s it is interrupted" in PAGE
