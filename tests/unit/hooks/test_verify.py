"""Loading hooks in a process of its own, whatever they do to it."""

import os
import sys
from pathlib import Path
from time import monotonic

import psutil
import pytest

from lbg.config.references import Call
from lbg.hooks.verify import verify
from tests.support.waiting import eventually


def module(directory: Path, name: str, code: str) -> None:
    (directory / f"{name}.py").write_text(code)


def found(references: list[str], directory: Path, **options: float) -> dict[str, str]:
    """Verify calls without options; return the only sentence about each that is at fault."""
    faults = verify([Call(reference) for reference in references], directory, **options)
    assert all([option for option, _ in told] == [""] for told in faults.values())
    return {call.reference: told[0][1] for call, told in faults.items()}


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_references_that_can_be_loaded_have_no_sentence(tmp_path: Path) -> None:
    module(tmp_path, "good", "def tag(_): ...\n")
    assert found(["good:tag", "os.path:join"], tmp_path) == {}


def test_nothing_to_verify_starts_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert found([], tmp_path) == {}


def test_each_reference_that_cannot_be_loaded_has_its_sentence(tmp_path: Path) -> None:
    module(tmp_path, "good", "def tag(_): ...\n")
    assert found(["good:tug", "good:tag", "bad:tag", "good:tug"], tmp_path) == {
        "good:tug": 'module "good" has no attribute "tug", did you mean "tag"?',
        "bad:tag": 'there is no module "bad"',
    }


def test_the_modules_are_not_imported_here(tmp_path: Path) -> None:
    module(tmp_path, "elsewhere", "def tag(_): ...\n")
    found(["elsewhere:tag"], tmp_path)
    assert "elsewhere" not in sys.modules


def test_the_directory_comes_before_all_other_places(tmp_path: Path) -> None:
    module(tmp_path, "pytest", "def tag(_): ...\n")
    assert found(["pytest:tag"], tmp_path) == {}


def test_modules_are_found_where_this_process_finds_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "beside", "def tag(_): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert found(["beside:tag"], Path("/")) == {}


def test_what_a_module_prints_and_reads_disturbs_nothing(tmp_path: Path) -> None:
    code = "import os, sys\nprint('{}')\nos.write(1, b'x')\nsys.stdin.read()\ndef tag(_): ...\n"
    module(tmp_path, "loud", code)
    assert found(["loud:tag", "loud:tug"], tmp_path).keys() == {"loud:tug"}


def test_a_module_that_hangs_is_named_after_the_time_is_up(tmp_path: Path) -> None:
    module(tmp_path, "good", "def tag(_): ...\n")
    module(tmp_path, "hanging", "import time\ntime.sleep(60)\n")
    told = found(["good:tag", "hanging:tag", "good:tug"], tmp_path, timeout=0.5)
    assert told == {"hanging:tag": 'importing "hanging" takes more than 0.5 s'}


def test_what_a_module_started_ends_with_the_time(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(child.pid))\n"
        "def tag(_): ...\n"
    )
    module(tmp_path, "starting", code)
    assert found(["starting:tag"], tmp_path) == {}
    pid = int((tmp_path / "pid").read_text())
    eventually(lambda: not is_running(pid), what="the end of the process")


def test_a_module_that_ends_its_process_is_named(tmp_path: Path) -> None:
    module(tmp_path, "ending", "import os\nos._exit(0)\n")
    assert found(["ending:tag"], tmp_path) == {"ending:tag": 'importing "ending" ends the process'}


def test_a_module_that_crashes_is_named_with_the_signal(tmp_path: Path) -> None:
    module(tmp_path, "crashing", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    expected = {"crashing:tag": 'importing "crashing" ends the process by signal 9'}
    assert found(["crashing:tag"], tmp_path) == expected


def test_a_module_that_exits_is_told_as_such(tmp_path: Path) -> None:
    module(tmp_path, "leaving", "import sys\nsys.exit(3)\n")
    assert "called for an exit" in found(["leaving:tag"], tmp_path)["leaving:tag"]


def test_threads_that_a_module_leaves_behind_are_not_waited_for(tmp_path: Path) -> None:
    code = (
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\ndef tag(_): ...\n"
    )
    module(tmp_path, "threaded", code)
    began = monotonic()
    assert found(["threaded:tag"], tmp_path, timeout=50.0) == {}
    assert monotonic() - began < 40.0


def test_a_child_that_somebody_else_has_reaped_is_no_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(tmp_path, "good", "def tag(_): ...\n")
    real = os.waitpid

    def reaped(pid: int, options: int) -> tuple[int, int]:
        real(pid, 0)
        raise ChildProcessError

    monkeypatch.setattr(os, "waitpid", reaped)
    assert found(["good:tag"], tmp_path) == {}
