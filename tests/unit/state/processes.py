"""Real processes beside the test's own."""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_FORK = multiprocessing.get_context("fork")


def run_together(*works: Callable[[], object]) -> None:
    """Run each in a process of its own, all begin at once and none may fail."""
    start = _FORK.Barrier(len(works))

    def run(work: Callable[[], object]) -> None:
        start.wait()
        work()

    processes = [_FORK.Process(target=run, args=(work,)) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(works)


@contextmanager
def resting_after(work: Callable[[], object]) -> Iterator[int]:
    """Give the pid of a process that has done its work and rests; it is killed at the end."""
    done = _FORK.Event()

    def run() -> None:
        work()
        done.set()
        signal.pause()

    process = _FORK.Process(target=run)
    process.start()
    assert process.pid is not None
    try:
        assert done.wait(10)
        yield process.pid
    finally:
        kill(process.pid)


def kill(pid: int) -> None:
    """Kill a child and wait until it is gone; one that is gone already is left alone."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass
