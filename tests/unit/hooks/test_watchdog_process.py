"""The watchdog in a process that is patched as a worker is, over hooks that really block."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("blocking.py")


def run(hook: str) -> list[str]:
    """Return the lines that the script prints."""
    command = [sys.executable, SCRIPT, hook]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True)
    assert not done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    "hook",
    [
        pytest.param("spins", id="a loop"),
        pytest.param("matches", id="a pattern that holds the interpreter lock"),
        pytest.param("sleeps_natively", id="a sleep that is not patched"),
        pytest.param("waits_then_spins", id="a loop after a wait"),
        pytest.param("swallows", id="a loop that ignores interruptions"),
    ],
)
def test_a_hook_that_blocks_is_interrupted_and_named(hook: str) -> None:
    *_, failure, end = run(hook)
    assert end == "failed 1 1"
    assert failure.startswith("hook was ended: it blocked the worker for ")
    assert f"({SCRIPT}:" in failure


def test_a_hook_that_blocks_is_named_while_it_still_does() -> None:
    line, end = run("blocks_for_a_while")
    assert line.startswith("hook blocks this worker and all its requests for ")
    assert f"in {SCRIPT}:" in line
    assert end == "back 0 1"


@pytest.mark.parametrize("hook", ["waits", "waits_in_steps"])
def test_a_hook_that_lets_the_loop_turn_is_only_slow(hook: str) -> None:
    line, end = run(hook)
    assert line.startswith("hook took ")
    assert end == "back 0 0"


def test_code_of_lbg_that_blocks_is_not_blamed_on_the_hook_around_it() -> None:
    assert run("blocks_in_ours") == ["back 0 0"]
