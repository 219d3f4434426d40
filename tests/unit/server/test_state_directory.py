"""The state directory of a master: what it takes over, publishes, mends and hands over."""

import errno
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lbg.config.schema import Config
from lbg.server import state_directory as module
from lbg.server.state_directory import NO_SLOT, StateDirectory
from lbg.state import directory, publication
from lbg.state import state_file as state_file_module
from lbg.state.cell_file import FILE
from lbg.state.cells import Cells
from lbg.state.directory import Unusable
from lbg.state.document import Published, decode
from lbg.state.layout import (
    WORKER_SLOTS,
    Field,
    Header,
    Health,
    HealthField,
    NoSlot,
    WorkerField,
    counters,
    health_row,
    worker_row,
)
from lbg.state.lock import FileLock
from tests.unit.state.processes import resting_after, run_together

DEAD_PID = 2**22 + 1  # above the greatest pid that Linux gives


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory that is not there yet; the usual places are of the test's own."""
    for place in ("shm", "tmp"):
        (tmp_path / place).mkdir()
    monkeypatch.setattr(directory, "_RUNTIME", tmp_path / "run")
    monkeypatch.setattr(directory, "_SHARED", tmp_path / "shm")
    monkeypatch.setattr(directory.tempfile, "tempdir", str(tmp_path / "tmp"))
    for variable in (directory.VARIABLE, directory.SLOT_VARIABLE):
        monkeypatch.setenv(variable, "")  # set first, so that it is taken back at the end
        monkeypatch.delenv(variable)
    return tmp_path / "state"


@pytest.fixture
def state(path: Path) -> StateDirectory:
    return start(path)


def config(*endpoints: str, pools: tuple[str, ...] = ("api",)) -> Config:
    urls = [f"http://{endpoint}" for endpoint in endpoints or ("a:1", "b:2")]
    return Config.model_validate({"pools": {pool: {"endpoints": urls} for pool in pools}})


def start(path: Path | None, *endpoints: str) -> StateDirectory:
    environ = {} if path is None else {directory.VARIABLE: str(path)}
    return StateDirectory.start(environ, config(*endpoints), "lbg.toml")


def restart(state: StateDirectory, *endpoints: str) -> StateDirectory:
    """Return the state of the next master, after one that was killed."""
    state._claim.lock.release()
    return start(state.path, *endpoints)


def document(path: Path) -> Published:
    return decode(directory.read(path))


