"""Runs the hook named as argument in a monkey-patched process; a test starts it.

It prints what is logged, and at last what the hook returned or "failed", its failures and blocks.
"""

# ruff: noqa: E402 - patched first of all, as in a worker
from gevent import monkey

monkey.patch_all()

import logging
import re
import sys
from collections.abc import Callable
from contextlib import suppress

import gevent

from lbg.hooks.guard import Guard, HookFailed, Stay
from lbg.hooks.watchdog import Watchdog

WARN, LIMIT = 0.1, 0.8
native_sleep: Callable[[float], None] = monkey.get_original("time", "sleep")


def spins() -> None:
    """Compute for ever, in Python."""
    while True:
        sum(range(100))


def matches() -> None:
    """Match a pattern that takes years; the interpreter lock is held all the time."""
    re.match(r"(a+)+$", "a" * 60 + "b")


def sleeps_natively() -> None:
    """Sleep as code does that nobody patched."""
    native_sleep(30)


def waits_then_spins() -> None:
    """Let the loop turn, and block only then."""
    gevent.sleep(0.2)
    spins()


def swallows() -> str:
    """Ignore the interruption twice."""
    for _ in range(2):
        with suppress(BaseException):
            spins()
    spins()
    return "never"


def waits() -> str:
    """Wait for longer than a hook may block, and let the loop turn."""
    gevent.sleep(LIMIT * 2)
    return "back"


def waits_in_steps() -> str:
    """Compute a little and wait a little, for long in all."""
    for _ in range(20):
        native_sleep(LIMIT / 10)
        gevent.sleep(0.01)
    return "back"


def blocks_for_a_while() -> str:
    """Block, but not for so long that it is interrupted."""
    native_sleep(LIMIT / 2)
    return "back"


def blocks_in_ours() -> str:
    """Have code of ours block."""
    stay.outside(native_sleep, LIMIT * 1.5)
    return "back"


def serve() -> str:
    """Run the hook as a request would."""
    try:
        return str(stay.call(globals()[sys.argv[1]]))
    except HookFailed:
        return "failed"


logging.basicConfig(format="%(message)s", stream=sys.stdout)
Watchdog(warn=WARN, limit=LIMIT).start()
stay = Stay(Guard("hook"))
result = gevent.spawn(serve).get()
print(result, stay.guard.failures, stay.guard.blocked)
