"""What every test may use, and what a skipped test means."""

import os
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.support.backend import Backend
from tests.support.lbg import RUNNING, LbgProcess

NO_SKIP = os.environ.get("LBG_TEST_NO_SKIP") == "1"
SYSTEM_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")

StartLbg = Callable[..., LbgProcess]
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose system tool is absent."""
    search = os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_PATHS])
    for marker in item.iter_markers("needs"):
        for tool in marker.args:
            if shutil.which(tool, path=search) is None:
                pytest.skip(f"needs {tool}, which is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skip fail under LBG_TEST_NO_SKIP=1, and show what lbg said during a test that failed."""
    report = _fail_if_skipped((yield))
    if report.failed:
        report.sections += [(f"log of {process!r}", process.log()[-4000:]) for process in RUNNING]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Treat a module that skips itself like a test that does."""
    return _fail_if_skipped((yield))


def _fail_if_skipped(report: Report) -> Report:
    if NO_SKIP and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.longrepr = f"LBG_TEST_NO_SKIP=1 forbids: {reason}"
    return report


@pytest.fixture
def backend() -> Iterator[Backend]:
    """Run a backend that answers 200 `ok`; set its `handler` for anything else."""
    with Backend() as running:
        yield running


@pytest.fixture
def lbg(tmp_path: Path) -> Iterator[StartLbg]:
    """Give a function that starts lbg with a configuration and LbgProcess options; all end with the test."""
    with ExitStack() as running:
        count = 0

        def start(config: Mapping[str, object] | str, **options: Any) -> LbgProcess:
            nonlocal count
            count += 1
            return running.enter_context(LbgProcess(config, tmp_path / f"lbg{count}", **options))

        yield start