def refuse(number: int) -> Callable[..., None]:
    def call(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_the_start_publishes_configuration_and_slots(state: StateDirectory) -> None:
    published = document(state.path)
    assert published == state.published
    assert published.snapshot.config == config()
    assert (published.snapshot.generation, published.snapshot.source) == (1, "lbg.toml")
    assert published.slots == {"api/a:1": 0, "api/b:2": 1}
    assert published.pool_slots == {"api": 0}
    assert state.cells.view[Header.GENERATION] == 1


def test_a_new_directory_is_no_reason_to_warn(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    start(path)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", f"state directory: {path}")
    ]


def test_a_reload_counts_up_and_keeps_slots(state: StateDirectory) -> None:
    state.publish(config("c:3", "b:2", pools=("api", "web")), "other.toml")
    published = document(state.path)
    assert (published.snapshot.generation, published.snapshot.source) == (2, "other.toml")
    assert published.slots["api/b:2"] == 1
    assert sorted(published.slots.values()) == [0, 1, 2, 3, 4]
    assert published.pool_slots == {"api": 0, "web": 1}
    assert state.cells.view[Header.GENERATION] == 2
    assert state.published == published


def test_the_number_of_a_generation_is_told_when_its_document_is_there(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory, "publish", refuse(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        state.publish(config("c:3"), "lbg.toml")
    assert state.cells.view[Header.GENERATION] == 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_document_that_cannot_be_written_changes_nothing(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    before = state.published
    monkeypatch.setattr(publication, "ENDPOINT_SLOTS", 2)
    state.cells.view[health_row(0) + HealthField.CHECKS_PASSED] = 7
    with monkeypatch.context() as patched:
        patched.setattr(directory, "publish", refuse(number))
        with pytest.raises(OSError):
            state.publish(config("c:3", "d:4"), "lbg.toml")
    assert state.published is before
    assert document(state.path) == before
    assert state.cells.view[health_row(0) + HealthField.CHECKS_PASSED] == 7
    state.publish(config("b:2", "a:1"), "lbg.toml")
    assert state.published.slots == before.slots


def test_a_slot_that_changes_hands_begins_anew_and_others_stay(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication, "ENDPOINT_SLOTS", 2)
    monkeypatch.setattr(publication, "POOL_SLOTS", 1)
    cleared: list[int] = []
    monkeypatch.setattr(state.cells, "clear_pool", cleared.append)
    for slot in (0, 1):
        state.cells.view[health_row(slot) + HealthField.CHECKS_PASSED] = 7
    state.publish(config("a:1", "c:3"), "lbg.toml")
    assert state.published.slots == {"api/a:1": 0, "api/c:3": 1}
    assert [state.cells.view[health_row(slot) + HealthField.CHECKS_PASSED] for slot in (0, 1)] == [7, 0]
    assert cleared == []
    state.publish(config("a:1", pools=("web",)), "lbg.toml")
    assert cleared == [0]


@pytest.mark.parametrize(("limit", "what"), [("ENDPOINT_SLOTS", "endpoints: 2"), ("POOL_SLOTS", "pools: 2")])
def test_too_many_are_told_apart(path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, what: str) -> None:
    monkeypatch.setattr(publication, limit, 1)
    with pytest.raises(NoSlot, match=f"{what} are configured and 1 is the most"):
        StateDirectory.start({directory.VARIABLE: str(path)}, config("a:1", pools=("x", "y")), "")
    assert not Path(path / directory.DOCUMENT).exists()
    assert FileLock(path / directory.MASTER_LOCK).try_acquire()


def test_slots_the_other_master_of_an_upgrade_gave_away_are_not_given_again(state: StateDirectory) -> None:
    environ: dict[str, str] = {}
    state.hand_over(environ)
    other = StateDirectory.start(environ, config("a:1", "c:3"), "lbg.toml")
    state.publish(config("a:1", "d:4"), "lbg.toml")
    assert other.published.slots["api/c:3"] == 2
    assert state.published.slots["api/d:4"] == 3
    assert state.published.snapshot.generation == 3


def test_a_second_master_is_refused_with_the_variable_and_the_process(state: StateDirectory) -> None:
    with pytest.raises(Unusable) as caught:
        start(state.path)
    assert str(caught.value) == f"LBG_STATE_DIR: {state.path} is in use by another lbg, pid {os.getpid()}"


def test_without_a_directory_to_use_every_reason_is_told(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    with pytest.raises(Unusable) as caught:
        start(None)
    text = str(caught.value)
    assert all(str(tmp_path / place) in text for place in ("run", "shm", "tmp"))
    assert text.count("No space left on device") == 3
    assert "LBG_STATE_DIR" in text
    assert [*(tmp_path / "shm").iterdir(), *(tmp_path / "tmp").iterdir()] == []


def test_a_configured_directory_on_a_full_disk_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    with pytest.raises(Unusable) as caught:
        start(path)
    assert str(caught.value) == f"LBG_STATE_DIR: {path}: No space left on device"
    assert {entry.name for entry in path.iterdir()} == {directory.MASTER_LOCK}


def test_a_disk_that_is_full_for_the_document_only_is_not_chosen(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def publish(where: Path, content: bytes) -> None:
        if where == tmp_path / "run":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(where, content)

    original = directory.publish
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(directory, "publish", publish)
    state = start(None)
    assert state.path.parent == tmp_path / "shm"
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert f"{tmp_path / 'run'}: No space left on device" in record.getMessage()


def test_the_runtime_directory_is_for_one_and_the_next_gets_a_fresh_one(
    path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first, second = start(None), start(None)
    assert (first.path, second.path.parent) == (tmp_path / "run", tmp_path / "shm")
    assert "in use by another lbg" in caplog.text
    assert all(record.levelno == logging.INFO for record in caplog.records)
    first.leave()
    second.leave()
    assert (first.path.exists(), second.path.exists()) == (True, False)


def test_a_successor_finds_health_counters_and_slots(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    state.cells.register(0, DEAD_PID, 1, 0)
    state.cells.view[health_row(1) + HealthField.EJECTIONS] = 3
    state.cells.view[counters(0, 1) + Field.RESPONSES_2XX] = 9
    state.publish(config("c:3"), "lbg.toml")
    successor = restart(state, "b:2", "a:1")
    assert successor.published.slots == {"api/a:1": 0, "api/b:2": 1, "api/c:3": 2}
    assert successor.cells.view[health_row(1) + HealthField.EJECTIONS] == 3
    assert successor.cells.total(1, Field.RESPONSES_2XX) == 9
    assert successor.published.snapshot.generation == 3
    assert caplog.records == []


def test_a_successor_asks_for_a_first_round_of_checks(state: StateDirectory) -> None:
    state.cells.view[Header.CHECKED] = 1
    assert restart(state).cells.view[Header.CHECKED] == 0


def test_a_successor_forgets_dead_workers_and_their_gauges(state: StateDirectory) -> None:
    state.cells.register(3, DEAD_PID, 1, 0)
    state.cells.view[counters(3, 0) + Field.IN_FLIGHT] = 5
    successor = restart(state)
    assert list(successor.cells.workers()) == []
    assert successor.cells.total(0, Field.IN_FLIGHT) == 0


def test_a_successor_leaves_the_rows_of_workers_that_still_live(state: StateDirectory) -> None:
    with resting_after(state._claim.lock.release) as pid:
        state.cells.register(3, pid, 1, 0)
        assert restart(state).taken_slots(()) == [3]


def cell_file(change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: change(path / FILE)


def document_file(change: Callable[[Path], object]) -> Callable[[Path], object]:
    return lambda path: change(path / directory.DOCUMENT)


def rubbish(path: Path) -> None:
    path.write_bytes(b"{rubbish")


def to_link(path: Path) -> None:
    path.rename(path.parent / "elsewhere")
    path.symlink_to("elsewhere")


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


UNSOUND = {
    "damaged cells": (cell_file(rubbish), FILE),
    "no cells": (cell_file(Path.unlink), FILE),
    "cells are a link": (cell_file(to_link), FILE),
    "cells are a pipe": (cell_file(to_pipe), FILE),
    "damaged document": (document_file(rubbish), directory.DOCUMENT),
    "no document": (document_file(Path.unlink), directory.DOCUMENT),
    "document is a link": (document_file(to_link), directory.DOCUMENT),
    "document is a pipe": (document_file(to_pipe), directory.DOCUMENT),
}


@pytest.mark.parametrize(("change", "name"), UNSOUND.values(), ids=UNSOUND.keys())
def test_a_successor_of_an_unsound_state_makes_all_anew_with_one_warning(
    state: StateDirectory, caplog: pytest.LogCaptureFixture, change: Callable[[Path], object], name: str
) -> None:
    state.publish(config("x:1", "y:2"), "lbg.toml")
    state.cells.view[health_row(0) + HealthField.EJECTIONS] = 3
    change(state.path)
    successor = restart(state)
    assert document(state.path).slots == {"api/a:1": 0, "api/b:2": 1}
    assert successor.cells.view[health_row(0) + HealthField.EJECTIONS] == 0
    assert successor.cells.is_file(state.path)
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"begin anew: {state.path / name}" in record.getMessage()


def test_state_from_before_a_boot_is_made_anew(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(state_file_module, "boot_number", lambda: 4711)
    assert restart(state).published.snapshot.generation == 1
    assert "before the last boot" in caplog.text


def test_a_directory_in_place_of_a_file_is_refused_and_not_tried_forever(state: StateDirectory) -> None:
    (state.path / FILE).unlink()
    (state.path / FILE).mkdir()
    with pytest.raises(Unusable, match=r"LBG_STATE_DIR: .*cells.*: Is a directory"):
        restart(state)


def test_cells_that_are_not_sound_even_when_new_are_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "truncate", lambda *_: None)  # a file system that does strange things
    with pytest.raises(Unusable, match="is not a cell file"):
        start(path)


def test_dead_workers_lose_their_slots_and_live_ones_do_not(state: StateDirectory) -> None:
    with resting_after(lambda: None) as elsewhere:
        for slot, pid in enumerate([DEAD_PID, elsewhere, 4711]):
            state.cells.register(slot, pid, 1, 0)
        assert state.taken_slots({4711}) == [1, 2]


def test_a_dead_worker_that_had_the_number_of_the_master_loses_its_slot(state: StateDirectory) -> None:
    state.cells.register(0, os.getpid(), 1, 0)
    assert state.taken_slots(()) == []


def test_room_is_made_before_a_worker_is_forked(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved: list[int] = []
    monkeypatch.setattr(state.cells, "reserve", reserved.append)
    assert state.admit(5, ()) == 5
    assert reserved == [5]


def environment(state: StateDirectory, slot: int) -> dict[str, str]:
    """Return the variables that a worker has after it entered."""
    state.enter(slot, 1, 7)
    names = (directory.VARIABLE, directory.SLOT_VARIABLE)
    return {name: os.environ[name] for name in names if name in os.environ}


def test_a_worker_is_told_where_its_cells_are_and_registers(state: StateDirectory) -> None:
    assert environment(state, 2) == {"LBG_STATE_DIR": str(state.path), "LBG_WORKER_SLOT": "2"}
    assert list(state.cells.workers()) == [(2, os.getpid(), 1, 7)]


def test_a_worker_does_not_keep_the_directory_when_its_master_dies(state: StateDirectory) -> None:
    lock = state._claim.lock

    def enter_and_check() -> None:
        state.enter(0, 1, 0)
        assert not lock.held

    with resting_after(enter_and_check):
        lock.release()
        assert FileLock(lock.path).try_acquire()


def test_a_full_disk_leaves_the_next_worker_on_its_own(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(directory.SLOT_VARIABLE, "9")
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    slot = state.admit(0, [WORKER_SLOTS - 1])
    assert environment(state, slot) == {"LBG_STATE_DIR": str(state.path), "LBG_WORKER_SLOT": ""}
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "No space left on device" in record.getMessage()


def test_a_worker_on_its_own_is_listed_and_touches_no_page_there_is_no_room_for(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
    state.enter(state.admit(0, [WORKER_SLOTS - 1]), 1, 7)
    assert list(state.cells.workers()) == [(WORKER_SLOTS - 2, os.getpid(), 1, 7)]
    assert state.cells.view[Header.WORKERS] == 0
    state.forget(WORKER_SLOTS - 2, os.getpid())
    assert list(state.cells.workers()) == []


def test_room_that_is_there_again_is_shared_again(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(os, "posix_fallocate", refuse(errno.ENOSPC))
        state.admit(0, ())
    assert environment(state, state.admit(0, ()))["LBG_WORKER_SLOT"] == "0"


def test_more_workers_than_there_are_slots_are_on_their_own(
    state: StateDirectory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "WORKER_SLOTS", 3)
    assert [state.admit(2, [0, 1]), state.admit(3, [0, 1, 2])] == [2, NO_SLOT]
    assert "all 3 slots for workers are taken" in caplog.text
    assert environment(state, NO_SLOT) == {"LBG_STATE_DIR": str(state.path), "LBG_WORKER_SLOT": ""}


def test_the_death_of_a_worker_on_its_own_touches_nobody(state: StateDirectory) -> None:
    state.cells.register(0, 4711, 1, 0)
    state.forget(NO_SLOT, 4711)
    assert len(list(state.cells.workers())) == 1
    state.forget(0, 4711)
    assert list(state.cells.workers()) == []


def test_of_two_masters_that_chose_the_same_slot_one_worker_has_it(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    with resting_after(lambda: None) as other:
        state.cells.register(2, other, 1, 0)
        assert environment(state, 2) == {"LBG_STATE_DIR": str(state.path), "LBG_WORKER_SLOT": ""}
        assert list(state.cells.workers()) == [(2, other, 1, 0)]
    assert f"taken by pid {other}" in caplog.text


def test_a_slot_whose_worker_died_meanwhile_is_taken(state: StateDirectory) -> None:
    state.cells.view[worker_row(2) + WorkerField.PID] = DEAD_PID
    assert environment(state, 2)["LBG_WORKER_SLOT"] == "2"


def delete(path: Path) -> None:
    directory.remove(path)


def empty(path: Path) -> None:
    for entry in path.iterdir():
        entry.unlink()


@pytest.mark.parametrize("change", [delete, empty])
def test_a_deleted_directory_is_put_back_before_the_next_worker(
    state: StateDirectory, caplog: pytest.LogCaptureFixture, change: Callable[[Path], None]
) -> None:
    change(state.path)
    assert state.admit(0, ()) == 0
    assert document(state.path) == state.published
    assert state._claim.lock.in_place
    with pytest.raises(Unusable, match="in use"):
        start(state.path)
    assert all(record.levelname == "WARNING" for record in caplog.records)
    assert f"{state.path / FILE} is gone" in caplog.text


def test_a_deleted_directory_is_told_once(state: StateDirectory, caplog: pytest.LogCaptureFixture) -> None:
    delete(state.path)
    state.admit(0, ())
    caplog.clear()
    assert state.admit(1, ()) == 1
    assert caplog.records == []


def test_a_reload_puts_a_deleted_directory_back_and_keeps_the_counters(state: StateDirectory) -> None:
    state.cells.register(0, DEAD_PID, 1, 0)
    state.cells.view[counters(0, 0) + Field.FAILURES] = 4
    delete(state.path)
    state.publish(config("b:2", "a:1"), "lbg.toml")
    assert document(state.path).snapshot.generation == 2
    assert state.published.slots["api/a:1"] == 0

    def work() -> None:
        assert Cells.open(state.path).total(0, Field.FAILURES) == 4

    run_together(work)


def test_a_damaged_document_is_written_again_before_the_next_worker(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    rubbish(state.path / directory.DOCUMENT)
    assert state.admit(0, ()) == 0
    assert document(state.path) == state.published
    assert "written again" in caplog.text


def test_a_directory_that_another_one_has_taken_meanwhile_is_left_alone(
    state: StateDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    delete(state.path)
    other = start(state.path, "other:1")
    assert environment(state, state.admit(0, ())) == {}
    with pytest.raises(Unusable, match="in use by another lbg"):
        state.publish(config(), "lbg.toml")
    assert document(state.path) == other.published
    assert "for itself" in caplog.text


def test_a_directory_that_is_free_again_is_used_again(state: StateDirectory) -> None:
    delete(state.path)
    other = start(state.path, "other:1")
    state.admit(0, ())
    other._claim.lock.release()
    delete(state.path)
    assert state.admit(0, ()) == 0
    assert environment(state, 0)["LBG_STATE_DIR"] == str(state.path)


def test_a_fresh_directory_that_was_put_back_ends_with_the_master(path: Path, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    state = start(None)
    delete(state.path)
    state.admit(0, ())
    assert state.path.exists()
    state.leave()
    assert not state.path.exists()


def hand_over(state: StateDirectory) -> dict[str, str]:
    environ: dict[str, str] = {}
    state.hand_over(environ)
    return environ


def test_an_upgrade_shares_directory_cells_and_slots(state: StateDirectory) -> None:
    environ = hand_over(state)
    state.cells.register(0, DEAD_PID, 1, 0)
    state.cells.view[counters(0, 1) + Field.RESPONSES_2XX] = 9
    successor = StateDirectory.start(environ, config("b:2"), "lbg.toml")
    assert successor.path == state.path
    assert successor.cells.total(1, Field.RESPONSES_2XX) == 9
    assert successor.published.slots["api/b:2"] == 1
    assert list(environ) == [directory.VARIABLE]


def test_an_upgrade_is_ready_as_its_predecessor_was(state: StateDirectory) -> None:
    state.cells.view[Header.CHECKED] = 1
    successor = StateDirectory.start(hand_over(state), config(), "lbg.toml")
    assert successor.cells.view[Header.CHECKED] == 1


def test_what_checks_said_stays_for_the_control_worker_to_judge(state: StateDirectory) -> None:
    state.cells.view[health_row(0) + HealthField.HEALTH] = Health.DOWN
    state.cells.view[health_row(0) + HealthField.CHECKED] = 1
    row = restart(state).cells.view[health_row(0) : health_row(1)].tolist()
    assert (row[HealthField.HEALTH], row[HealthField.CHECKED]) == (Health.DOWN, 1)


def test_a_fresh_directory_ends_with_the_last_master_of_an_upgrade(path: Path, tmp_path: Path) -> None:
    (tmp_path / "run").touch()
    state = start(None)
    environ = hand_over(state)
    lock = FileLock.inherited(state.path / directory.MASTER_LOCK, os.dup(state._claim.lock.hand_over()))
    assert lock is not None
    successor = StateDirectory.start(environ, config(), "")
    successor._claim.lock = lock
    state.leave()
    assert state.path.exists()
    successor.leave()
    assert not state.path.exists()


@pytest.mark.parametrize("value", ["", "x", "1", "1 2 3", "-1 0", "999999 1"])
def test_a_handover_that_is_none_is_ignored(state: StateDirectory, path: Path, value: str) -> None:
    environ = {directory.VARIABLE: str(path.parent / "mine"), "LBG_STATE_HANDOVER": value}
    made = StateDirectory.start(environ, config(), "")
    assert made.path == path.parent / "mine"
    assert list(environ) == [directory.VARIABLE]


def test_an_upgrade_that_cannot_publish_leaves_the_directory_to_the_old_master(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").touch()
    state = start(None)
    environ = hand_over(state)
    lock = FileLock.inherited(state.path / directory.MASTER_LOCK, os.dup(state._claim.lock.hand_over()))
    monkeypatch.setattr(directory, "publish", refuse(errno.ENOSPC))
    with pytest.raises(Unusable, match=f"{state.path}: No space"):
        StateDirectory.start(environ, config(), "")
    assert lock is not None
    assert document(state.path) == state.published


def test_the_repr_tells_where_it_is(state: StateDirectory) -> None:
    assert repr(state) == f"<StateDirectory {state.path} <Cells workers=[]>>"
